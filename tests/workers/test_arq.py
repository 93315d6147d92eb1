"""An arq worker with an agent: what the brain is told of each job, while no job notices."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from arq import Retry, cron, func
from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.jobs import Job, JobStatus
from arq.worker import Worker, create_worker

from tests.support.agents import until
from tests.support.task_events import events_of, kinds, last_event
from z4j_fastapi.devbrain import DevBrain
from z4j_fastapi.workers.arq import z4j_worker

pytestmark = pytest.mark.component

WAIT_S = 60.0

Context = dict[str, Any]


async def add(ctx: Context, a: int, b: int = 0, password: str = "") -> int:
    return a + b


async def divide(ctx: Context, a: int) -> float:
    return a / 0


async def third_time_lucky(ctx: Context) -> str:
    if ctx["job_try"] < 3:
        raise Retry
    return "at last"


async def always_again(ctx: Context) -> None:
    raise Retry


async def forever(ctx: Context) -> None:
    ctx["begun"].set()
    await asyncio.Event().wait()


@asynccontextmanager
async def working(redis_url: str, **settings: Any) -> AsyncIterator[ArqRedis]:
    """A worker with an agent, at work; gives a client's connection to its queue."""
    given: dict[str, Any] = {
        "redis_settings": RedisSettings.from_dsn(redis_url),
        "handle_signals": False,
        "poll_delay": 0.02,
        "ctx": {"begun": asyncio.Event()},
        **settings,
    }
    worker = Worker(**z4j_worker(given))
    async with at_work(worker) as pool:
        yield pool


@asynccontextmanager
async def at_work(worker: Worker) -> AsyncIterator[ArqRedis]:
    pool = await create_pool(worker.redis_settings)
    running = asyncio.create_task(worker.async_run())
    try:
        yield pool
    finally:
        await stopped(worker, running)
        await pool.aclose()


async def stopped(worker: Worker, running: asyncio.Task[None]) -> None:
    """End a worker as arq does, its loop first: what asks Redis when the pool is closed connects anew."""
    if worker.main_task is not None:
        worker.main_task.cancel()
    await asyncio.wait({running})
    # arq's close raises CancelledError while it stores what became of a job
    tasks, jobs = worker.tasks, worker.job_tasks
    await until(lambda: all(t.done() or j in jobs for j, t in tasks.items()), "no job was being stored")
    await worker.close()


async def enqueue(pool: ArqRedis, name: str, *args: Any, **kwargs: Any) -> Job:
    job = await pool.enqueue_job(name, *args, **kwargs)
    assert job is not None
    return job


async def test_a_job_that_succeeds_is_told_from_reception_to_result(brain: DevBrain, redis_url: str) -> None:
    async with working(redis_url, functions=[add]) as pool:
        job = await enqueue(pool, "add", 2, b=3, password="hunter2")
        assert await job.result(WAIT_S) == 5
        ended = await last_event(brain, job.job_id)
    assert kinds(brain, job.job_id) == ["received", "started", "succeeded"]
    received = events_of(brain, job.job_id)[0]
    assert received["engine"] == "arq"
    assert received["data"]["args"] == [2]
    assert received["data"]["kwargs"] == {"b": 3, "password": "[redacted]"}
    assert (ended["task_name"], ended["queue"], ended["result"]) == ("add", "arq:queue", 5)
    assert ended["retry_count"] == 0
    assert 0 <= ended["runtime_ms"] < 5_000
    assert ended["worker"] == brain.seen.hellos[0].worker_id


async def test_the_worker_introduces_itself_as_one_and_leaves_when_it_stops(
    brain: DevBrain, redis_url: str
) -> None:
    async with working(redis_url, functions=[add]):
        await brain.wait_for_workers(1)
        hello = brain.seen.hellos[0]
        assert (hello.worker_role, tuple(hello.engines)) == ("task", ("arq",))
    await brain.wait_for_workers(0)


async def test_a_job_that_fails_comes_with_exception_and_traceback(brain: DevBrain, redis_url: str) -> None:
    async with working(redis_url, functions=[divide]) as pool:
        job = await enqueue(pool, "divide", 1)
        with pytest.raises(ZeroDivisionError):
            await job.result(WAIT_S)
        ended = await last_event(brain, job.job_id)
    assert ended["kind"] == "task.failed"
    assert ended["exception"] == "ZeroDivisionError: division by zero"
    assert "return a / 0" in ended["traceback"]


async def test_a_retry_is_no_failure_and_counts(brain: DevBrain, redis_url: str) -> None:
    async with working(redis_url, functions=[third_time_lucky]) as pool:
        job = await enqueue(pool, "third_time_lucky")
        assert await job.result(WAIT_S) == "at last"
        ended = await last_event(brain, job.job_id, ends=3)
    assert [kind for kind in kinds(brain, job.job_id) if kind not in {"received", "started"}] == [
        "retried",
        "retried",
        "succeeded",
    ]
    assert ended["retry_count"] == 2


async def test_a_job_that_has_used_up_its_tries_has_failed(brain: DevBrain, redis_url: str) -> None:
    async with working(redis_url, functions=[func(always_again, max_tries=1)]) as pool:
        job = await enqueue(pool, "always_again")
        ended = await last_event(brain, job.job_id, ends=2)
    assert ended["kind"] == "task.failed"
    assert "max" in ended["exception"]
    assert "retries" in ended["exception"]


@pytest.mark.parametrize("keep_result", [3600, 0], ids=["kept", "not kept"])
async def test_a_job_that_takes_too_long_has_failed_by_its_timeout(
    brain: DevBrain, redis_url: str, keep_result: float
) -> None:
    functions = [func(forever, timeout=0.1, keep_result=keep_result)]
    async with working(redis_url, functions=functions) as pool:
        job = await enqueue(pool, "forever")
        ended = await last_event(brain, job.job_id)
    assert ended["kind"] == "task.failed"
    assert ended["exception"].startswith("TimeoutError")
    assert "in forever" in ended["traceback"]


@pytest.mark.parametrize("keep_result", [3600, 0], ids=["kept", "not kept"])
async def test_a_job_that_is_aborted_was_revoked(brain: DevBrain, redis_url: str, keep_result: float) -> None:
    begun = asyncio.Event()
    settings: dict[str, Any] = {"allow_abort_jobs": True, "ctx": {"begun": begun}}
    async with working(redis_url, functions=[func(forever, keep_result=keep_result)], **settings) as pool:
        job = await enqueue(pool, "forever")
        await begun.wait()
        assert await job.abort(timeout=WAIT_S) is bool(keep_result)  # arq says no more of a result not kept
        ended = await last_event(brain, job.job_id)
    assert ended["kind"] == "task.revoked"


async def test_a_job_that_a_shutdown_interrupts_will_be_retried(brain: DevBrain, redis_url: str) -> None:
    begun = asyncio.Event()
    async with working(redis_url, functions=[forever], ctx={"begun": begun}) as pool:
        job = await enqueue(pool, "forever")
        await begun.wait()
    assert (await last_event(brain, job.job_id))["kind"] == "task.retried"


async def test_a_job_without_a_function_has_failed(brain: DevBrain, redis_url: str) -> None:
    async with working(redis_url, functions=[add]) as pool:
        job = await enqueue(pool, "subtract", 2, 1)
        ended = await last_event(brain, job.job_id)
        assert await job.status() is JobStatus.complete
    assert ended["kind"] == "task.failed"
    assert ended["task_name"] == "subtract"
    assert "not found" in ended["exception"]


async def test_a_cron_job_keeps_its_name(brain: DevBrain, redis_url: str) -> None:
    async def nightly(ctx: Context) -> None:
        """Runs once, now."""

    jobs = [cron(nightly, name="nightly", run_at_startup=True, hour=3, minute=0)]
    async with working(redis_url, cron_jobs=jobs):
        await until(lambda: len(brain.seen.events) >= 4, "the cron job ran")
    told = [event for event in brain.seen.events.values() if event["kind"].startswith("task.")]
    assert {event["data"]["task_name"] for event in told} == {"nightly"}


async def test_a_job_that_ends_its_worker_will_run_again(brain: DevBrain, redis_url: str) -> None:
    class Panic(BaseException):
        """As SystemExit, but the test's loop survives it."""

    async def panic(ctx: Context) -> None:
        raise Panic

    async with working(redis_url, functions=[func(panic, name="panic")]) as pool:
        job = await enqueue(pool, "panic")
        await until(lambda: len(kinds(brain, job.job_id)) == 3, "it was told")
    assert kinds(brain, job.job_id) == ["received", "started", "retried"]


async def test_the_hooks_and_the_serializer_that_were_there_keep_working(
    brain: DevBrain, redis_url: str
) -> None:
    calls: list[str] = []

    def hook(name: str) -> Callable[[Context], Awaitable[None]]:
        async def called(ctx: Context) -> None:
            calls.append(f"{name} {ctx['z4j'].status.state}")

        return called

    def serialize(data: Any) -> bytes:
        return repr(data).encode()

    names = ["on_startup", "on_shutdown", "on_job_start", "on_job_end", "after_job_end"]
    settings = {name: hook(name) for name in names}
    serializers: dict[str, Any] = {"job_serializer": serialize, "job_deserializer": lambda data: eval(data)}
    async with working(redis_url, functions=[add], **settings, **serializers):
        pool = await create_pool(RedisSettings.from_dsn(redis_url), **serializers)
        job = await enqueue(pool, "add", 1)
        assert await job.result(WAIT_S) == 1
        await pool.aclose()
    ran = ["on_startup", "on_job_start", "on_job_end", "after_job_end", "on_shutdown"]
    assert calls == [f"{name} online" for name in ran]


async def test_a_settings_class_is_what_arq_expects_of_one(brain: DevBrain, redis_url: str) -> None:
    @z4j_worker(agent_name="jobs")
    class WorkerSettings:
        functions = ["tests.workers.test_arq.add", func(add, name="plus")]  # noqa: RUF012
        redis_settings = RedisSettings.from_dsn(redis_url)
        handle_signals = False
        poll_delay = 0.02

    worker = create_worker(cast("Any", WorkerSettings))
    assert set(worker.functions) == {"tests.workers.test_arq.add", "plus"}
    async with at_work(worker) as pool:
        job = await enqueue(pool, "plus", 1, 1)
        assert await job.result(WAIT_S) == 2


async def test_jobs_do_not_notice_a_brain_that_is_away(brain: DevBrain, redis_url: str) -> None:
    await brain.stop()
    async with working(redis_url, functions=[add]) as pool:
        job = await enqueue(pool, "add", 1, 1)
        assert await job.result(WAIT_S) == 2
    await brain.start()
    async with working(redis_url, functions=[add]):
        await last_event(brain, job.job_id)
    assert kinds(brain, job.job_id) == ["received", "started", "succeeded"]


def test_the_module_needs_no_arq_until_a_worker_is_made() -> None:
    check = "import sys; sys.modules['arq'] = None; import z4j_fastapi.workers.arq"
    subprocess.run([sys.executable, "-c", check], check=True)
