"""What heartbeats tell of queues and workers: how much waits, and what each worker is and does."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.support.agents import until
from tests.support.redis import running_redis
from tests.support.task_events import last_event
from tests.support.taskiq_worker import QUEUE as STREAM
from tests.support.taskiq_worker import running_taskiq
from tests.workers.test_arq_commands import HOUR_S, QUEUE, arq_worker
from tests.workers.test_taskiq_redis import START_S, environment, submitted
from z4j_fastapi.agent import gauges
from z4j_fastapi.devbrain import DevBrain, Limits
from z4j_fastapi.workers.taskiq.actions import asked_concurrency

pytestmark = pytest.mark.component

SILENCE_S = 6.0


@pytest.fixture
async def brain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DevBrain]:
    """An embedded brain that hears of a worker ten times a second."""
    async with DevBrain(limits=Limits(heartbeat_interval_s=0.1)) as brain:
        for name, value in brain.environment(brain.mint("worker")).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("Z4J_HOME", str(tmp_path / "z4j"))
        yield brain


async def depth_is(brain: DevBrain, engine: str, queue: str, depth: int) -> None:
    await brain.seen.until(
        lambda: brain.queue_depths.get(engine, {}).get(queue) == depth,
        f"the depth {depth}, not {brain.queue_depths}",
        timeout_s=START_S,
    )


@pytest.mark.parametrize("may_sort", [True, False])
async def test_of_an_arq_queue_what_waits_is_shown_not_what_runs_or_is_deferred(
    brain: DevBrain, redis_url: str, monkeypatch: pytest.MonkeyPatch, may_sort: bool
) -> None:
    monkeypatch.setattr(gauges, "EVERY_S", 0.1)
    async with arq_worker(brain, redis_url, max_jobs=1) as arq:
        if not may_sort:
            await arq.pool.execute_command("ACL", "SETUSER", "default", "-sort")  # type: ignore[no-untyped-call]
        running = await arq.begins("forever")
        await depth_is(brain, "arq", QUEUE, 0)
        for _ in range(3):
            await arq.enqueue("note")
        await arq.enqueue("note", _defer_by=HOUR_S)
        await depth_is(brain, "arq", QUEUE, 3)
        name = arq.agent.status.worker_id
        assert name is not None
        await brain.seen.until(lambda: bool(brain.worker_details[name]["active"]), "it was seen to run")
        told = brain.worker_details[name]
        (active,) = told.pop("active")
        assert active.pop("runtime") >= 0
        assert active == {"id": running.job_id, "name": "forever"}
        stats = told.pop("stats")
        assert (stats["pid"], stats["pool"], stats["total"]) == (
            os.getpid(),
            {"max-concurrency": 1},
            {"forever": 1},
        )
        assert len(stats["loadavg"]) == 3
        assert told == {
            "active_queues": [{"name": QUEUE}],
            "registered": ["fail", "forever", "note"],
            "conf": {"worker_concurrency": 1, "timezone": time.strftime("%Z")},
        }
    assert [
        event["data"]["worker"] for event in brain.seen.events.values() if event["kind"] == "worker.online"
    ] == [name]


async def test_the_broker_is_asked_once_in_ten_seconds(brain: DevBrain, redis_url: str) -> None:
    async with arq_worker(brain, redis_url, poll_delay=60, health_check_interval=3600) as arq:
        await depth_is(brain, "arq", QUEUE, 0)
        beats = len(brain.seen.heartbeats)
        before = await calls(arq.pool)
        await brain.seen.until(lambda: len(brain.seen.heartbeats) > beats + 30, "heartbeats")
        assert await calls(arq.pool) - before <= 1


async def calls(redis: Any) -> int:
    """How often it was asked for depths."""
    stats = await redis.info("commandstats")
    return int(stats.get("cmdstat_zcount", {"calls": 0})["calls"])


async def test_heartbeats_go_on_while_redis_is_silent_and_no_old_depth_is_repeated_for_long(
    brain: DevBrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gauges, "EVERY_S", 0.2)
    monkeypatch.setattr(gauges, "SILENT_EVERY_S", 1.0)
    monkeypatch.setattr(gauges, "ANSWERS_S", 0.5)
    monkeypatch.setattr(gauges, "OLD_S", 2.0)
    async with running_redis(tmp_path) as url, arq_worker(brain, url, health_check_interval=3600) as arq:
        await depth_is(brain, "arq", QUEUE, 0)
        pid = (await arq.pool.info("server"))["process_id"]
        os.kill(pid, signal.SIGSTOP)
        try:
            beats, began_s = len(brain.seen.heartbeats), time.monotonic()
            await asyncio.sleep(SILENCE_S)
            heard = brain.seen.heartbeats[beats:]
            assert len(heard) > 0.2 * (time.monotonic() - began_s) / 0.1  # of a busy machine
            assert "arq.queue_depths" not in heard[-1].payload["adapter_health"]
        finally:
            os.kill(pid, signal.SIGCONT)
        await brain.seen.until(
            lambda: "arq.queue_depths" in brain.seen.heartbeats[-1].payload["adapter_health"],
            "the depth is told again",
            timeout_s=START_S,
        )


@pytest.mark.waits
@pytest.mark.component
@pytest.mark.parametrize("kind", ["stream", "list"])
async def test_of_a_taskiq_queue_what_no_worker_has_been_given_is_shown(
    brain: DevBrain, redis_url: str, tmp_path: Path, kind: str
) -> None:
    async with running_taskiq(tmp_path, redis_url, environment(), kind=kind, at_once=1):
        await brain.wait_for_workers(1, timeout_s=START_S)
        async with Redis.from_url(redis_url) as redis:
            for number in range(20 if kind == "stream" else 0):  # what has run stays in a stream
                await last_event(brain, await submitted(brain, "note", number))
            await depth_is(brain, "taskiq", STREAM, 0)
            first = await submitted(brain, "forever", 1)
            runs = tmp_path / "runs"  # made by the first one that writes
            await until(lambda: runs.exists() and "forever 1" in runs.read_text(), "it runs", START_S)
            for number in range(4):
                await submitted(brain, "note", number)
            waiting = await redis.llen(STREAM) if kind == "list" else await _lag(redis)
            await depth_is(brain, "taskiq", STREAM, waiting)
            assert waiting >= 3  # a worker may have taken one
        (told,) = brain.worker_details.values()
        assert [task["name"] for task in told["active"]][:1] == ["forever"]
        assert told["active_queues"] == [{"name": STREAM}]
        assert {"note", "fail", "forever", "thread"} <= set(told["registered"])
        assert told["conf"]["worker_concurrency"] == 1
        await brain.command("cancel_task", task_id=first, engine="taskiq")


async def _lag(redis: Any) -> int:
    (group,) = await redis.xinfo_groups(STREAM)
    return int(group["lag"])


@pytest.mark.parametrize(
    ("argv", "asked"),
    [
        (["taskiq", "worker", "m:broker"], None),
        (["taskiq", "worker", "--max-async-tasks", "7", "m:broker"], 7),
        (["taskiq", "--max-async-tasks=7"], 7),
        (["taskiq", "--max-async-tasks"], None),
        (["taskiq", "--max-async-tasks=-1"], None),
        (["taskiq", "--max-async-tasks", "٣"], None),
    ],
)
def test_the_command_line_says_how_many_taskiq_runs_at_once(argv: list[str], asked: int | None) -> None:
    assert asked_concurrency(argv) == asked


async def test_the_agents_health_is_told_at_most_twelve_times_a_minute(
    brain: DevBrain, redis_url: str
) -> None:
    async with arq_worker(brain, redis_url):
        await brain.seen.until(lambda: len(brain.seen.heartbeats) > 20, "heartbeats")
    (status,) = brain.seen.agent_statuses
    assert status["engines"] == ["arq"]
    assert status["last_successful_connect_at"].endswith("Z")
