"""Offer: what a brain can ask of one process or of several, as a hello says it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Self


class Offer(NamedTuple):
    """In the order of who said it first; a brain reads these as sets."""

    engines: tuple[str, ...] = ()
    schedulers: tuple[str, ...] = ()
    capabilities: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    def joined(self, others: Iterable[Offer]) -> Offer:
        """What this one and the others offer together."""
        engines, schedulers = list(self.engines), list(self.schedulers)
        capabilities = {engine: list(tokens) for engine, tokens in self.capabilities.items()}
        for other in others:
            engines += other.engines
            schedulers += other.schedulers
            for engine, tokens in other.capabilities.items():
                capabilities.setdefault(engine, []).extend(tokens)
        return Offer(
            tuple(dict.fromkeys(engines)),
            tuple(dict.fromkeys(schedulers)),
            {engine: tuple(dict.fromkeys(tokens)) for engine, tokens in capabilities.items()},
        )

    def has_all_of(self, other: Offer) -> bool:
        """Whether it says everything that the other one says."""
        return (
            set(other.engines) <= set(self.engines)
            and set(other.schedulers) <= set(self.schedulers)
            and all(
                engine in self.capabilities and set(tokens) <= set(self.capabilities[engine])
                for engine, tokens in other.capabilities.items()
            )
        )

    def to_json(self) -> dict[str, Any]:
        """As another process reads it."""
        return {
            "engines": list(self.engines),
            "schedulers": list(self.schedulers),
            "capabilities": {engine: list(tokens) for engine, tokens in self.capabilities.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """ValueError, TypeError or LookupError where it is none."""
        return cls(
            _words(data["engines"]),
            _words(data["schedulers"]),
            {str(engine): _words(tokens) for engine, tokens in dict(data["capabilities"]).items()},
        )


def _words(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise TypeError("not a list of texts")
    return tuple(value)
