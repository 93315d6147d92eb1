"""`emit` until the event survives a `kill -9`, with no brain in reach: nothing but the caller's own time."""

from __future__ import annotations

from tests.bench.measure import Bar, Measure, percentile
from tests.bench.stage import Stage
from tests.support.agents import closed_port

SHARES = ((0.5, "p50"), (0.99, "p99"))
BARS = {"p50": 0.25, "p99": 0.35}


def measure(stage: Stage) -> list[Measure]:
    """Making the event included, on both sides: what a task's hook has to wait for."""
    count = stage.size(20_000, 100)
    samples: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for _, name in SHARES}
    with closed_port() as port:
        url = f"http://127.0.0.1:{port}"
        for _ in range(stage.rounds):
            for index, side in enumerate(("ours", "peer")):
                said = stage.program(side, "emit", str(count), env={"Z4J_BRAIN_URL": url}).said  # type: ignore[arg-type]
                assert said["buffered"] == count, said["buffered"]
                for share, name in SHARES:
                    samples[name][index].append(percentile(said["took_us"], share))
    return [
        Measure(f"`emit` → durable, {name}", "µs", tuple(ours), tuple(peer), bar=Bar(BARS[name]))
        for name, (ours, peer) in samples.items()
    ]
