"""A process with nothing in it but an agent that is online."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.bench.measure import Bar, Measure
from tests.bench.stage import Stage

HOUR_S = 3600


def measure(stage: Stage) -> list[Measure]:
    """Memory at its peak, and CPU of some minutes as that of an hour: what it does comes every few seconds.

    Both sides at the same time: each sleeps nearly always, and whatever else the machine does meets both.
    """
    seconds = stage.size(120, 1)
    arguments = (str(seconds), str(stage.size(5, 0)))
    memory: tuple[list[float], list[float]] = ([], [])
    cpu: tuple[list[float], list[float]] = ([], [])
    with ThreadPoolExecutor(2) as together:
        for _ in range(min(stage.rounds, 3)):
            runs = [together.submit(stage.program, side, "idle", *arguments) for side in ("ours", "peer")]
            for index, run in enumerate(runs):
                said = run.result().said
                memory[index].append(said["peak_mib"])
                cpu[index].append(said["cpu_s"] * HOUR_S / seconds)
    return [
        Measure("idle agent, peak memory", "MiB", tuple(memory[0]), tuple(memory[1]), bar=Bar(0.65)),
        Measure(
            f"idle agent, CPU of an hour (from {seconds} s)", "s", tuple(cpu[0]), tuple(cpu[1]), bar=Bar(0.5)
        ),
    ]
