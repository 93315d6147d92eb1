"""Sixty-four workers of one agent that start at the same moment on one host."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from tests.bench.dev_brain import DevBrainProcess, dev_brain_process
from tests.bench.measure import Bar, Measure
from tests.bench.stage import PROGRAMS, Stage

WORKERS = 64
GONE_WITHIN_S = 20.0
ALONE = 3


class Started(NamedTuple):
    """Processes that were started at once: seconds until the last was ready, and the CPU of each (mean)."""

    took_s: float
    cpu_s: float


def measure(stage: Stage) -> list[Measure]:
    """CPU of each until it is online, and the time until all are; against one that starts alone.

    Beside that, processes that only load the same modules: what the machine makes of so many starts.
    """
    count = stage.size(WORKERS, 4)
    modules = stage.directory / "modules-of-a-worker"
    ours: list[tuple[Started, Started]] = []
    bare: list[tuple[Started, Started]] = []
    for _ in range(min(stage.rounds, 3)):
        with dev_brain_process() as brain:
            alone = _mean([_workers(stage, brain, 1, str(modules)) for _ in range(ALONE)])
            ours.append((_workers(stage, brain, count), alone))
        alone = _mean([_bare(stage, modules, 1) for _ in range(ALONE)])
        bare.append((_bare(stage, modules, count), alone))
    what, loading = f"{WORKERS} workers started at once", f"{WORKERS} processes that only load what they do"
    return [
        Measure(f"{what}, CPU of each until online", "s", *_cpu_s(ours), "one worker", Bar(1.2)),
        Measure(f"{what}, until all are online", "s", *_took_s(ours), "one worker", Bar(40)),
        Measure(f"{loading}, CPU of each", "s", *_cpu_s(bare), "one process"),
        Measure(f"{loading}, until all have", "s", *_took_s(bare), "one process"),
    ]


def _workers(stage: Stage, brain: DevBrainProcess, count: int, *arguments: str) -> Started:
    env = stage.environment("ours") | brain.settings
    with _processes(stage, "worker_ours", arguments, env, count) as (started, said):
        assert brain.ask()["online"] == count
        _require_slots([worker["worker"] for worker in said])
    deadline_s = time.monotonic() + GONE_WITHIN_S
    while online := brain.ask()["online"]:
        assert time.monotonic() < deadline_s, f"{online} ghosts"
        time.sleep(0.05)
    return started


def _bare(stage: Stage, modules: Path, count: int) -> Started:
    with _processes(stage, "worker_bare", (str(modules),), stage.environment("bare"), count) as (started, _):
        return started


@contextmanager
def _processes(
    stage: Stage, program: str, arguments: tuple[str, ...], env: Mapping[str, str], count: int
) -> Iterator[tuple[Started, list[dict[str, Any]]]]:
    """So many of that program, once each has said that it is ready; they end with the block."""
    with ExitStack() as stack:
        began_s = time.monotonic()
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, str(PROGRAMS / f"{program}.py"), *arguments],
                    env=dict(env),
                    cwd=stage.directory,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            )
            for _ in range(count)
        ]
        said = [json.loads(_line(process)) for process in processes]
        yield Started(time.monotonic() - began_s, mean(one["cpu_s"] for one in said)), said


def _require_slots(worker_ids: list[str]) -> None:
    slots = sorted(int(name.split(".")[-2]) for name in worker_ids)
    assert slots == list(range(len(worker_ids))), slots


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def _mean(samples: list[Started]) -> Started:
    return Started(mean(one.took_s for one in samples), mean(one.cpu_s for one in samples))


def _cpu_s(pairs: list[tuple[Started, Started]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(many.cpu_s for many, _ in pairs), tuple(alone.cpu_s for _, alone in pairs)


def _took_s(pairs: list[tuple[Started, Started]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(many.took_s for many, _ in pairs), tuple(alone.took_s for _, alone in pairs)
