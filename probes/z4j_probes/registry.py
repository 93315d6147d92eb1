"""The ordered probes, each after what it needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from z4j_probes.codes import CATALOGUE, Code, common
from z4j_probes.errors import RegistryError
from z4j_probes.probe import Probe
from z4j_probes.rungs import built_in


class Registry:
    """Probes in the order in which they are climbed.

    A probe may need only what stands before it, so an order with a cycle can't be written. `catalogue` has
    the built-in codes and those of the registered probes, which `outcome` finds while they are climbed.
    """

    def __init__(self, probes: Iterable[Probe] = ()) -> None:
        self._codes = dict(CATALOGUE)
        self.catalogue: Mapping[str, Code] = MappingProxyType(self._codes)
        self._probes: dict[str, Probe] = {}
        for probe in probes:
            self.register(probe)

    def register(self, probe: Probe) -> None:
        """Append a probe. RegistryError where its name is taken or a probe that it needs is missing."""
        if probe.name in self._probes:
            raise RegistryError(f"a probe named {probe.name!r} is registered already")
        missing = [name for name in (*probe.needs, *probe.after) if name not in self._probes]
        if missing:
            raise RegistryError(f"probe {probe.name!r} needs {', '.join(missing)}, registered before it")
        rows = {row.code: row for row in (*probe.codes, *common(probe.name))}
        if probe.timeout_code not in rows and probe.timeout_code not in self._codes:
            raise RegistryError(f"probe {probe.name!r} brings no code {probe.timeout_code}")
        self._codes |= rows
        self._probes[probe.name] = probe

    def __iter__(self) -> Iterator[Probe]:
        return iter(self._probes.values())

    def __getitem__(self, name: str) -> Probe:
        return self._probes[name]

    def __contains__(self, name: object) -> bool:
        return name in self._probes

    @property
    def names(self) -> tuple[str, ...]:
        """The probes' names, in order."""
        return tuple(self._probes)

    def closure(self, names: Iterable[str]) -> set[str]:
        """Those probes and all that they need, directly or not."""
        wanted: set[str] = set()
        stack = list(names)
        while stack:
            name = stack.pop()
            if name not in wanted:
                wanted.add(name)
                stack.extend(self._probes[name].needs)
        return wanted


def default_registry() -> Registry:
    """The eight built-in rungs, from settings to a proven session."""
    return Registry(built_in())
