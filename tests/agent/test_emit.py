"""What emit answers and lets through, whatever a host hands to it."""

from __future__ import annotations

import asyncio
import enum
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.agents import agent_of
from z4j_fastapi.agent.agent import Z4JAgent
from z4j_fastapi.agent.status import State
from z4j_fastapi.buffer import EventBuffer
from z4j_fastapi.devbrain import DevBrain

NO_BRAIN = "http://127.0.0.1:1"


def offline_agent(tmp_path: Path) -> Z4JAgent:
    return agent_of(DevBrain(), tmp_path, brain_url=NO_BRAIN, preflight="off", shutdown_budget_s=0.1)


def raising(raised: type[BaseException]) -> Any:
    class Value:
        def __str__(self) -> str:
            raise raised

        __bool__ = __eq__ = __len__ = __hash__ = __str__  # type: ignore[assignment]

    return Value()


CONTAINED = [ValueError, asyncio.CancelledError, MemoryError, RecursionError, GeneratorExit]


@pytest.mark.parametrize("raised", CONTAINED)
@pytest.mark.parametrize("argument", ["engine", "task_id", "value", "key"])
async def test_what_an_argument_raises_costs_nothing_but_that_argument(
    tmp_path: Path, raised: type[BaseException], argument: str
) -> None:
    bad = raising(raised)
    given: dict[str, Any] = {"task_id": "1", "queue": "q"}
    given |= {"value": {"error": bad}, "key": {"args": [{"deep": bad}]}}.get(argument, {argument: bad})
    async with offline_agent(tmp_path) as agent:
        assert agent.emit("task.sent", **given)
        assert (agent.status.buffered, agent.status.dropped) == (1, 0)


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("argument", ["engine", "task_id", "value"])
async def test_the_end_of_the_process_passes_and_leaves_no_half_of_an_event(
    tmp_path: Path, raised: type[BaseException], argument: str
) -> None:
    class Mapping(dict[str, int]):
        def items(self) -> Any:
            raise raised

    given: dict[str, Any] = {"task_id": "1"}
    given[argument] = Mapping(a=1) if argument == "value" else raising(raised)
    async with offline_agent(tmp_path) as agent:
        with pytest.raises(raised):
            agent.emit("task.sent", **given)
        assert agent.emit("task.sent", task_id="2")
        assert (agent.status.buffered, agent.status.dropped) == (1, 0)


async def test_no_memory_for_an_event_is_a_false_that_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with offline_agent(tmp_path) as agent:

        def no_memory(*_: object, **__: object) -> str:
            raise MemoryError

        monkeypatch.setattr(agent._encoder, "encode", no_memory)
        assert agent.emit("task.sent", task_id="1") is False
        assert (agent.status.buffered, agent.status.dropped) == (0, 1)


async def test_a_pattern_that_is_none_switches_the_agent_off_and_shows_no_text(tmp_path: Path) -> None:
    agent = agent_of(DevBrain(), tmp_path, brain_url=NO_BRAIN, redact_patterns=["(", "x"])
    async with agent:
        assert (agent.status.state, agent.status.code) == (State.DISABLED, "config.invalid_value")
        assert "redact_patterns" in agent.status.reason
        agent.emit("task.sent", task_id="1", args=["hunter2"])
    path = Path(agent.status.buffer_path or "")
    buffer = EventBuffer.open(path.parent, path.name)
    assert "hunter2" not in "".join(buffer.claim(10, 10**6).payloads)
    buffer.close()


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("role", "x" * 33),
        ("role", ""),
        ("role", object()),
        ("framework", object()),
        ("engines", [None]),
        ("engines", 3),
        ("schedulers", [object()]),
        ("capabilities", "arq"),
        ("capabilities", {"arq": 1}),
        ("redact_keys", [None]),
        ("redact_keys", 5),
        ("redact_patterns", [5.0]),
        ("redact_patterns", [b"\xff["]),
    ],
)
async def test_an_argument_that_is_none_keeps_no_host_from_starting_and_is_named(
    tmp_path: Path, argument: str, value: Any
) -> None:
    agent = agent_of(DevBrain(), tmp_path, brain_url=NO_BRAIN, **{argument: value})
    async with agent:
        assert (agent.status.state, agent.status.code) == (State.DISABLED, "config.invalid_value")
        assert f"argument {argument} is of type" in agent.status.reason
        assert agent.emit("task.sent", task_id="1", args=["x"])


async def test_arguments_may_be_left_out_by_none_and_be_what_can_be_iterated(tmp_path: Path) -> None:
    class Word(enum.Enum):
        CARD = "card"

    given: dict[str, Any] = dict.fromkeys(("role", "framework", "engines", "schedulers", "capabilities"))
    keys = (word for word in (Word.CARD,))
    patterns = {re.compile("hunter[0-9]")}
    async with DevBrain() as brain:
        agent = agent_of(brain, tmp_path, **given, redact_keys=keys, redact_patterns=patterns)
        async with agent:
            assert agent.status.state is State.ONLINE
            agent.emit("task.sent", task_id="1", card="1234", args=["hunter2"])
            await brain.wait_for_events(1)
        (event,) = brain.seen.events.values()
        assert event["data"] == {"card": "[redacted]", "args": ["[redacted]"]}
