"""`emit` while the disk takes seconds to sync, which no one that emits is to wait for."""

from __future__ import annotations

from tests.bench.measure import Bar, Measure, percentile
from tests.bench.stage import Stage
from tests.support.agents import closed_port
from tests.support.disk_shim import disk_shim


def measure(stage: Stage) -> list[Measure]:
    """An event of half a kilobyte each millisecond, for long enough to need several syncs of two seconds."""
    seconds, sync_s = stage.size(15, 1), stage.size(2, 1)
    shim = disk_shim(stage.fresh_home())
    slow: list[float] = []
    plain: list[float] = []
    with closed_port() as port:
        common = {
            "Z4J_BRAIN_URL": f"http://127.0.0.1:{port}",
            "LD_PRELOAD": str(shim),
            "Z4J_TEST_SYNC_S": "0",
        }
        for _ in range(min(stage.rounds, 5)):
            for found, sync in ((slow, sync_s), (plain, 0)):
                said = stage.program("ours", "slow_disk", str(seconds), str(sync), env=common).said
                found.append(percentile(said["took_us"], 0.999) / 1e3)
    return [
        Measure(
            "`emit` while a sync takes 2 s, p99.9",
            "ms",
            tuple(slow),
            tuple(plain),
            "this disk as it is",
            Bar(10, of_ratio=False),
        )
    ]
