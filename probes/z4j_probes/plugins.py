"""Probes of other packages: entry points of the group `z4j_fastapi.probes`.

    [project.entry-points."z4j_fastapi.probes"]
    migrations = "my_service.health:PROBE"

An entry point names a `Probe`, or a callable that returns one. A plug-in that can't be loaded becomes a
probe that fails and says why: it never takes the ladder down with it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

from z4j_probes.climb import Climb
from z4j_probes.codes import common, outcome
from z4j_probes.errors import RegistryError
from z4j_probes.probe import Probe
from z4j_probes.registry import Registry
from z4j_probes.result import ProbeResult

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "z4j_fastapi.probes"


def add_plugins(registry: Registry, found: Iterable[EntryPoint] | None = None) -> Registry:
    """Register the probes of all installed plug-ins, by name; returns the same registry.

    A plug-in's probe may need another plug-in's, whatever their names.
    """
    points = _installed() if found is None else found
    waiting = [(point, _load(point)) for point in sorted(points, key=lambda p: (p.name, p.value))]
    progress = True
    while waiting and progress:
        progress = False
        for point, probe in list(waiting):
            if all(need in registry for need in (*probe.needs, *probe.after)):
                _register(registry, point, probe)
                waiting.remove((point, probe))
                progress = True
    for point, probe in waiting:
        _register(registry, point, probe)
    return registry


def _installed() -> Iterable[EntryPoint]:
    if not _may_be_named(GROUP):
        return ()
    from importlib.metadata import entry_points

    return entry_points(group=GROUP)


def _may_be_named(group: str) -> bool:
    """Whether a distribution names the group, or is kept in another way than as files in a directory.

    Most machines have no plug-in, and importlib.metadata takes 10 % of a climb to be loaded and to parse all
    that is installed.
    """
    if any(hasattr(one, "find_distributions") for one in sys.meta_path if one is not PathFinder):
        return True
    for place in sys.path:
        try:
            names = os.listdir(place or os.curdir)
        except NotADirectoryError:  # an archive
            return True
        except OSError:
            continue
        for name in (place, *names):
            kind = os.path.splitext(name)[1].lower()
            if kind == ".egg":
                return True
            if kind in (".dist-info", ".egg-info") and _names(group, os.path.join(place, name)):
                return True
    return False


def _names(group: str, distribution: str) -> bool:
    try:
        with open(os.path.join(distribution, "entry_points.txt"), "rb") as file:
            return group.encode() in file.read()
    except OSError:
        return False


def _load(point: EntryPoint) -> Probe:
    try:
        loaded = point.load()
        probe = loaded if isinstance(loaded, Probe) else loaded()
    except (Exception, SystemExit) as exc:
        return _broken(point, point.name, exc)
    if isinstance(probe, Probe):
        return probe
    return _broken(point, point.name, TypeError(f"it gave {type(probe).__name__}, no Probe"))


def _register(registry: Registry, point: EntryPoint, probe: Probe) -> None:
    try:
        registry.register(probe)
    except RegistryError as exc:
        name = _free_name(registry, point.name)
        registry.register(_broken(point, name, exc))


def _broken(point: EntryPoint, name: str, exc: BaseException) -> Probe:
    """A probe that stands for a plug-in which is none."""
    name = re.sub(r"[^a-z0-9_-]+", "_", name.lower()).strip("_-") or "plugin"
    said = f"the plug-in {point.name} ({point.value}) can't be loaded: {type(exc).__name__}: {exc}"
    package = point.dist.name if point.dist else None

    async def run(climb: Climb) -> ProbeResult:
        return outcome(
            f"{name}.unexpected",
            said,
            hint=f"Fix or uninstall the package {package or 'that brings it'}",
            details={"entry_point": point.value, "package": package, "exception": type(exc).__qualname__},
        )

    return Probe(
        name=name,
        question=f"Can the plug-in {point.name} be loaded?",
        needs=(),
        run=run,
        timeout_code=f"{name}.unexpected",
        network=False,
        codes=common(name),
    )


def _free_name(registry: Registry, name: str) -> str:
    candidates = (name, *(f"{name}_plugin{n}" for n in ("", *range(2, 100))))
    return next(candidate for candidate in candidates if candidate not in registry)
