"""What an event costs the processor, from `emit` until its acknowledgement was taken."""

from __future__ import annotations

from tests.bench.dev_brain import dev_brain_process
from tests.bench.measure import Bar, Measure
from tests.bench.stage import Stage

PER_S = 500


def measure(stage: Stage) -> list[Measure]:
    """CPU time of the whole process, all threads: in a burst, and at a steady pace."""
    burst: list[float] = []
    steady: list[float] = []
    bare: list[float] = []
    paces = ((burst, stage.size(20_000, 200), 0), (steady, stage.size(5_000, 100), PER_S))
    for _ in range(min(stage.rounds, 5)):
        with dev_brain_process() as brain:
            for found, count, per_s in paces:
                said = stage.program("ours", "acknowledged", str(count), str(per_s), env=brain.settings).said
                found.append(said["cpu_us"])
        bare.append(stage.program("bare", "acknowledged", str(stage.size(20_000, 200))).said["cpu_us"])
    against = "json.dumps, HMAC, SQLite insert and delete"
    return [
        Measure(what, "µs", tuple(found), tuple(bare), against, Bar(2.5))
        for what, found in (
            ("CPU of an event, emit to acknowledged, in a burst", burst),
            (f"the same at {PER_S} events/s", steady),
        )
    ]
