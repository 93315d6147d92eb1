"""Workers behind a path that fails in every way, for as long as you like: `python -m tests.bench.soak`.

The timeouts and waits are those of a real agent. The brain restarts, half of the workers are killed (SIGKILL)
and started again, all share one directory. What matters is whether anything grows, and what was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from tests.bench.measure import percentile
from tests.bench.stage import PROGRAMS
from tests.support.rough_relay import RoughRelay, rough_relay
from z4j_fastapi.devbrain import DevBrain, Limits

WORKERS = 4
AGENTS_EACH = 3
EVENTS_PER_S = 10.0  # of each agent
# Longer than a climb, so that sessions begin; shorter than the longest time-out of an agent.
CONNECTION_LASTS_S = 40.0
KILL_EVERY_S = 120.0
RESTART_EVERY_S = 300.0
SAMPLE_EVERY_S = 10.0
SETTLES_WITHIN_S = 300.0
HEAD = """\
| minute | memory, MiB | descriptors | CPU, % | largest WAL, KiB | all files, MiB \
| emit p50 / p99 / p99.9, µs | loop late p99, ms | connections that failed |
|---|---|---|---|---|---|---|---|---|"""
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass
class Worker:
    """One process at a time, under one name; what the ones before it have said counts too."""

    name: str
    is_killed: bool
    process: asyncio.subprocess.Process | None = None
    starts: int = 0
    kept: list[str] = field(default_factory=list)
    refused: int = 0
    took_us: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    end: dict[str, Any] | None = None
    listener: asyncio.Task[None] | None = None

    async def start(self, settings: dict[str, str]) -> None:
        """Begin a process."""
        self.starts += 1
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(PROGRAMS / "soak_ours.py"),
            str(AGENTS_EACH),
            str(EVENTS_PER_S),
            f"{self.name}.{self.starts}",
            env={"PATH": os.defpath, "Z4J_LOG_LEVEL": "CRITICAL"} | settings,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**26,
        )
        self.listener = asyncio.create_task(self._listen(self.process))

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for raw in process.stdout:
            line = raw.decode().strip()
            if not line.startswith("{"):
                self.kept.append(line)
                continue
            said = json.loads(line)
            if "refused" in said:
                self.refused += 1
            elif "took_us" in said:
                self.took_us, self.late_ms = said["took_us"], said["late_ms"]
            else:
                self.end = said

    async def kill(self) -> None:
        """End the process as nothing can catch it; what it has said is read to its end."""
        assert self.process is not None
        self.process.kill()
        await self.process.wait()
        assert self.listener is not None
        await self.listener


@dataclass(frozen=True, slots=True)
class Sample:
    """What the workers that are never killed had at a moment (means), and the directory's files."""

    at_s: float
    rss_mib: float
    descriptors: float
    cpu_s: float
    wal_kib: float
    files_mib: float


def sample(workers: list[Worker], directory: Path, began_s: float) -> Sample:
    """Look at the processes and at the files now."""
    pids = [w.process.pid for w in workers if w.process and not w.is_killed]
    sizes: dict[str, int] = {}
    for path in directory.rglob("*"):
        with contextlib.suppress(OSError):  # gone meanwhile
            sizes[path.name] = path.stat().st_size
    return Sample(
        at_s=time.monotonic() - began_s,
        rss_mib=mean(_rss_mib(pid) for pid in pids),
        descriptors=mean(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids),
        cpu_s=mean(_cpu_s(pid) for pid in pids),
        wal_kib=max((size for name, size in sizes.items() if name.endswith("-wal")), default=0) / 1024,
        files_mib=sum(sizes.values()) / 2**20,
    )


def _rss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS:"))) / 1024


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


@asynccontextmanager
async def _repeated(seconds: float, what: Any) -> AsyncIterator[None]:
    async def repeat() -> None:
        while True:
            await asyncio.sleep(seconds)
            await what()

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()


async def soak(minutes: float) -> None:
    """Print a row a minute, and the balance."""
    with tempfile.TemporaryDirectory(prefix="z4j-soak-") as home:
        brain = DevBrain(limits=Limits(connects_per_minute=10**9))
        async with brain, rough_relay(brain.port, seed=14, longest_s=CONNECTION_LASTS_S) as relay:
            settings = brain.environment(brain.mint("soak")) | {"HOME": home, "Z4J_BRAIN_URL": relay.url}
            await _soak(minutes, brain, relay, settings, Path(home))


async def _soak(
    minutes: float, brain: DevBrain, relay: RoughRelay, settings: dict[str, str], home: Path
) -> None:
    workers = [Worker(f"w{n}", is_killed=n >= WORKERS // 2) for n in range(WORKERS)]
    killed = [w for w in workers if w.is_killed]
    counts = {"kills": 0, "restarts": 0}

    async def kill_one() -> None:
        worker = killed[counts["kills"] % len(killed)]
        counts["kills"] += 1
        await worker.kill()
        await worker.start(settings)

    async def restart_brain() -> None:
        counts["restarts"] += 1
        await brain.stop()
        await asyncio.sleep(5.0)
        await brain.start()

    samples: list[Sample] = []

    async def look() -> None:
        samples.append(sample(workers, home, began_s))

    print(HEAD, flush=True)
    shown: list[Sample] = []

    async def show() -> None:
        recent, before = samples[-1], shown[-1] if shown else samples[0]
        shown.append(recent)
        took = [us for w in workers for us in w.took_us]
        late = [ms for w in workers for ms in w.late_ms]
        cpu = (recent.cpu_s - before.cpu_s) / max(recent.at_s - before.at_s, 1e-9) * 100
        wal = max(s.wal_kib for s in samples if s.at_s >= before.at_s)
        files = max(s.files_mib for s in samples if s.at_s >= before.at_s)
        emits = " / ".join(f"{percentile(took, q):,.0f}" for q in (0.5, 0.99, 0.999)) if took else "–"
        lag = f"{percentile(late, 0.99):.1f}" if late else "–"
        faults = sum(relay.met.values())
        print(
            f"| {recent.at_s / 60:.0f} | {recent.rss_mib:.1f} | {recent.descriptors:.0f} | {cpu:.1f} "
            f"| {wal:,.0f} | {files:.1f} | {emits} | {lag} | {faults:,} |",
            flush=True,
        )

    for worker in workers:
        await worker.start(settings)
    began_s = time.monotonic()
    async with AsyncExitStack() as stack:
        for seconds, what in (
            (KILL_EVERY_S, kill_one),
            (RESTART_EVERY_S, restart_brain),
            (SAMPLE_EVERY_S, look),
            (61.0, show),
        ):
            await stack.enter_async_context(_repeated(seconds, what))
        await asyncio.sleep(minutes * 60)
    relay.is_rough = False
    processes = [worker.process for worker in workers if worker.process]
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    async with asyncio.timeout(SETTLES_WITHIN_S):
        await asyncio.gather(*(process.wait() for process in processes))
        await asyncio.gather(*(worker.listener for worker in workers if worker.listener))
    _balance(brain, relay, workers, counts)


def _balance(brain: DevBrain, relay: RoughRelay, workers: list[Worker], counts: dict[str, int]) -> None:
    arrived = [event["task_id"] for event in brain.seen.events.values() if event["task_id"]]
    stored, kept = set(arrived), {task_id for worker in workers for task_id in worker.kept}
    print(f"emit returned True: {len(kept):,}; False: {sum(worker.refused for worker in workers):,}")
    print(f"arrived: {len(stored):,}; lost: {len(kept - stored):,}")
    print(f"stored twice: {len(arrived) - len(stored):,}")
    print(f"sent again, and known to the brain by the id: {brain.seen.duplicates:,}")
    print(f"arrived, and the kill came before emit's answer was written down: {len(stored - kept):,}")
    print(f"connections: {dict(relay.met)}")
    print(f"kills: {counts['kills']}; brain restarts: {counts['restarts']}")
    print(f"the ends of the workers: {[worker.end for worker in workers]}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak")
    parser.add_argument("--minutes", type=float, default=30.0)
    asyncio.run(soak(parser.parse_args().minutes))
