"""A taskiq broker with an agent: what the brain is told of each task, while no task notices."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from taskiq import Context, InMemoryBroker, SimpleRetryMiddleware, SmartRetryMiddleware, TaskiqDepends
from taskiq.abc.middleware import TaskiqMiddleware

from tests.support.agents import agent_of
from tests.support.task_events import events_of, kinds, last_event
from z4j_fastapi.devbrain import DevBrain
from z4j_fastapi.workers.taskiq import Z4JMiddleware

WAIT_S = 60.0


def in_memory(*more: TaskiqMiddleware, ours_last: bool = False, **options: Any) -> InMemoryBroker:
    middlewares = [*more, Z4JMiddleware()] if ours_last else [Z4JMiddleware(), *more]
    return InMemoryBroker(**options).with_middlewares(*middlewares)


async def test_a_task_that_succeeds_is_told_from_sending_to_result(brain: DevBrain) -> None:
    broker = in_memory(await_inplace=True)

    @broker.task(task_name="add", queue_name="sums")
    async def add(a: int, b: int, token: str) -> int:
        return a + b

    async with broker:
        sent = await add.kiq(2, b=3, token="hunter2")
        assert (await sent.wait_result(timeout=WAIT_S)).return_value == 5
        ended = await last_event(brain, sent.task_id)
    assert sorted(kinds(brain, sent.task_id)) == ["received", "sent", "started", "succeeded"]
    received = events_of(brain, sent.task_id)[0]
    assert received["engine"] == "taskiq"
    assert received["data"]["args"] == [2]
    assert received["data"]["kwargs"] == {"b": 3, "token": "[redacted]"}
    assert (ended["task_name"], ended["queue"], ended["result"]) == ("add", "sums", 5)
    assert 0 <= ended["runtime_ms"] < 5_000
    assert ended["worker"] == brain.seen.hellos[0].worker_id
    hello = brain.seen.hellos[0]
    assert (hello.worker_role, tuple(hello.engines)) == ("task", ("taskiq",))


async def test_a_task_that_fails_comes_with_exception_and_traceback(brain: DevBrain) -> None:
    broker = in_memory()

    @broker.task
    def divide(a: int) -> float:
        return a / 0

    async with broker:
        sent = await divide.kiq(1)
        ended = await last_event(brain, sent.task_id)
    assert ended["kind"] == "task.failed"
    assert ended["exception"] == "ZeroDivisionError: division by zero"
    assert "return a / 0" in ended["traceback"]


async def test_a_task_that_takes_too_long_has_failed_by_its_timeout(brain: DevBrain) -> None:
    broker = in_memory()

    @broker.task(timeout=0.05)
    async def forever() -> None:
        await asyncio.Event().wait()

    async with broker:
        ended = await last_event(brain, (await forever.kiq()).task_id)
    assert ended["kind"] == "task.failed"
    assert ended["exception"].startswith("TimeoutError")


@pytest.mark.parametrize("ours_last", [False, True], ids=["ours first", "ours last"])
@pytest.mark.parametrize("hidden", [True, False], ids=["error hidden", "error shown"])
@pytest.mark.parametrize("inplace", [True, False], ids=["in place", "apart"])
@pytest.mark.parametrize("middleware", [SimpleRetryMiddleware, SmartRetryMiddleware])
async def test_a_retry_is_no_failure_and_the_last_one_is(
    brain: DevBrain,
    middleware: type[SimpleRetryMiddleware] | type[SmartRetryMiddleware],
    inplace: bool,
    hidden: bool,
    ours_last: bool,
) -> None:
    retrying = middleware(default_retry_count=3, no_result_on_retry=hidden)
    broker = in_memory(retrying, ours_last=ours_last, await_inplace=inplace)

    @broker.task(retry_on_error=True)
    async def fail() -> None:
        raise RuntimeError("again")

    async with broker:
        sent = await fail.kiq()
        await last_event(brain, sent.task_id, ends=3)
    ends = [e for e in events_of(brain, sent.task_id) if e["kind"] in {"task.retried", "task.failed"}]
    assert sorted((e["kind"], e["data"]["retry_count"]) for e in ends) == [
        ("task.failed", 2),
        ("task.retried", 1),
        ("task.retried", 2),
    ]
    assert {e["data"]["exception"] for e in ends} == {"RuntimeError: again"}
    assert kinds(brain, sent.task_id).count("sent") == 1


async def test_a_task_may_reject_or_requeue_itself(brain: DevBrain) -> None:
    broker = in_memory()
    runs: list[str] = []

    @broker.task
    async def reject(context: Context = TaskiqDepends()) -> None:  # noqa: B008 - taskiq's own form
        context.reject()

    @broker.task
    async def requeue(context: Context = TaskiqDepends()) -> None:  # noqa: B008
        runs.append(context.message.task_id)
        if len(runs) == 1:
            await context.requeue()

    async with broker:
        rejected = (await reject.kiq()).task_id
        # what a brain takes for the end of a task is behind it: task.rejected alone is none
        assert (await last_event(brain, rejected, ends=2))["kind"] == "task.failed"
        assert "rejected" in kinds(brain, rejected)
        again = (await requeue.kiq()).task_id
        await last_event(brain, again, ends=2)
    assert {"retried", "succeeded"} <= set(kinds(brain, again))


async def test_a_task_that_sends_another_one_is_its_parent(brain: DevBrain) -> None:
    broker = in_memory()

    @broker.task
    async def child() -> None:
        """Nothing to do."""

    @broker.task
    async def parent() -> str:
        return (await child.kiq()).task_id

    async with broker:
        sent = await parent.kiq()
        ended = await last_event(brain, sent.task_id)
        await last_event(brain, ended["result"])
    told = next(e for e in events_of(brain, ended["result"]) if e["kind"] == "task.sent")
    assert told["data"]["parent_task_id"] == sent.task_id


async def test_a_process_that_only_sends_tells_so_by_its_own_agent(brain: DevBrain, tmp_path: Path) -> None:
    agent = agent_of(brain, tmp_path, engines=["taskiq"])
    broker = InMemoryBroker().with_middlewares(Z4JMiddleware(agent))

    @broker.task
    async def add(a: int) -> int:
        return a

    async with agent, broker:
        sent = await add.kiq(1)
        await last_event(brain, sent.task_id)
        assert broker.state.z4j is agent
    assert len(brain.seen.hellos) == 1
    assert "sent" in kinds(brain, sent.task_id)


async def test_the_agent_ends_with_the_broker_and_begins_anew_with_it(brain: DevBrain) -> None:
    broker = in_memory()
    for count in (1, 2):
        await broker.startup()
        await brain.wait_for_workers(1)
        assert len(brain.seen.hellos) == count
        await broker.shutdown()
        await brain.wait_for_workers(0)


@pytest.mark.component
def test_without_taskiq_the_module_says_what_to_install() -> None:
    check = "import sys; sys.modules['taskiq'] = None; import z4j_fastapi.workers.taskiq"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert "pip install 'taskiq>=0.13'" in done.stderr
