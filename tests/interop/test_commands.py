"""What a person clicks on the real brain's dashboard happens, over the REST interface that it uses."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.agents import errors, until
from tests.support.brain_api import BrainApi, Credentials
from tests.support.engine import AsyncioEngine
from tests.support.real_brain import BrainProcess
from z4j_fastapi import Z4JAgent
from z4j_fastapi.agent.status import State

pytestmark = pytest.mark.interop

WAIT_S = 60.0
LATE_S = 1.5
RUNS: list[Any] = []


async def note(*args: Any, **kwargs: Any) -> None:
    RUNS.append((args, kwargs))


async def fail(*args: Any) -> None:
    raise ValueError(*args)


async def forever() -> None:
    await asyncio.Event().wait()


@pytest.fixture
def engine() -> AsyncioEngine:
    RUNS.clear()
    return AsyncioEngine({"note": note, "fail": fail, "forever": forever})


@pytest.fixture
def minted(real_brain: BrainApi) -> Iterator[Credentials]:
    """An agent in a project of its own: a brain picks who gets a command by the engine in a project."""
    slug = f"p-{secrets.token_hex(6)}"
    real_brain.create_project(slug)
    yield real_brain.mint(project=slug)
    real_brain.archive_project(slug)


@asynccontextmanager
async def worker(
    brain: str, minted: Credentials, home: Path, engine: AsyncioEngine, **arguments: Any
) -> AsyncIterator[Z4JAgent]:
    async with Z4JAgent(
        brain_url=brain,
        token=minted.token,
        hmac_secret=minted.hmac_secret,
        project_id=minted.project,
        home=home / "z4j",
        role="task",
        engine=engine,
        preflight_budget_s=WAIT_S,
        **arguments,
    ) as agent:
        await until(lambda: agent.status.state is State.ONLINE, "it was online", WAIT_S)
        yield agent


class Person:
    """Clicks, and waits for what becomes of it."""

    def __init__(self, brain: BrainApi, minted: Credentials) -> None:
        self.brain = brain
        self.minted = minted

    async def does(self, action: str, **body: Any) -> dict[str, Any]:
        command_id = await asyncio.to_thread(self.brain.ask, self.minted, action, **body)
        async with asyncio.timeout(WAIT_S):
            while True:
                row = await asyncio.to_thread(self.brain.command, self.minted, command_id)
                if row["status"] not in ("pending", "dispatched"):
                    return row
                await asyncio.sleep(0.05)

    async def failed(self, agent: Z4JAgent, task_id: str) -> None:
        """Have a task shown as failed, so that it can be retried."""
        agent.emit("task.failed", task_id=task_id, task_name="fail", queue="jobs", exception="E")
        await until(lambda: agent.status.buffered == 0, "it was acknowledged", WAIT_S)


async def test_every_button_does_what_it_says(
    real_brain: BrainApi, minted: Credentials, tmp_path: Path, engine: AsyncioEngine
) -> None:
    async with worker(real_brain.url, minted, tmp_path, engine, commands="all") as agent:
        person = Person(real_brain, minted)
        given: dict[str, Any] = {"project": minted.project, "args": [1], "kwargs": {"a": 2}}
        schedule_id = await asyncio.to_thread(real_brain.create_schedule, "note", "arq", "1h", **given)
        await asyncio.to_thread(real_brain.trigger, minted, schedule_id)
        await until(lambda: RUNS == [((1,), {"a": 2})], "the schedule ran once", WAIT_S)

        (task_id,) = engine.runs
        await person.failed(agent, task_id)
        task = {"engine": "arq", "task_id": task_id}
        retried = await person.does("retry-task", **task, override_args=[3], override_kwargs={})
        assert retried["status"] == "completed"
        await until(lambda: RUNS[-1] == ((3,), {}), "it ran again", WAIT_S)

        await engine.submit(_new("t-fail", "fail", "no"))
        await engine.settled()
        await person.failed(agent, "t-fail")
        page = await asyncio.to_thread(real_brain.dead_letters, minted, "arq")
        assert [(e["task_id"], e["error_excerpt"]) for e in page["entries"]] == [("t-fail", "ValueError: no")]
        with pytest.raises(AssertionError, match="422"):
            await asyncio.to_thread(real_brain.dead_letters, minted, "arq", cursor="not-mine")
        requeued = await person.does("requeue-dead-letter", engine="arq", task_id="t-fail")
        assert requeued["status"] == "completed"
        assert requeued["result"]["task_id"] in engine.runs

        await engine.submit(_new("t-long", "forever"))
        await person.failed(agent, "t-long")
        cancelled = await person.does("cancel-task", engine="arq", task_id="t-long")
        assert cancelled["result"] == {"task_id": "t-long", "aborted": True}

        engine.holds = True
        await engine.submit(_new("t-waits", "note"))
        refused = await person.does("purge-queue", queue="jobs", observed_depth=7)
        assert (refused["status"], refused["error"].partition(":")[0]) == ("failed", "command.wrong_token")
        purged = await person.does("purge-queue", queue="jobs", observed_depth=1)
        assert purged["result"] == {"purged": 1}

        assert agent.status.commands["command.wrong_token"] == 1


async def test_failed_tasks_are_retried_in_bulk_once_each(
    real_brain: BrainApi, minted: Credentials, tmp_path: Path, engine: AsyncioEngine
) -> None:
    async with worker(real_brain.url, minted, tmp_path, engine) as agent:
        for number in range(10):
            await engine.submit(_new(f"t-{number}", "fail", "no"))
            agent.emit("task.failed", task_id=f"t-{number}", task_name="fail", queue="jobs", exception="E")
        await engine.settled()
        await until(lambda: agent.status.buffered == 0, "all were acknowledged", WAIT_S)
        engine.functions = {**engine.functions, "fail": note}
        request_id = await asyncio.to_thread(real_brain.bulk_retry, minted, "arq")
        async with asyncio.timeout(WAIT_S):
            while True:
                counts = await asyncio.to_thread(real_brain.bulk_counts, minted, request_id)
                if counts["succeeded"] == 10:
                    break
                await asyncio.sleep(0.1)
        await engine.settled()
        assert len(RUNS) == 10
        assert {run.parent for run in engine.runs.values()} == {None, *(f"t-{n}" for n in range(10))}


async def test_what_the_owner_does_not_allow_is_refused_and_not_offered(
    real_brain: BrainApi, minted: Credentials, tmp_path: Path, engine: AsyncioEngine
) -> None:
    async with worker(real_brain.url, minted, tmp_path, engine, commands="cancel_task"):
        person = Person(real_brain, minted)
        refused = await person.does("purge-queue", queue="jobs", force=True)
        assert refused["status"] == "failed"
        assert refused["error"].startswith("command.not_allowed: ")
        with pytest.raises(AssertionError, match="no online agent advertises"):
            await asyncio.to_thread(real_brain.dead_letters, minted, "arq")


@pytest.mark.slow
async def test_a_schedule_of_the_brains_fires_once_each_time_it_is_due(
    brain_with_scheduler: BrainApi,
    tmp_path: Path,
    engine: AsyncioEngine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    brain = brain_with_scheduler
    minted = brain.mint()
    async with worker(brain.url, minted, tmp_path, engine) as agent:
        known, strange = (brain.create_schedule(name, "arq", every="5s") for name in ("note", "strange"))
        await until(lambda: len(RUNS) >= 3, "it fired three times", WAIT_S)
        await until(
            lambda: agent.status.commands.get("command.unknown_task", 0) >= 2, "so did the other", WAIT_S
        )
        for schedule_id in (known, strange):
            assert brain.schedule(schedule_id)["is_enabled"] is True
        assert len(RUNS) == len(engine.runs) == agent.status.commands["done"]
    (said,) = [said for said in errors(caplog) if "schedule.fire" in said]
    assert strange in said
    assert "command.unknown_task" in said


def _new(task_id: str, name: str, *args: Any) -> Any:
    from z4j_fastapi.workers.engine import NewTask

    return NewTask(task_id, name, args)


@pytest.mark.slow
async def test_the_answer_of_a_worker_that_restarts_reaches_a_brain_that_is_late(
    own_brain: BrainProcess, tmp_path: Path, engine: AsyncioEngine
) -> None:
    """It stands still for longer than a close is waited for, between the command and its answer."""
    brain = BrainApi(own_brain.url)
    minted, pid = brain.mint(), own_brain.pid
    assert pid is not None
    restart, loop = engine.restart, asyncio.get_running_loop()

    async def restart_late(worker_name: str) -> None:
        os.kill(pid, signal.SIGSTOP)
        loop.call_later(LATE_S, os.kill, pid, signal.SIGCONT)
        await restart(worker_name)

    engine.restart = restart_late  # type: ignore[method-assign]
    async with worker(brain.url, minted, tmp_path, engine, commands="all") as agent:
        await until(lambda: agent.status.buffered == 0, "its first event was delivered", WAIT_S)
        await until(lambda: bool(brain.engine_workers(minted)), "the worker was known", WAIT_S)
        (row,) = brain.engine_workers(minted)
        person = Person(brain, minted)
        asked = asyncio.create_task(person.does("restart-worker", engine="arq", worker_name=row["name"]))
        await until(lambda: bool(engine.restarted), "it was to end", WAIT_S)
    assert (await asked)["status"] == "completed"
    brain.close()
