"""From `async with Z4JAgent` until it is online, against a bare websockets client to the same brain."""

from __future__ import annotations

from tests.bench.measure import Bar, Measure
from tests.bench.stage import Stage


def measure(stage: Stage) -> list[Measure]:
    """In one warm process, one after the other: the brain needs most of the time of either."""
    said = stage.program("ours", "online", str(stage.size(60, 1))).said
    agent = tuple(said["agent_ms"])
    what = "`async with Z4JAgent` until online"
    return [
        Measure(what, "ms", agent, tuple(said["proven_ms"]), "bare client, signature proven", Bar(1.15)),
        Measure(what, "ms", agent, tuple(said["hello_ms"]), "bare client, hello only"),
    ]
