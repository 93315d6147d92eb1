"""Commands to real taskiq workers with a real taskiq-redis: other processes, kills, queues that wait."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.support.agents import until
from tests.support.task_events import events_of, kinds, last_event
from tests.support.taskiq_worker import QUEUE, running_taskiq, runs
from z4j_fastapi.devbrain import DevBrain
from z4j_fastapi.devbrain.observations import Command

pytestmark = pytest.mark.component

START_S = 60.0


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("Z4J_")}


async def submitted(brain: DevBrain, name: str, *args: Any) -> str:
    answer = await brain.command(
        "submit_task", engine="taskiq", name=name, args=[str(arg) for arg in args], timeout_s=30
    )
    assert answer["status"] == "success", answer["error"]
    return str(answer["result"]["task_id"])


async def fired(brain: DevBrain, fire_id: str, what: str) -> Command:
    return await brain.send_command(
        "schedule.fire",
        target={"type": "schedule", "id": "s", "engine": "taskiq"},
        parameters={"task_name": "note", "engine": "taskiq", "fire_id": fire_id, "args": [what]},
    )


@pytest.mark.parametrize("kind", ["stream", "list"])
async def test_a_task_that_waits_and_is_cancelled_never_runs(
    brain: DevBrain, redis_url: str, tmp_path: Path, kind: str
) -> None:
    async with running_taskiq(tmp_path, redis_url, environment(), kind=kind, at_once=1):
        await brain.wait_for_workers(1, timeout_s=START_S)
        first = await submitted(brain, "forever", 1)
        await until(lambda: runs(tmp_path) == ["forever 1"], "it runs", START_S)
        doomed = [await submitted(brain, name, 2) for name in ("note", "thread")]
        for task_id in doomed:
            assert (await brain.command("cancel_task", task_id=task_id, engine="taskiq"))[
                "status"
            ] == "success"
        last = await submitted(brain, "note", 3)
        assert (await brain.command("cancel_task", task_id=first, engine="taskiq"))["status"] == "success"
        for task_id, end in [(first, "revoked"), *((one, "revoked") for one in doomed), (last, "succeeded")]:
            assert (await last_event(brain, task_id))["kind"] == f"task.{end}"
        assert runs(tmp_path) == ["forever 1", "note 3"]
        async with Redis.from_url(redis_url) as redis:
            if kind == "stream":  # all were acknowledged
                await _until_pending(redis, 0)
            assert await redis.zcard(f"z4j:taskiq:revoked:{QUEUE}") == 2


async def _until_pending(redis: Any, count: int) -> None:
    async with asyncio.timeout(START_S):
        while (await redis.xpending(QUEUE, "taskiq"))["pending"] != count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_cancel_reaches_the_process_that_runs_the_task(
    brain: DevBrain, redis_url: str, tmp_path: Path
) -> None:
    async with running_taskiq(tmp_path, redis_url, environment(), workers=2, at_once=1):
        await brain.wait_for_workers(2, timeout_s=START_S)
        for name, end in (("forever", "task.revoked"), ("thread", "task.succeeded")):
            task_id = await submitted(brain, name, "x")
            await until(lambda one=task_id: "started" in kinds(brain, one), "it runs", START_S)  # type: ignore[misc]
            runs_it = events_of(brain, task_id)[-1]["data"]["worker"]
            (other,) = {hello.worker_id for hello in brain.seen.hellos} - {runs_it}
            answer = await brain.command("cancel_task", task_id=task_id, engine="taskiq", worker_id=other)
            if name == "forever":
                assert answer["status"] == "success"
            else:
                assert answer["error"].startswith("command.abort_not_allowed")
                (tmp_path / "works").touch()
            assert (await last_event(brain, task_id))["kind"] == end


async def test_a_dead_letter_is_known_to_each_process_of_the_host(
    brain: DevBrain, redis_url: str, tmp_path: Path
) -> None:
    async with running_taskiq(tmp_path, redis_url, environment(), workers=2):
        await brain.wait_for_workers(2, timeout_s=START_S)
        task_id = await submitted(brain, "fail", "x")
        await last_event(brain, task_id)
        (tmp_path / "works").touch()
        for hello in brain.seen.hellos:
            (letter,) = await brain.dead_letters(engine="taskiq", worker_id=hello.worker_id)
            assert letter["task_id"] == task_id
        again = await brain.command("requeue_dead_letter", task_id=task_id, engine="taskiq")
        ended = await last_event(brain, again["result"]["task_id"])
        assert (ended["kind"], ended["parent_task_id"]) == ("task.succeeded", task_id)
        assert (await brain.dead_letters(engine="taskiq")) == []
    assert runs(tmp_path) == ["fail x"] * 2
    assert oct((next((tmp_path / "z4j").rglob("dead_letters.sqlite"))).stat().st_mode & 0o777) == "0o600"


@pytest.mark.parametrize("kind", ["stream", "list"])
async def test_fires_run_once_each_though_the_worker_is_killed_in_between(
    brain: DevBrain, redis_url: str, tmp_path: Path, kind: str
) -> None:
    async with running_taskiq(tmp_path, redis_url, environment(), kind=kind):
        commands = []
        for number in range(4):
            await brain.wait_for_workers(1, timeout_s=START_S)
            commands.append(await fired(brain, f"f-{number}", str(number)))
            if number % 2:  # the manager of taskiq starts another one
                await brain.wait_for_result(commands[-1], timeout_s=START_S)
                for fire in (number - 1, number):  # a task that the worker still has would be lost with it
                    await last_event(brain, f"z4j-f-{fire}")
                await _kill(brain)
        await brain.wait_for_workers(1, timeout_s=START_S)
        for command in commands:
            await brain.send_again(command)
        for command in commands:
            assert (await brain.wait_for_result(command, timeout_s=START_S))["status"] == "success"
        last = await submitted(brain, "note", "last")
        await last_event(brain, last)
    assert sorted(runs(tmp_path)) == [*(f"note {number}" for number in range(4)), "note last"]


@pytest.mark.parametrize(
    ("kind", "when", "is_known"),
    [("stream", "before", True), ("stream", "after", True), ("list", "after", False)],
)
async def test_a_fire_cut_off_between_its_two_marks_is_done_once_or_left_unanswered(
    brain: DevBrain, redis_url: str, tmp_path: Path, kind: str, when: str, is_known: bool
) -> None:
    """A stream shows what was sent; what was taken from a list is lost with its worker, without a trace."""
    settings = {**environment(), "TEST_DIES": when, "TEST_AGAIN_MS": "4000"}
    async with running_taskiq(tmp_path, redis_url, settings, kind=kind):
        await brain.wait_for_workers(1, timeout_s=START_S)
        command = await fired(brain, "f-1", "x")
        await brain.seen.until(lambda: len(brain.seen.hellos) == 2, "another one began", timeout_s=START_S)
        await brain.wait_for_workers(1, timeout_s=START_S)
        assert command.result is None
        await brain.send_again(command)
        if is_known:
            assert (await brain.wait_for_result(command, timeout_s=START_S))["status"] == "success"
            async with asyncio.timeout(START_S):
                while "note x" not in runs(tmp_path):  # the one that was killed may have been given it
                    await last_event(brain, await submitted(brain, "note", "more"))
        await last_event(brain, await submitted(brain, "note", "last"))
        assert (command.result is not None) is is_known
    assert runs(tmp_path).count("note x") == 1 if is_known else runs(tmp_path).count("note x") <= 1


async def test_a_task_left_started_by_a_kill_is_reconciled(
    brain: DevBrain, redis_url: str, tmp_path: Path
) -> None:
    async with running_taskiq(tmp_path, redis_url, environment()):
        await brain.wait_for_workers(1, timeout_s=START_S)
        task_id = await submitted(brain, "forever", "x")
        await until(lambda: "started" in kinds(brain, task_id), "it runs", START_S)
    await brain.wait_for_workers(0, timeout_s=START_S)
    (tmp_path / "works").touch()
    # a worker that tells of nothing takes it over and ends it
    silent = {**environment(), "TEST_WITHOUT_AGENT": "1", "TEST_AGAIN_MS": "1000"}
    async with running_taskiq(tmp_path, redis_url, silent), Redis.from_url(redis_url) as redis:
        async with asyncio.timeout(START_S):
            while not await redis.exists(task_id):
                await redis.xadd(QUEUE, {b"data": b"{}"})  # it looks for what was left with each message
                await asyncio.sleep(0.5)
    assert sorted(kinds(brain, task_id)) == ["received", "received", "sent", "started"]
    async with running_taskiq(tmp_path, redis_url, environment()):
        await brain.wait_for_workers(1, timeout_s=START_S)
        answer = await brain.command("reconcile_task", task_id=task_id, engine="taskiq")
    assert answer["result"]["engine_state"] == "success"
    assert runs(tmp_path) == ["forever x"] * 2


async def test_a_list_is_purged_of_what_waits(brain: DevBrain, redis_url: str, tmp_path: Path) -> None:
    settings = {**environment(), "Z4J_COMMANDS": "all"}
    async with running_taskiq(tmp_path, redis_url, settings, kind="list", at_once=1):
        await brain.wait_for_workers(1, timeout_s=START_S)
        first = await submitted(brain, "forever", 1)
        await until(lambda: runs(tmp_path) == ["forever 1"], "it runs", START_S)
        for number in range(3):
            await submitted(brain, "note", number)
        answer = await brain.command("purge_queue", queue=QUEUE, force=True)
        # one has been taken from the list, and waits in the worker
        assert answer["result"]["purged"] in (2, 3)
        other = await brain.command("purge_queue", queue="other", force=True)
        assert other["error"].startswith("command.no_worker_here")
        await brain.command("cancel_task", task_id=first, engine="taskiq")
        await last_event(brain, await submitted(brain, "note", "last"))
    assert len(runs(tmp_path)) <= 3


async def test_a_full_list_of_cancelled_tasks_makes_room_but_not_of_the_last_hour(
    brain: DevBrain, redis_url: str, tmp_path: Path
) -> None:
    async with running_taskiq(tmp_path, redis_url, environment()), Redis.from_url(redis_url) as redis:
        await brain.wait_for_workers(1, timeout_s=START_S)
        key, now_s = f"z4j:taskiq:revoked:{QUEUE}", time.time()
        await redis.zadd(key, {f"t-{number}": now_s - 60 for number in range(10_000)})
        answer = await brain.command("cancel_task", task_id="strange", engine="taskiq")
        assert answer["error"].startswith("command.busy")
        await redis.zadd(key, {"t-0": now_s - 7_200})
        answer = await brain.command("cancel_task", task_id="strange", engine="taskiq")
        assert answer["status"] == "success"
        assert await redis.zcard(key) == 10_000
        assert await redis.zscore(key, "t-0") is None
        assert 0 < await redis.ttl(key) <= 7 * 24 * 3600


async def test_hostile_ids_are_nothing_but_members(brain: DevBrain, redis_url: str, tmp_path: Path) -> None:
    async with running_taskiq(tmp_path, redis_url, environment()):
        await brain.wait_for_workers(1, timeout_s=START_S)
        async with Redis.from_url(redis_url) as redis:
            before = set(await redis.keys())
            for task_id in (
                "*",
                "z4j:taskiq:revoked:jobs",
                f"{QUEUE}",
                "a b'\"\\{}",
                "\u202e\u00e4",
                "x" * 200,
            ):
                for action in ("cancel_task", "reconcile_task", "requeue_dead_letter", "retry_task"):
                    answer = await brain.command(action, task_id=task_id, engine="taskiq")
                    assert answer["status"] in ("success", "failed")
            # the stream itself is there once the worker has begun to listen
            allowed = {QUEUE.encode(), f"z4j:taskiq:revoked:{QUEUE}".encode()}
            assert set(await redis.keys()) - before <= allowed
            assert await redis.type(QUEUE) == b"stream"
        await last_event(brain, await submitted(brain, "note", "last"))


async def _kill(brain: DevBrain) -> None:
    os.kill(brain.seen.hellos[-1].worker_pid, signal.SIGKILL)
    await brain.wait_for_workers(0, timeout_s=START_S)
