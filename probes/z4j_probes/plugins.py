"""Probes of other packages: entry points of the group `z4j_fastapi.probes`.

    [project.entry-points."z4j_fastapi.probes"]
    migrations = "my_service.health:PROBE"

An entry point names a `Probe`, or a callable that returns one. A plug-in that can't be loaded becomes a
probe that fails and says why: it never takes the ladder down with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from z4j_probes.climb import Climb
from z4j_probes.codes import common, outcome
from z4j_probes.errors import RegistryError
from z4j_probes.probe import Probe
from z4j_probes.registry import Registry
from z4j_probes.result import ProbeResult

GROUP = "z4j_fastapi.probes"


def add_plugins(registry: Registry, found: Iterable[EntryPoint] | None = None) -> Registry:
    """Register the probes of all installed plug-ins, by name; returns the same registry.

    A plug-in's probe may need another plug-in's, whatever their names.
    """
    points = entry_points(group=GROUP) if found is None else found
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
