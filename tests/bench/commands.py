"""How late commands make the host's event loop, and how soon they are answered: 1,000 of them in 10 s."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.bench.measure import Bar, Measure, percentile
from tests.bench.stage import PROGRAMS, Stage

MEDIAN = 0.5


def measure(stage: Stage) -> list[Measure]:
    """Every other one is written to the disk before it is acted on."""
    count, seconds = stage.size(1000, 50), stage.size(10, 1)
    late, cancel, submit = [], [], []
    for _ in range(min(stage.rounds, 5)):
        command = [sys.executable, str(PROGRAMS / "commanding_brain.py"), str(count), str(seconds)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as brain:
            assert brain.stdout is not None
            settings = json.loads(brain.stdout.readline())
            said = stage.program("ours", "commands", str(seconds), env=settings).said
            latencies = json.loads(brain.stdout.readline())
        assert said["counts"]["done"] == count
        late.append(max(0.0, percentile(said["commanded"], 0.99) - percentile(said["quiet"], 0.99)))
        cancel.append(percentile(latencies["cancel_ms"], MEDIAN))
        submit.append(percentile(latencies["submit_ms"], MEDIAN))
    return [
        Measure("loop's p99 lag, added at 100 commands/s", "ms", tuple(late), bar=Bar(5, of_ratio=False)),
        Measure("a cancel is answered (p50)", "ms", tuple(cancel), bar=Bar(50, of_ratio=False)),
        Measure("a submit is answered (p50)", "ms", tuple(submit), bar=Bar(50, of_ratio=False)),
    ]
