"""The ordered probes, each after what it needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from z4j_probes import codes
from z4j_probes.errors import RegistryError
from z4j_probes.probe import Probe


class Registry:
    """Probes in the order in which they are climbed.

    A probe may need only what stands before it, so an order with a cycle can't be written.
    """

    def __init__(self, probes: Iterable[Probe] = ()) -> None:
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
        codes.register(*probe.codes, *codes.common(probe.name))
        if probe.timeout_code not in codes.CATALOGUE:
            raise RegistryError(f"probe {probe.name!r} brings no code {probe.timeout_code}")
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
    from z4j_probes.rungs import auth, signing
    from z4j_probes.rungs.buffer import probe as buffer
    from z4j_probes.rungs.config import probe as config
    from z4j_probes.rungs.dns import probe as dns
    from z4j_probes.rungs.tcp import probe as tcp
    from z4j_probes.rungs.tls import probe as tls
    from z4j_probes.rungs.websocket import probe as websocket

    return Registry(
        (
            config.PROBE,
            buffer.PROBE,
            dns.PROBE,
            tcp.PROBE,
            tls.PROBE,
            websocket.PROBE,
            auth.PROBE,
            signing.PROBE,
        )
    )
