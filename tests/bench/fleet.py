"""Real agents whose brain restarts, held against the simulation: `python -m tests.bench.fleet`.

The dev brain notes how many connections it has had; it is asked several times a second. What it can't show
is 10,000 agents: this checks that what is simulated for a small fleet is what a small fleet does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench.dev_brain import DevBrainProcess, dev_brain_process
from tests.bench.reconnect_simulation import POLICIES, Outage, Recovery, simulate
from tests.bench.stage import PROGRAMS

PROCESSES = 10
DOWN_S = 10.0


def measure(agents: int = 500, down_s: float = DOWN_S) -> tuple[Recovery, Recovery]:
    """What a fleet of that size did, and what the simulation says of one."""
    each = max(1, agents // PROCESSES)
    processes = min(PROCESSES, agents)
    total = each * processes
    with ExitStack() as stack:
        brain = stack.enter_context(dev_brain_process())
        fleet = [stack.enter_context(_agents(each, brain.settings)) for _ in range(processes)]
        for process in fleet:
            assert process.stdout is not None
            assert process.stdout.readline() == "online\n"
        brain.ask("stop")
        time.sleep(down_s)
        found = _watch(brain, total)
    return found, simulate(POLICIES["ours"], Outage(down_s=down_s, agents=total, addresses=total))


def _watch(brain: DevBrainProcess, agents: int) -> Recovery:
    before = brain.ask("start")
    samples = [(0.0, 0)]
    half_s = most_s = None
    while most_s is None:
        time.sleep(0.1)
        seen = brain.ask()
        now_s = seen["at_s"] - before["at_s"]
        samples.append((now_s, seen["connections"] - before["connections"]))
        half_s = half_s or (now_s if seen["online"] >= agents * 0.5 else None)
        most_s = now_s if seen["online"] >= agents * 0.99 else None
    peak = max(
        count - next(earlier for at_s, earlier in reversed(samples) if at_s <= max(0.0, now_s - 1))
        for now_s, count in samples
    )
    return Recovery(peak, samples[-1][1], round(half_s or 0.0, 2), round(most_s, 2))


@contextmanager
def _agents(count: int, settings: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(PROGRAMS / "fleet_ours.py"), str(count)]
    with tempfile.TemporaryDirectory(prefix="z4j-fleet-", ignore_cleanup_errors=True) as home:
        environment = {"PATH": os.defpath, "HOME": home, "Z4J_LOG_LEVEL": "CRITICAL"} | settings
        with subprocess.Popen(
            command,
            env=environment,
            cwd=Path(home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            yield process
            assert process.stdin is not None
            process.stdin.close()
            process.wait()


if __name__ == "__main__":
    found, expected = measure()
    print(f"a fleet of real agents: {found}\nthe simulation of it:   {expected}")
