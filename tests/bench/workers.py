"""Sixty-four workers of one agent that start at the same moment on one host."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import mean

from tests.bench.dev_brain import DevBrainProcess, dev_brain_process
from tests.bench.measure import Bar, Measure
from tests.bench.stage import PROGRAMS, Stage

WORKERS = 64
GONE_WITHIN_S = 20.0


def measure(stage: Stage) -> list[Measure]:
    """CPU of each until it is online, and the time until all are; against one that starts alone."""
    count = stage.size(WORKERS, 4)
    each, alone, all_s, one_s = [], [], [], []
    for _ in range(min(stage.rounds, 3)):
        with dev_brain_process() as brain:
            single = [_started(stage, brain, 1) for _ in range(3)]
            together = _started(stage, brain, count)
        alone.append(mean(cpu_s for _, cpu_s in single))
        one_s.append(mean(took_s for took_s, _ in single))
        each.append(together[1])
        all_s.append(together[0])
    what = f"{WORKERS} workers started at once"
    return [
        Measure(f"{what}, CPU of each until online", "s", tuple(each), tuple(alone), "one worker", Bar(1.2)),
        Measure(f"{what}, until all are online", "s", tuple(all_s), tuple(one_s), "one worker", Bar(40)),
    ]


def _started(stage: Stage, brain: DevBrainProcess, count: int) -> tuple[float, float]:
    """Seconds until all were online, and the CPU of each (mean)."""
    env = stage.environment("ours") | brain.settings
    with ExitStack() as stack:
        began_s = time.monotonic()
        processes = [stack.enter_context(_worker(env, stage.directory)) for _ in range(count)]
        said = [json.loads(_line(process)) for process in processes]
        took_s = time.monotonic() - began_s
        assert brain.ask()["online"] == count
        _require_slots([worker["worker"] for worker in said])
    deadline_s = time.monotonic() + GONE_WITHIN_S
    while online := brain.ask()["online"]:
        assert time.monotonic() < deadline_s, f"{online} ghosts"
        time.sleep(0.05)
    return took_s, mean(worker["cpu_s"] for worker in said)


def _require_slots(worker_ids: list[str]) -> None:
    slots = sorted(int(name.split(".")[-2]) for name in worker_ids)
    assert slots == list(range(len(worker_ids))), slots


def _worker(env: dict[str, str], directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(PROGRAMS / "worker_ours.py")],
        env=env,
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()
