"""What a person clicks on the real brain's dashboard happens on an arq worker, or is refused with why."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.constants import abort_jobs_ss
from arq.worker import Worker

from tests.interop.test_commands import WAIT_S, Person, minted
from tests.support.agents import until
from tests.support.arq_worker import RAN, arq_program
from tests.support.brain_api import BrainApi, Credentials
from tests.support.real_brain import running_brain
from tests.support.redis import running_redis
from tests.workers.test_arq import at_work, forever
from tests.workers.test_arq_commands import HOUR_S, QUEUE, fail, note
from z4j_fastapi import State, Z4JAgent
from z4j_fastapi.workers.arq import z4j_pool, z4j_worker

__all__ = ["minted"]

pytestmark = pytest.mark.interop


@pytest.fixture
async def redis_url(tmp_path: Path) -> AsyncIterator[str]:
    async with running_redis(tmp_path) as url:
        yield url


class Desk:
    """A person at the dashboard of a worker's brain, and what the worker's functions were called with."""

    def __init__(self, brain: BrainApi, minted: Credentials, worker: Worker, pool: ArqRedis) -> None:
        self.brain, self.minted, self.worker, self.pool = brain, minted, worker, pool
        self.person = Person(brain, minted)
        self.runs: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = worker.ctx["runs"]

    @property
    def agent(self) -> Z4JAgent:
        agent: Z4JAgent = self.worker.ctx["z4j"]
        return agent

    async def enqueue(self, name: str, *args: Any, **options: Any) -> str:
        job = await self.pool.enqueue_job(name, *args, _queue_name=QUEUE, **options)
        assert job is not None
        return job.job_id

    async def is_shown(self, task_id: str, state: str) -> dict[str, Any]:
        """The task's row, once it says so."""
        async with asyncio.timeout(WAIT_S):
            while True:
                rows = await asyncio.to_thread(self.brain.tasks, self.minted.project, search=task_id)
                for row in rows:
                    if row["task_id"] == task_id and row["state"] == state:
                        return row
                await asyncio.sleep(0.1)

    async def cancels(self, task_id: str) -> dict[str, Any]:
        return await self.person.does("cancel-task", engine="arq", task_id=task_id)


@asynccontextmanager
async def desk(
    brain: BrainApi, minted: Credentials, redis_url: str, home: Path, **settings: Any
) -> AsyncIterator[Desk]:
    given: dict[str, Any] = {
        "functions": [note, fail, forever],
        "queue_name": QUEUE,
        "redis_settings": RedisSettings.from_dsn(redis_url),
        "handle_signals": False,
        "poll_delay": 0.05,
        "ctx": {"begun": asyncio.Event(), "runs": [], "fails": True},
        **settings,
    }
    agent = {
        "brain_url": brain.url,
        "token": minted.token,
        "hmac_secret": minted.hmac_secret,
        "project_id": minted.project,
        "home": home / "z4j",
        "preflight_budget_s": WAIT_S,
        "commands": "all",
    }
    worker = Worker(**z4j_worker(**agent)(given))
    async with at_work(worker) as pool:
        await until(lambda: "redis" in worker.ctx, "it was connected", WAIT_S)
        await until(lambda: worker.ctx["z4j"].status.state is State.ONLINE, "it was online", WAIT_S)
        yield Desk(brain, minted, worker, z4j_pool(pool, worker.ctx["z4j"]))


async def test_every_button_does_what_it_says_or_says_why_not(
    real_brain: BrainApi, minted: Credentials, tmp_path: Path, redis_url: str
) -> None:
    async with desk(real_brain, minted, redis_url, tmp_path) as at:
        given: dict[str, Any] = {"project": minted.project, "args": [1], "kwargs": {"a": 2}}
        schedule_id = await asyncio.to_thread(real_brain.create_schedule, "note", "arq", "1h", **given)
        await asyncio.to_thread(real_brain.trigger, minted, schedule_id)
        await until(lambda: len(at.runs) == 1, "the schedule ran once", WAIT_S)
        assert at.runs[0][1:] == ((1,), {"a": 2})
        await at.is_shown(at.runs[0][0], "success")

        # a deferred job is cancelled, and never runs
        deferred = await at.enqueue("note", _defer_by=HOUR_S)
        await at.is_shown(deferred, "received")
        assert (await at.cancels(deferred))["result"] == {"task_id": deferred, "aborted": True}
        await at.is_shown(deferred, "revoked")
        assert await at.pool.zcard(QUEUE) == 0
        assert not await at.pool.exists(f"arq:job:{deferred}", abort_jobs_ss)

        # a running one is refused, with what to set
        running = await at.enqueue("forever")
        await at.is_shown(running, "started")
        refused = await at.cancels(running)
        assert refused["status"] == "failed"
        assert refused["error"].startswith("command.abort_not_allowed: ")
        assert "allow_abort_jobs" in refused["error"]
        assert not await at.pool.exists(abort_jobs_ss)

        # dead letters, requeue, retry
        dead = await at.enqueue("fail", "no")
        await at.is_shown(dead, "failure")
        page = await asyncio.to_thread(real_brain.dead_letters, minted, "arq")
        assert [(e["task_id"], e["error_excerpt"]) for e in page["entries"]] == [(dead, "ValueError: no")]
        with pytest.raises(AssertionError, match="422"):
            await asyncio.to_thread(real_brain.dead_letters, minted, "arq", cursor="not-mine")
        at.worker.ctx["fails"] = False
        requeued = await at.person.does("requeue-dead-letter", engine="arq", task_id=dead)
        row = await at.is_shown(requeued["result"]["task_id"], "success")
        assert row["parent_task_id"] == dead
        retried = await at.person.does(
            "retry-task", engine="arq", task_id=dead, override_args=["yes"], override_kwargs={}
        )
        await at.is_shown(retried["result"]["task_id"], "success")
        assert [run[1] for run in at.runs[1:]] == [("no",), ("no",), ("yes",)]

        # a purge takes what waits or is deferred, after its depth (what waits) was confirmed, never what runs
        for _ in range(3):
            await at.enqueue("note", _defer_by=HOUR_S)
        wrong = await at.person.does("purge-queue", queue=QUEUE, observed_depth=3)
        assert (wrong["status"], wrong["error"].partition(":")[0]) == ("failed", "command.wrong_token")
        purged = await at.person.does("purge-queue", queue=QUEUE, observed_depth=0)
        assert purged["result"] == {"purged": 3}
        assert await at.pool.zrange(QUEUE, 0, -1) == [running.encode()]

        # what arq has nothing for is refused with a reason
        limited = await at.person.does("rate-limit", engine="arq", task_name="note", rate="1/m")
        assert (limited["status"], limited["error"].partition(":")[0]) == ("failed", "command.unsupported")


async def test_a_running_job_is_ended_where_the_worker_allows_it(
    real_brain: BrainApi, minted: Credentials, tmp_path: Path, redis_url: str
) -> None:
    async with desk(real_brain, minted, redis_url, tmp_path, allow_abort_jobs=True) as at:
        running = await at.enqueue("forever")
        await at.is_shown(running, "started")
        assert (await at.cancels(running))["status"] == "completed"
        await at.is_shown(running, "revoked")
        assert not await at.pool.exists(abort_jobs_ss)
        assert not at.worker.job_tasks


@pytest.mark.waits
async def test_fifty_failed_jobs_are_retried_in_bulk_once_each(
    real_brain: BrainApi, minted: Credentials, tmp_path: Path, redis_url: str
) -> None:
    async with desk(real_brain, minted, redis_url, tmp_path) as at:
        failed = [await at.enqueue("fail", number) for number in range(50)]
        for task_id in failed:
            await at.is_shown(task_id, "failure")
        at.worker.ctx["fails"] = False
        at.runs.clear()
        request_id = await asyncio.to_thread(real_brain.bulk_retry, minted, "arq")
        async with asyncio.timeout(3 * WAIT_S):  # a brain that other tests keep busy takes seconds for each
            while True:
                counts: Mapping[str, int] = await asyncio.to_thread(
                    real_brain.bulk_counts, minted, request_id
                )
                if counts["succeeded"] == 50:
                    break
                await asyncio.sleep(0.1)
        await until(lambda: len(at.runs) == 50 and not at.worker.tasks, "all ran", WAIT_S)
        assert sorted(args[0] for _, args, _ in at.runs) == list(range(50))


@pytest.mark.slow
async def test_a_schedule_that_fires_ten_times_runs_once_each_though_the_worker_is_killed(
    brain_with_scheduler: BrainApi, tmp_path: Path, redis_url: str
) -> None:
    brain, given = brain_with_scheduler, brain_with_scheduler.mint()
    environment = environment_of(brain, given, tmp_path)
    redis: ArqRedis = await create_pool(RedisSettings.from_dsn(redis_url))
    schedule_id = ""
    for killed_at in (3, 7, 10):
        with arq_program(sys.executable, redis_url, environment) as process:
            if not schedule_id:
                await until(lambda: brain.agent(given)["state"] == "online", "it was online", WAIT_S)
                schedule_id = brain.create_schedule("note", "arq", every="5s")
            async with asyncio.timeout(3 * WAIT_S):
                # a job that a kill cuts off is run again by arq itself, minutes later
                while await redis.llen(RAN) < killed_at or await redis.zcard("arq:queue"):  # type: ignore[misc] # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            if killed_at < 10:
                os.kill(process.pid, signal.SIGKILL)
    ran = await redis.lrange(RAN, 0, -1)  # type: ignore[misc]
    assert len(ran) == len(set(ran)) >= 10
    assert (await asyncio.to_thread(brain.schedule, schedule_id))["is_enabled"] is True
    await redis.aclose()


@pytest.mark.slow
async def test_a_task_left_started_by_a_kill_is_reconciled_by_the_brains_own_clock(
    tmp_path: Path, redis_url: str
) -> None:
    impatient = {
        "Z4J_RECONCILIATION_SWEEP_SECONDS": "30",  # of 300
        "Z4J_RECONCILIATION_STALE_THRESHOLD_SECONDS": "60",  # of 900
    }
    redis: ArqRedis = await create_pool(RedisSettings.from_dsn(redis_url))
    with running_brain(tmp_path / "brain", impatient) as process:
        brain = BrainApi(process.url)
        given = brain.mint()
        environment = environment_of(brain, given, tmp_path)
        job = await redis.enqueue_job("forever")
        assert job is not None
        with arq_program(sys.executable, redis_url, environment) as killed:
            await until(lambda: states(brain, job.job_id) == ["started"], "it was seen to run", WAIT_S)
            os.kill(killed.pid, signal.SIGKILL)
        await redis.delete(f"arq:in-progress:{job.job_id}")  # as its expiry does
        with arq_program(sys.executable, redis_url, {**environment, "Z4J_DISABLED": "1"}):
            await job.result(WAIT_S, poll_delay=0.05)
        assert states(brain, job.job_id) == ["started"]
        with arq_program(sys.executable, redis_url, environment):
            await until(lambda: states(brain, job.job_id) == ["success"], "it was reconciled", 5 * WAIT_S)
        brain.close()
    await redis.aclose()


async def test_a_supervised_worker_is_restarted_by_its_button(
    real_brain: BrainApi, minted: Credentials, tmp_path: Path, redis_url: str
) -> None:
    environment = {
        **environment_of(real_brain, minted, tmp_path),
        "Z4J_COMMANDS": "all",
        "SUPERVISOR_ENABLED": "1",
    }
    # a brain that is late by more than a stop may take hears of the end first, and not the answer behind it
    for _ in range(3):
        with arq_program(sys.executable, redis_url, environment) as process:
            await until(lambda: real_brain.agent(minted)["state"] == "online", "it was online", WAIT_S)
            await until(lambda: len(real_brain.workers(minted)) == 1, "its process was known", WAIT_S)
            name, person = await worker_name(real_brain, minted), Person(real_brain, minted)
            row: dict[str, Any] = {}
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WAIT_S / 4):
                    while not row:
                        with contextlib.suppress(AssertionError):  # it does not know yet whose worker that is
                            row = await person.does("restart-worker", engine="arq", worker_name=name)
                        await asyncio.sleep(0.2)
            assert await asyncio.to_thread(process.wait, WAIT_S) == 0
        if row:
            break
    assert row["status"] == "completed"


async def worker_name(brain: BrainApi, minted: Credentials) -> str:
    """What the brain calls the worker, once it has a row from the worker's own events."""
    async with asyncio.timeout(WAIT_S):
        while True:
            rows = await asyncio.to_thread(brain.engine_workers, minted)
            if rows:
                return str(rows[0]["name"])
            await asyncio.sleep(0.1)


def states(brain: BrainApi, task_id: str) -> list[str]:
    """What the brain's row of a task says."""
    return [row["state"] for row in brain.tasks(search=task_id) if row["task_id"] == task_id]


def environment_of(brain: BrainApi, minted: Credentials, home: Path) -> dict[str, str]:
    return {
        "Z4J_BRAIN_URL": brain.url,
        "Z4J_TOKEN": minted.token,
        "Z4J_HMAC_SECRET": minted.hmac_secret,
        "Z4J_PROJECT_ID": minted.project,
        "Z4J_AGENT_NAME": f"worker-{secrets.token_hex(4)}",
        "Z4J_HOME": str(home / "z4j"),
    }
