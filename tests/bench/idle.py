"""A process with nothing in it but an agent that is online."""

from __future__ import annotations

from tests.bench.measure import Bar, Measure
from tests.bench.stage import Stage


def measure(stage: Stage) -> list[Measure]:
    """Memory at its peak, some seconds after the start."""
    seconds = str(stage.size(2, 0))
    ours, peer = [], []
    for _ in range(min(stage.rounds, 3)):
        ours.append(stage.program("ours", "idle", seconds).said["peak_mib"])
        peer.append(stage.program("peer", "idle", seconds).said["peak_mib"])
    return [Measure("idle agent, peak memory", "MiB", tuple(ours), tuple(peer), bar=Bar(0.7))]
