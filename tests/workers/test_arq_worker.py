"""An arq worker with an agent is the worker that arq would have made: its settings mean what they meant."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from arq import Retry, func
from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.jobs import Job
from arq.worker import Worker, create_worker

from tests.support.agents import until, warnings
from tests.support.task_events import events_of, kinds, last_event
from tests.workers.test_arq import Context, add, at_work, enqueue, forever
from z4j_fastapi import State, Z4JAgent
from z4j_fastapi.devbrain import DevBrain
from z4j_fastapi.workers.arq import z4j_pool, z4j_worker

pytestmark = pytest.mark.component

WAIT_S = 60.0


def settings_class(redis_url: str, **more: Any) -> Any:
    """A decorated settings class."""
    given = {
        "functions": [add],
        "redis_settings": RedisSettings.from_dsn(redis_url),
        "handle_signals": False,
        "poll_delay": 0.02,
        **more,
    }
    return z4j_worker(type("WorkerSettings", (), given))


async def subtract(ctx: Context, a: int, b: int) -> int:
    return a - b


async def test_each_worker_of_one_class_has_its_own_agent_queue_and_hooks(
    brain: DevBrain, redis_url: str
) -> None:
    calls: list[str] = []

    async def up(ctx: Context) -> None:
        calls.append("up")

    async def down(ctx: Context) -> None:
        calls.append("down")

    settings = settings_class(redis_url, on_startup=up, on_shutdown=down)
    first = create_worker(settings, queue_name="first")
    second = create_worker(settings, queue_name="second")
    async with at_work(first) as pool, at_work(second):
        await brain.wait_for_workers(2)
        queues = {}
        for queue in ("first", "second"):
            job = await enqueue(pool, "add", 1, _queue_name=queue)
            queues[queue] = (await last_event(brain, job.job_id))["queue"]
    assert queues == {"first": "first", "second": "second"}
    assert sorted(calls) == ["down", "down", "up", "up"]
    await brain.wait_for_workers(0)


async def test_a_job_finds_the_agent_of_its_own_worker_in_a_context_that_workers_share(
    brain: DevBrain, redis_url: str
) -> None:
    async def whose(ctx: Context) -> str:
        return str(ctx["z4j"].status.worker_id)

    settings = settings_class(redis_url, functions=[func(whose, name="whose")], ctx={"shared": True})
    workers = [create_worker(settings, queue_name=name) for name in ("first", "second")]
    async with at_work(workers[0]) as pool, at_work(workers[1]):
        await brain.wait_for_workers(2)
        for name in ("first", "second"):
            job = await enqueue(pool, "whose", _queue_name=name)
            ended = await last_event(brain, job.job_id)
            assert ended["result"] == ended["worker"]


@pytest.mark.parametrize(
    "functions",
    [
        pytest.param(lambda: {add}, id="set"),
        pytest.param(lambda: {"add": add}.values(), id="dict.values()"),
        pytest.param(lambda: (f for f in [add]), id="generator"),
        pytest.param(lambda: map(func, (add,)), id="map"),
        pytest.param(lambda: (add,), id="tuple"),
    ],
)
async def test_functions_may_be_whatever_arq_iterates(
    brain: DevBrain, redis_url: str, functions: Callable[[], Any]
) -> None:
    async with at_work(create_worker(settings_class(redis_url, functions=functions()))) as pool:
        job = await enqueue(pool, "add", 1, 1)
        await last_event(brain, job.job_id)
    assert kinds(brain, job.job_id) == ["received", "started", "succeeded"]


async def test_functions_may_be_added_after_decorating(brain: DevBrain, redis_url: str) -> None:
    settings = settings_class(redis_url)
    settings.functions.append(subtract)
    settings.functions = settings.functions + [func(add, name="plus")]  # noqa: RUF005 - as people write it
    worker = create_worker(settings)
    worker.functions["late"] = func(add, name="late")
    async with at_work(worker) as pool:
        worker.functions["later"] = func(add, name="later")
        for name in ("add", "subtract", "plus", "late", "later"):
            job = await enqueue(pool, name, 3, 2)
            assert (await last_event(brain, job.job_id))["task_name"] == name


async def test_a_decorated_class_keeps_what_it_says() -> None:
    given: dict[str, Any] = {"functions": [add], "max_jobs": 3, "on_startup": forever}
    settings = z4j_worker(type("WorkerSettings", (), dict(given)))
    assert {name: getattr(settings, name) for name in given} == given
    assert create_worker(cast("Any", settings)).on_startup == forever


async def test_keyword_arguments_override_the_class_and_keep_the_agent(
    brain: DevBrain, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []

    async def up(ctx: Context) -> None:
        calls.append("up")
        ctx["begun"] = asyncio.Event()

    async def down(ctx: Context) -> None:
        assert ctx["z4j"].status.state is State.ONLINE
        calls.append("down")

    settings = settings_class(redis_url, functions=[add])
    overriding: dict[str, Any] = {
        "functions": [subtract, forever],
        "on_startup": up,
        "on_shutdown": down,
        "after_job_end": None,
        "job_serializer": None,
        "job_timeout": 0.1,
        "queue_name": "urgent",
    }
    async with at_work(create_worker(settings, **overriding)) as pool:
        job = await enqueue(pool, "subtract", 3, 2, _queue_name="urgent")
        ended = await last_event(brain, job.job_id)
        assert (ended["result"], ended["queue"]) == (1, "urgent")
        late = await last_event(brain, (await enqueue(pool, "forever", _queue_name="urgent")).job_id)
    assert late["kind"] == "task.failed"
    assert late["exception"].startswith("TimeoutError")
    assert calls == ["up", "down"]
    assert warnings(caplog) == []
    await brain.wait_for_workers(0)


async def test_hooks_that_are_replaced_on_the_worker_cost_neither_agent_nor_events(
    brain: DevBrain, redis_url: str
) -> None:
    async def hook(ctx: Context) -> None:
        """The host's own."""

    worker = create_worker(settings_class(redis_url))
    worker.on_startup = worker.on_shutdown = worker.after_job_end = hook
    async with at_work(worker) as pool:
        job = await enqueue(pool, "add", 1)
        assert (await last_event(brain, job.job_id))["kind"] == "task.succeeded"
    await brain.wait_for_workers(0)


async def test_a_worker_that_runs_twice_has_one_agent(brain: DevBrain, redis_url: str) -> None:
    worker = create_worker(settings_class(redis_url), burst=True)
    pool = await create_pool(RedisSettings.from_dsn(redis_url))
    for _ in range(2):
        job = await enqueue(pool, "add", 1)
        await worker.async_run()
        await last_event(brain, job.job_id)
    await worker.close()
    await pool.aclose()
    assert len(brain.seen.hellos) == 1
    await brain.wait_for_workers(0)


async def test_a_worker_of_other_settings_has_no_agent(brain: DevBrain, redis_url: str) -> None:
    settings_class(redis_url)
    plain = Worker(
        functions=[add],
        redis_settings=RedisSettings.from_dsn(redis_url),
        handle_signals=False,
        poll_delay=0.02,
    )
    async with at_work(plain) as pool:
        job = await enqueue(pool, "add", 1, 1)
        assert await job.result(WAIT_S) == 2
    assert brain.seen.hellos == []


async def test_a_retry_counts_the_one_that_it_reports(brain: DevBrain, redis_url: str) -> None:
    async def third_time(ctx: Context) -> None:
        if ctx["job_try"] < 3:
            raise Retry

    async with at_work(
        create_worker(settings_class(redis_url, functions=[func(third_time, name="x")]))
    ) as pool:
        job = await enqueue(pool, "x")
        await last_event(brain, job.job_id, ends=3)
    told = [e["data"]["retry_count"] for e in events_of(brain, job.job_id) if e["kind"] == "task.retried"]
    assert told == [1, 2]


async def test_a_pool_tells_of_jobs_that_wait_and_whose_children_they_are(
    brain: DevBrain, redis_url: str
) -> None:
    async def parent(ctx: Context) -> str:
        job = await cast("ArqRedis", ctx["redis"]).enqueue_job("add", 1, b=2, _queue_name="unread")
        assert job is not None
        return str(job.job_id)

    async def up(ctx: Context) -> None:
        ctx["redis"] = z4j_pool(ctx["redis"])

    settings = settings_class(redis_url, functions=[func(parent, name="parent")], on_startup=up)
    async with at_work(create_worker(settings)) as pool:
        job = await enqueue(pool, "parent")
        child = (await last_event(brain, job.job_id))["result"]
        await until(lambda: len(kinds(brain, child)) == 2, "the child was told of")
    assert kinds(brain, child) == ["sent", "received"]
    told = events_of(brain, child)[1]["data"]
    assert (told["task_name"], told["queue"], told["args"], told["kwargs"]) == (
        "add",
        "unread",
        [1],
        {"b": 2},
    )
    assert (told["parent_task_id"], told["root_task_id"]) == (job.job_id, job.job_id)


async def test_a_pool_of_a_process_that_only_enqueues_tells_by_its_agent(
    brain: DevBrain, redis_url: str
) -> None:
    pool = await create_pool(RedisSettings.from_dsn(redis_url))
    async with Z4JAgent(engines=["arq"]) as agent:
        z4j_pool(z4j_pool(pool, agent), agent)  # as a lifespan that runs again does
        job = cast("Job", await pool.enqueue_job("add", 1, _job_id="one"))
        assert await pool.enqueue_job("add", 1, _job_id="one") is None
        await until(lambda: len(kinds(brain, job.job_id)) >= 2, "it was told of")
    await pool.aclose()
    assert kinds(brain, "one") == ["sent", "received"]
