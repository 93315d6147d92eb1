"""Which probes of a registry run, and what excluded the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from z4j_probes.errors import Z4JError
from z4j_probes.registry import Registry


class SelectionError(Z4JError):
    """The selection names an unknown probe, contradicts itself, or leaves nothing to run."""


def select(
    registry: Registry,
    *,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    no_websocket: bool = False,
    offline: bool = False,
) -> dict[str, str]:
    """The probes that will not run: their names, each with the option that excluded it.

    `only` brings along what it needs. SelectionError for an unknown name, for a probe that is asked for and
    excluded at once, and where nothing at all would run: "nothing ran" must never look green.
    """
    unknown = [name for name in (*only, *skip) if name not in registry]
    if unknown:
        meant = did_you_mean(unknown[0], registry.names)
        raise SelectionError(
            f"no check named {', '.join(map(repr, unknown))}{meant}; choose from {', '.join(registry.names)}"
        )
    excluded: dict[str, str] = {}
    if only:
        wanted = registry.closure(only)
        excluded |= {name: "--only" for name in registry.names if name not in wanted}
    if offline:
        excluded |= {probe.name: "--offline" for probe in registry if probe.network}
    if no_websocket:
        excluded |= dict.fromkeys(("websocket", "auth", "signing"), "--no-websocket")
    excluded |= dict.fromkeys(skip, "--skip")
    excluded = {name: excluded[name] for name in registry.names if name in excluded}

    for name in only:
        lost = [need for need in registry.closure([name]) if need in excluded]
        if lost:
            raise SelectionError(f"--only {name} can't run: {lost[0]} is excluded by {excluded[lost[0]]}")
    if not any(registry.closure([name]).isdisjoint(excluded) for name in registry.names):
        raise SelectionError("no probe is left to run")
    return excluded


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question to put behind a name that is none of these, empty where none is close to it."""
    from difflib import get_close_matches  # for a mistake that few make, not for every start

    close = get_close_matches(name.strip().lower(), list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
