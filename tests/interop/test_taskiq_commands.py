"""What a person clicks on the real brain's dashboard is done by a real taskiq worker with taskiq-redis."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.brain_api import BrainApi, Credentials
from tests.support.redis import running_redis
from tests.support.taskiq_worker import QUEUE, running_taskiq, runs

pytestmark = [pytest.mark.interop, pytest.mark.component]

WAIT_S = 90.0
FIRES = 10


@pytest.fixture
async def redis_url(tmp_path: Path) -> AsyncIterator[str]:
    async with running_redis(tmp_path) as url:
        yield url


@pytest.fixture
def brain(real_brain: BrainApi) -> Iterator[BrainApi]:
    """The session's brain for a person of this test's own."""
    api = BrainApi(real_brain.url)
    yield api
    api.close()


@pytest.fixture
def minted(brain: BrainApi) -> Iterator[Credentials]:
    """An agent in a project of its own: a brain picks who gets a command by the engine in a project."""
    slug = f"p-{secrets.token_hex(6)}"
    brain.create_project(slug)
    yield brain.mint(project=slug)
    brain.archive_project(slug)


def environment(brain: BrainApi, minted: Credentials, **more: str) -> dict[str, str]:
    return {
        "Z4J_BRAIN_URL": brain.url,
        "Z4J_TOKEN": minted.token,
        "Z4J_HMAC_SECRET": minted.hmac_secret,
        "Z4J_PROJECT_ID": minted.project,
        **more,
    }


async def eventually(look: Callable[[], Any], what: str, within_s: float = WAIT_S) -> Any:
    """The first true thing that `look` gives; it asks the brain, so it runs in a thread."""
    try:
        async with asyncio.timeout(within_s):
            while not (found := await asyncio.to_thread(look)):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"not within {within_s:g} s: {what}") from None
    return found


class Person:
    """Clicks, and waits for what becomes of it."""

    def __init__(self, brain: BrainApi, minted: Credentials, directory: Path) -> None:
        self.brain, self.minted, self.directory = brain, minted, directory

    async def online(self) -> None:
        def look() -> bool:
            return any(row["state"] == "online" for row in self.brain.workers(self.minted))

        await eventually(look, "a worker is online")

    async def does(self, action: str, **body: Any) -> dict[str, Any]:
        command_id = await asyncio.to_thread(self.brain.ask, self.minted, action, **body)

        def ended() -> dict[str, Any] | None:
            row = self.brain.command(self.minted, command_id)
            return row if row["status"] not in ("pending", "dispatched") else None

        row: dict[str, Any] = await eventually(ended, f"{action} ended")
        return row

    async def runs_schedule(self, name: str, *args: str) -> str:
        """Have a task run by the button of a schedule; the task's id."""
        known = set(await asyncio.to_thread(self.ids))
        given: dict[str, Any] = {"project": self.minted.project, "args": list(args), "task_name": name}
        label = f"{name}-{secrets.token_hex(4)}"
        schedule_id = await asyncio.to_thread(
            lambda: self.brain.create_schedule(label, "taskiq", "24h", **given)
        )
        await asyncio.to_thread(self.brain.trigger, self.minted, schedule_id)
        (task_id,) = await eventually(lambda: set(self.ids()) - known, f"{name} is on the dashboard")
        return str(task_id)

    def ids(self) -> list[str]:
        return [row["task_id"] for row in self.brain.tasks(self.minted.project)]

    async def sees(self, task_id: str, state: str, within_s: float = WAIT_S) -> None:
        def look() -> bool:
            rows = self.brain.tasks(self.minted.project)
            return any((row["task_id"], row["state"]) == (task_id, state) for row in rows)

        await eventually(look, f"{task_id} is {state}", within_s)


async def test_every_button_does_what_it_says(
    brain: BrainApi, minted: Credentials, tmp_path: Path, redis_url: str
) -> None:
    person = Person(brain, minted, tmp_path)
    settings = environment(brain, minted, Z4J_COMMANDS="all")
    async with running_taskiq(tmp_path, redis_url, settings, at_once=1):
        await person.online()
        dead = await person.runs_schedule("fail", "a")
        await person.sees(dead, "failure")
        page = await asyncio.to_thread(brain.dead_letters, minted, "taskiq")
        assert [(e["task_id"], e["error_excerpt"]) for e in page["entries"]] == [(dead, "ValueError: a")]
        with pytest.raises(AssertionError, match="422"):
            await asyncio.to_thread(brain.dead_letters, minted, "taskiq", cursor="not-mine")

        task = {"engine": "taskiq", "task_id": dead}
        retried = await person.does("retry-task", **task, override_args=["b"], override_kwargs={})
        await person.sees(retried["result"]["task_id"], "failure")
        requeued = await person.does("requeue-dead-letter", **task)
        await person.sees(requeued["result"]["task_id"], "failure")
        assert runs(tmp_path) == ["fail a", "fail b", "fail a"]

        running = await person.runs_schedule("forever", "c")
        await person.sees(running, "started")
        waiting = await person.runs_schedule("note", "d")
        for task_id in (waiting, running):
            done = await person.does("cancel-task", engine="taskiq", task_id=task_id)
            assert done["result"] == {"task_id": task_id, "aborted": True}
        for task_id in (running, waiting):
            await person.sees(task_id, "revoked")

        in_thread = await person.runs_schedule("thread", "e")
        await person.sees(in_thread, "started")
        refused = await person.does("cancel-task", engine="taskiq", task_id=in_thread)
        assert refused["error"].startswith("command.abort_not_allowed: ")
        (tmp_path / "works").touch()
        await person.sees(in_thread, "success")

        purged = await person.does("purge-queue", queue=QUEUE, force=True)
        assert purged["error"].startswith("command.unsupported: ")
        assert runs(tmp_path)[3:] == ["forever c", "thread e"]


async def test_failed_tasks_are_retried_in_bulk_once_each(
    brain: BrainApi, minted: Credentials, tmp_path: Path, redis_url: str
) -> None:
    await _bulk(Person(brain, minted, tmp_path), redis_url, 3)


@pytest.mark.slow
async def test_fifty_failed_tasks_are_retried_in_bulk_once_each(
    brain: BrainApi, minted: Credentials, tmp_path: Path, redis_url: str
) -> None:
    await _bulk(Person(brain, minted, tmp_path), redis_url, 50)


async def _bulk(person: Person, redis_url: str, count: int) -> None:
    brain, minted, directory = person.brain, person.minted, person.directory
    async with running_taskiq(directory, redis_url, environment(brain, minted), kind="list"):
        await person.online()
        ids = [await person.runs_schedule("fail", str(number)) for number in range(count)]
        for task_id in ids:
            await person.sees(task_id, "failure")
        (directory / "works").touch()
        request_id = await asyncio.to_thread(brain.bulk_retry, minted, "taskiq")
        await eventually(
            lambda: brain.bulk_counts(minted, request_id)["succeeded"] == count, "all are retried"
        )
        await eventually(lambda: len(runs(directory)) == 2 * count, "all ran again")
        await person.sees(await person.runs_schedule("note", "last"), "success")
    assert sorted(runs(directory)) == sorted([f"fail {n}" for n in range(count)] * 2 + ["note last"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["stream", "list"])
async def test_a_schedule_fires_ten_times_once_each_though_its_worker_is_killed(
    brain_with_scheduler: BrainApi, tmp_path: Path, redis_url: str, kind: str
) -> None:
    brain = brain_with_scheduler
    minted = brain.mint()
    person = Person(brain, minted, tmp_path)
    killed = 0
    async with running_taskiq(tmp_path, redis_url, environment(brain, minted), kind=kind) as worker:
        await person.online()
        schedule_id = brain.create_schedule("note", "taskiq", every="5s", args=["x"])
        for count in range(1, FIRES + 1):
            await eventually(partial(_ran, tmp_path, count), f"run {count}")
            if count in (3, 6):  # its manager starts another one
                pids = _children(worker.process.pid)
                for pid in pids:
                    os.kill(pid, signal.SIGKILL)
                killed += 1
        # a task that ran twice, or not at all, would keep the two apart
        await eventually(lambda: len(set(person.ids())) == len(runs(tmp_path)), "each ran once")
        fires = await asyncio.to_thread(brain.fires, schedule_id)
        done = runs(tmp_path)
        assert brain.schedule(schedule_id)["is_enabled"] is True
    assert killed == 2
    assert len(done) <= len(fires) <= len(done) + 1  # no more runs than fires


def _ran(directory: Path, times: int) -> bool:
    return len(runs(directory)) >= times


def _children(pid: int) -> list[int]:
    """The worker processes of taskiq's manager, not its helpers."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        int(child)
        for child in children
        if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


@pytest.mark.slow
async def test_a_task_left_started_by_a_kill_is_reconciled_by_the_brain(
    own_reconciling_brain: BrainApi, tmp_path: Path, redis_url: str
) -> None:
    brain = own_reconciling_brain
    minted = brain.mint()
    person = Person(brain, minted, tmp_path)
    settings = environment(brain, minted)
    async with running_taskiq(tmp_path, redis_url, settings):
        await person.online()
        dead = await _started(tmp_path, brain, minted)
    (tmp_path / "works").touch()
    silent = {**settings, "TEST_WITHOUT_AGENT": "1", "TEST_AGAIN_MS": "1000"}
    from redis.asyncio import Redis

    async with running_taskiq(tmp_path, redis_url, silent), Redis.from_url(redis_url) as redis:
        async with asyncio.timeout(WAIT_S):
            while not await redis.exists(dead):
                await redis.xadd(QUEUE, {b"data": b"{}"})  # it looks for what was left with each message
                await asyncio.sleep(0.5)
    async with running_taskiq(tmp_path, redis_url, settings):
        await person.sees(dead, "success", within_s=240)


async def _started(directory: Path, brain: BrainApi, minted: Credentials) -> str:
    schedule_id = await asyncio.to_thread(
        lambda: brain.create_schedule("forever", "taskiq", "24h", args=["x"])
    )
    await asyncio.to_thread(brain.trigger, minted, schedule_id)

    def look() -> str | None:
        return next((row["task_id"] for row in brain.tasks() if row["state"] == "started"), None)

    task_id: str = await eventually(look, "it runs")
    return task_id
