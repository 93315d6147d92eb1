"""How much later the host's event loop is for an agent that takes 1,000 events a second and delivers them."""

from __future__ import annotations

from typing import Any

from tests.bench.dev_brain import dev_brain_process
from tests.bench.measure import Bar, Measure, percentile
from tests.bench.stage import Stage


def measure(stage: Stage) -> list[Measure]:
    """Ours against a dev brain, which takes them all; upstream against the real one, all it knows."""
    seconds = str(stage.size(5, 1))
    ours, peer = [], []
    for _ in range(min(stage.rounds, 5)):
        with dev_brain_process() as brain:
            ours.append(_added_ms(stage.program("ours", "lag", seconds, env=brain.settings).said))
        peer.append(_added_ms(stage.program("peer", "lag", seconds).said))
    return [
        Measure("loop's p99 lag, added at 1,000 events/s", "ms", tuple(ours), bar=Bar(2, of_ratio=False)),
        Measure("the same, upstream (its brain takes 50/s)", "ms", tuple(peer)),
    ]


def _added_ms(said: dict[str, Any]) -> float:
    return max(0.0, percentile(said["emitting"], 0.99) - percentile(said["alone"], 0.99))
