"""Answers that a brain has not come to: the next session sends them, or the next process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.agents import agent_of, until
from tests.support.engine import AsyncioEngine
from z4j_fastapi import Z4JAgent
from z4j_fastapi.commands.memory import CommandMemory, Left
from z4j_fastapi.commands.replies import Replies, Reply
from z4j_fastapi.devbrain import Command, Credentials, DevBrain, Misbehaviour

BUSY = Misbehaviour(busy_s=1e6)
"""It reads nothing more, as a brain does whose database is locked."""


async def note(*args: Any) -> None:
    pass


@dataclass(slots=True)
class Gated(AsyncioEngine):
    """Submits when it may."""

    functions: Any = field(default_factory=lambda: {"note": note})
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may: asyncio.Event = field(default_factory=asyncio.Event)

    async def submit(self, task: Any) -> None:
        self.asked.set()
        await self.may.wait()
        await AsyncioEngine.submit(self, task)


@asynccontextmanager
async def answered_in_vain(
    brain: DevBrain, token: Credentials, home: Path
) -> AsyncIterator[tuple[Z4JAgent, Command]]:
    """An agent that has done a command, and whose brain is too busy to come to the answer."""
    engine = Gated()
    async with agent_of(brain, home, token, engine=engine, commands="all", shutdown_budget_s=0.5) as agent:
        target = {"type": "schedule", "id": "s", "engine": "arq"}
        asked = {"name": "note", "args": [], "kwargs": {}, "filter": {"engine": "arq"}}
        command = await brain.send_command("submit_task", target=target, parameters=asked)
        await engine.asked.wait()
        brain.misbehaviour = BUSY
        engine.may.set()
        await until(lambda: agent.status.commands.get("done") == 1, "it was done")
        yield agent, command


async def test_an_answer_that_a_busy_brain_has_not_come_to_is_brought_by_the_next_process(
    tmp_path: Path,
) -> None:
    async with DevBrain() as brain:
        token = brain.mint("web")
        async with answered_in_vain(brain, token, tmp_path) as (_, command):
            pass
        assert command.result is None
        brain.misbehaviour = Misbehaviour()
        async with agent_of(brain, tmp_path, token):
            answer = await brain.wait_for_result(command)
            assert (answer["status"], answer["result"]["engine"]) == ("success", "arq")


async def test_an_answer_that_a_lost_connection_has_cost_is_sent_by_the_next_session(tmp_path: Path) -> None:
    async with DevBrain() as brain, answered_in_vain(brain, brain.mint("web"), tmp_path) as (_, command):
        brain.drop_connections()
        brain.misbehaviour = Misbehaviour()
        assert (await brain.wait_for_result(command))["status"] == "success"


async def test_another_agent_of_the_directory_does_not_bring_it(tmp_path: Path) -> None:
    async with DevBrain() as brain:
        token = brain.mint("web")
        async with answered_in_vain(brain, token, tmp_path) as (_, command):
            pass
        brain.misbehaviour = Misbehaviour()
        async with agent_of(brain, tmp_path) as other:
            other.emit("task.succeeded", engine="arq", task_id="t")
            await brain.wait_for_events(1)
        assert command.result is None
        async with agent_of(brain, tmp_path, token):
            await brain.wait_for_result(command)


def replies(*payloads: dict[str, Any]) -> Replies:
    of = Replies(asyncio.Event(), str)
    for number, payload in enumerate(payloads):
        of.add_left(f"c-{number}", payload, 60.0)
    return of


async def leave(of: Replies) -> Reply:
    reply = await of.next()
    of.sent(reply)
    return reply


async def test_what_a_batch_behind_it_proves_is_not_sent_again_and_the_rest_comes_first() -> None:
    of = replies({"n": 0}, {"n": 1}, {"n": 2}, {"n": 3})
    await leave(of)
    before = of.sent_so_far
    await leave(of)
    await leave(of)
    of.handled(before)
    assert [reply.command_id for reply in of.left] == ["c-1", "c-2", "c-3"]
    of.session_over()
    assert [(await leave(of)).command_id for _ in range(3)] == ["c-1", "c-2", "c-3"]
    of.handled(of.sent_so_far)
    of.session_over()
    assert (len(of), of.left) == (0, [])


async def test_what_is_too_late_is_left_to_no_process() -> None:
    of = replies()
    of.add_left("c-1", {}, -1.0)
    assert of.left == []


def test_what_is_left_is_taken_once_by_its_agent_in_time(tmp_path: Path) -> None:
    with CommandMemory(tmp_path) as memory:
        assert memory.take_left("a") == []
        assert not list(tmp_path.iterdir())
        memory.leave("a", [Left("c-1", {"status": "success"}, 60.0), Left("c-2", {}, -1.0)])
        memory.leave("b", [Left("c-3", {}, 60.0)])
    with CommandMemory(tmp_path) as memory:
        ((command_id, payload, left_s),) = memory.take_left("a")
        assert (command_id, payload) == ("c-1", {"status": "success"})
        assert 0 < left_s <= 60.0
        assert memory.take_left("a") == []
        assert [left.command_id for left in memory.take_left("b")] == ["c-3"]


def test_answers_as_large_as_frames_are_left_up_to_a_bound(tmp_path: Path) -> None:
    large = {"result": "x" * 1_000_000}
    with CommandMemory(tmp_path) as memory:
        memory.leave("a", [Left(f"c-{number}", large, 60.0) for number in range(10)])
        left = memory.take_left("a")
    assert [answer.command_id for answer in left] == ["c-0", "c-1", "c-2", "c-3"]
    assert json.dumps(left[0].payload) == json.dumps(large)


@pytest.mark.parametrize("disk", ["a directory", "no disk"])
async def test_a_disk_that_keeps_nothing_holds_up_no_end(tmp_path: Path, disk: str) -> None:
    async with DevBrain() as brain:
        token = brain.mint("web")
        async with answered_in_vain(brain, token, tmp_path) as (agent, _):
            (file,) = (tmp_path / "z4j").glob("*/commands.sqlite")
            for path in file.parent.glob("commands.sqlite*"):
                path.unlink()
            if disk == "a directory":
                file.mkdir()
            async with asyncio.timeout(10):
                await agent.__aexit__(None, None, None)
