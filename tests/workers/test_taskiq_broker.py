"""A taskiq broker with an agent, however it is started, and with a real queue between sender and worker."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from taskiq import InMemoryBroker
from taskiq.api import run_receiver_task
from taskiq.exceptions import SendTaskError

from tests.support.agents import until
from tests.support.stand_ins.taskiq_redis import RedisStreamBroker
from tests.support.task_events import events_of, kinds, last_event
from z4j_fastapi import Z4JAgent
from z4j_fastapi.devbrain import DevBrain
from z4j_fastapi.workers.taskiq import Z4JMiddleware


def broker_of(redis_url: str, agent: Z4JAgent | None = None) -> RedisStreamBroker:
    broker = RedisStreamBroker(redis_url, f"queue-{uuid.uuid4()}")
    return broker.with_middlewares(Z4JMiddleware(agent))


@asynccontextmanager
async def receiving(broker: RedisStreamBroker) -> AsyncIterator[None]:
    """The broker's tasks run in this process, as an application's own receiver runs them."""
    receiver = asyncio.create_task(run_receiver_task(broker))
    try:
        yield
    finally:
        receiver.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await receiver


@pytest.mark.component
async def test_a_receiver_that_begins_after_the_broker_has_an_agent_from_its_first_task(
    brain: DevBrain, redis_url: str
) -> None:
    broker = broker_of(redis_url)

    @broker.task
    async def add(a: int) -> int:
        return a

    await broker.startup()
    async with receiving(broker):
        sent = [await add.kiq(n) for n in range(5)]
        for task in sent:
            assert (await last_event(brain, task.task_id))["kind"] == "task.succeeded"
        await brain.wait_for_workers(1)
        assert broker.state.z4j.status.worker_id == brain.seen.hellos[0].worker_id
    await broker.shutdown()
    await brain.wait_for_workers(0)
    assert len(brain.seen.hellos) == 1


@pytest.mark.component
async def test_a_first_task_does_not_wait_for_a_brain_that_is_away(brain: DevBrain, redis_url: str) -> None:
    await brain.stop()
    ran = asyncio.Event()
    broker = broker_of(redis_url)

    @broker.task
    async def run() -> None:
        ran.set()

    async with receiving(broker):
        sent = await run.kiq()
        await asyncio.wait_for(ran.wait(), 10)
        await brain.start()
        await last_event(brain, sent.task_id)
    await broker.shutdown()


async def test_a_middleware_of_two_brokers_serves_the_one_that_works_and_says_so(
    brain: DevBrain, caplog: pytest.LogCaptureFixture
) -> None:
    shared = Z4JMiddleware()
    broker = InMemoryBroker().with_middlewares(shared)
    broker.is_worker_process = True
    other = InMemoryBroker().with_middlewares(shared)

    @broker.task(task_name="only here")
    async def only_here() -> None: ...

    await broker.startup()
    try:
        assert broker.state.z4j.status.worker_id == brain.seen.hellos[0].worker_id
        answer = await brain.command("submit_task", task_name="only here", engine="taskiq")
        assert answer["status"] == "success"
    finally:
        await broker.shutdown()
    assert "Make one for each broker" in caplog.text
    assert shared in other.middlewares


async def test_a_broker_that_is_started_twice_keeps_its_agent(brain: DevBrain) -> None:
    broker = InMemoryBroker().with_middlewares(Z4JMiddleware())
    await broker.startup()
    agent = broker.state.z4j
    await broker.startup()
    assert broker.state.z4j is agent
    await broker.shutdown()
    await brain.wait_for_workers(0)
    assert len(brain.seen.hellos) == 1


@pytest.mark.component
async def test_a_task_that_waits_is_seen_before_it_runs(brain: DevBrain, redis_url: str) -> None:
    async with Z4JAgent(engines=["taskiq"]) as agent:
        broker = broker_of(redis_url, agent)

        @broker.task
        async def add(a: int) -> int:
            return a

        sent = await add.kiq(1)
        await until(lambda: kinds(brain, sent.task_id) == ["sent", "received"], "it was told of")
    told = events_of(brain, sent.task_id)[1]["data"]
    assert (told["queue"], told["args"]) == (broker.queue_name, [1])


async def test_what_runs_while_it_is_sent_is_not_received_after_its_end(brain: DevBrain) -> None:
    broker = InMemoryBroker(await_inplace=True).with_middlewares(Z4JMiddleware())

    @broker.task
    async def add(a: int) -> int:
        return a

    async with broker:
        sent = await add.kiq(1)
        await until(lambda: len(kinds(brain, sent.task_id)) == 4, "it was told of")
    told = sorted(events_of(brain, sent.task_id), key=lambda event: str(event["occurred_at"]))
    assert kinds(brain, sent.task_id).count("received") == 1
    assert told[-1]["kind"] == "task.succeeded"


async def test_a_task_that_can_not_be_sent_is_not_told_of_and_confuses_no_other(brain: DevBrain) -> None:
    broker = InMemoryBroker(await_inplace=True).with_middlewares(Z4JMiddleware())
    elsewhere = InMemoryBroker()

    @elsewhere.task
    async def unknown() -> None:
        """Known to another broker only."""

    @broker.task
    async def sender() -> None:
        with pytest.raises(SendTaskError):
            await unknown.kicker().with_broker(broker).with_task_id("lost").kiq()

    async with broker:
        sent = await sender.kiq()
        assert (await last_event(brain, sent.task_id))["kind"] == "task.succeeded"
    assert kinds(brain, "lost") == []
    assert kinds(brain, sent.task_id).count("received") == 1


@pytest.mark.component
async def test_a_line_of_tasks_is_known_by_its_first(brain: DevBrain, redis_url: str) -> None:
    broker = broker_of(redis_url)

    @broker.task
    async def last() -> None:
        """Nothing to do."""

    @broker.task
    async def middle() -> str:
        return (await last.kiq()).task_id

    @broker.task
    async def first() -> str:
        return (await middle.kiq()).task_id

    async with receiving(broker):
        one = (await first.kiq()).task_id
        two = (await last_event(brain, one))["result"]
        three = (await last_event(brain, two))["result"]
        ended = await last_event(brain, three)
        assert (ended["parent_task_id"], ended["root_task_id"]) == (two, one)
        assert "parent_task_id" not in await last_event(brain, one)
    await broker.shutdown()
