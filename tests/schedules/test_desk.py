"""An agent and its worker's own schedules, over a real socket: what the page shows, and running one now."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.agents import agent_of, errors, until
from tests.support.engine import AsyncioEngine
from z4j_fastapi.commands.engine import Failed, Refused
from z4j_fastapi.commands.schedule_source import Kind, Row, ScheduleSource
from z4j_fastapi.devbrain import DevBrain
from z4j_fastapi.schedules import at_desk, desk


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent looks at its schedules every 10 s, and waits for another process for longer."""
    monkeypatch.setattr(at_desk, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(at_desk, "ACTIVATED_WITHIN_S", 0.2)
    monkeypatch.setattr(desk, "EXECUTES_FOR_S", 0.5)


class Schedules(ScheduleSource):
    """Schedules of a test's own: a mapping that it changes, and what was run."""

    kind = "arq-cron"

    def __init__(self, *names: str) -> None:
        self.listed = {name: row(name) for name in names}
        self.ran: list[tuple[str, str]] = []
        self.fault: Exception | None = None
        self.run_fault: Exception | None = None

    @property
    def has_any(self) -> bool:
        return bool(self.listed)

    async def rows(self) -> Sequence[Row]:
        if self.fault is not None:
            raise self.fault
        return list(self.listed.values())

    async def run_now(self, key: str, task_id: str) -> None:
        if self.run_fault is not None:
            raise self.run_fault
        self.ran.append((key, task_id))
        self.listed[key] = dataclasses.replace(self.listed[key], total_runs=len(self.ran))


def row(name: str, **fields: Any) -> Row:
    given: dict[str, Any] = {"kind": Kind.CRON, "expression": "0 3 * * *", **fields}
    return Row(name, "arq", name, name, **given)


def engine_of(schedules: Schedules) -> AsyncioEngine:
    engine = AsyncioEngine({})
    engine.schedules = schedules
    return engine


async def test_the_page_shows_what_there_is_and_follows_it(tmp_path: Path) -> None:
    schedules = Schedules("nightly", "weekly")
    async with DevBrain() as brain, agent_of(brain, tmp_path, engine=engine_of(schedules)):
        await brain.wait_for_schedules("nightly", "weekly")
        assert brain.seen.hellos[0].schedulers == ("arq-cron-web",)
        assert brain.schedules["nightly"]["expression"] == "0 3 * * *"
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        schedules.listed["nightly"] = row("nightly", total_runs=3, last_run_at=moment)
        await brain.seen.until(lambda: brain.schedules["nightly"]["total_runs"] == 3, "it ran three times")
        del schedules.listed["weekly"]
        await brain.wait_for_schedules("nightly")
        assert not brain.seen.rejected


async def test_a_schedule_that_is_gone_after_a_restart_is_gone_on_the_page(tmp_path: Path) -> None:
    async with DevBrain() as brain:
        minted = brain.mint("web")
        for names in (("a", "b"), ("a",), ("c",), ()):
            schedules = Schedules(*names)
            async with agent_of(brain, tmp_path, minted, engine=engine_of(schedules)):
                await brain.wait_for_schedules(*names)
        # and once nothing is shown, nothing is announced
        async with agent_of(brain, tmp_path, minted, engine=engine_of(Schedules())):
            await brain.wait_for_workers(1)
        assert brain.seen.hellos[-1].schedulers == ()


async def test_it_is_run_once_and_the_page_agrees_however_often_it_is_asked(tmp_path: Path) -> None:
    schedules = Schedules("nightly")
    async with DevBrain() as brain:
        minted = brain.mint("web")
        async with agent_of(brain, tmp_path, minted, engine=engine_of(schedules)) as agent:
            await brain.wait_for_schedules("nightly")
            answer = await brain.run_schedule("nightly")
            assert answer["status"] == "success"
            ((key, task_id),) = schedules.ran
            assert (key, answer["result"]["trigger_result"]["result"]["task_id"]) == ("nightly", task_id)
            assert brain.schedules["nightly"]["total_runs"] == 1
            command = next(c for c in brain.seen.commands.values() if c.action.endswith("mutate"))
            command.result = None
            await brain.send_again(command)
            assert (await brain.wait_for_result(command))["status"] == "success"
            assert len(schedules.ran) == 1
            await until(lambda: agent.status.commands.get("again") == 1, "it was counted")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Refused("command.unknown_task", "no such task"), "command.unknown_task: no such task"),
        (Failed("the broker said no"), "the broker said no"),
        (RuntimeError("secret"), "command.outcome_unknown: RuntimeError"),
    ],
)
async def test_what_can_not_be_run_is_answered_and_the_page_goes_on(
    tmp_path: Path, fault: Exception, said: str
) -> None:
    schedules = Schedules("nightly")
    schedules.run_fault = fault
    async with DevBrain() as brain, agent_of(brain, tmp_path, engine=engine_of(schedules)):
        await brain.wait_for_schedules("nightly")
        answer = await brain.run_schedule("nightly")
        assert answer["status"] == "failed"
        assert answer["error"].startswith(said)
        schedules.listed["more"] = row("more")
        await brain.wait_for_schedules("nightly", "more")


async def test_what_the_owner_does_not_allow_is_neither_offered_nor_done(tmp_path: Path) -> None:
    schedules = Schedules("nightly")
    engine = engine_of(schedules)
    async with DevBrain() as brain, agent_of(brain, tmp_path, engine=engine, commands="cancel_task"):
        await brain.wait_for_schedules("nightly")
        capabilities = brain.seen.hellos[0].capabilities or {}
        assert "trigger_now" not in capabilities["arq-cron-web"]
        answer = await brain.run_schedule("nightly")
        assert answer["error"].startswith("command.not_allowed: ")
        assert not schedules.ran


async def test_with_no_commands_at_all_no_schedules_are_announced(tmp_path: Path) -> None:
    engine = engine_of(Schedules("nightly"))
    async with DevBrain() as brain, agent_of(brain, tmp_path, engine=engine, commands="none"):
        await brain.wait_for_workers(1)
        assert brain.seen.hellos[0].schedulers == ()
        assert brain.seen.hellos[0].runtime_features == ()


async def test_what_can_not_be_read_is_not_taken_for_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with DevBrain() as brain:
        minted = brain.mint("web")
        schedules = Schedules("a", "b")
        async with agent_of(brain, tmp_path, minted, engine=engine_of(schedules)):
            await brain.wait_for_schedules("a", "b")
            schedules.fault = ConnectionError("hunter2")
            await until(lambda: "can't be read: ConnectionError" in caplog.text, "it was said")
            assert brain.schedules.keys() == {"a", "b"}
        schedules = Schedules("a")
        schedules.fault = ConnectionError("hunter2")
        async with agent_of(brain, tmp_path, minted, engine=engine_of(schedules)):
            await brain.seen.until(lambda: len(brain.seen.hellos) == 2, "a second session")
            await until(lambda: caplog.text.count("can't be read") == 2, "it was said again")
            assert brain.schedules.keys() == {"a", "b"}
            schedules.fault = None
            await brain.wait_for_schedules("a")
        assert "hunter2" not in caplog.text


async def test_arguments_come_without_secrets_and_bounded(tmp_path: Path) -> None:
    schedules = Schedules()
    schedules.listed["a"] = row("a", kwargs={"password": "hunter2", "n": 1}, args=(object(),))
    schedules.listed["b"] = row("b", args=("x" * 9_000,))
    async with DevBrain() as brain, agent_of(brain, tmp_path, engine=engine_of(schedules)):
        await brain.wait_for_schedules("a", "b")
        assert brain.schedules["a"]["kwargs"] == {"password": "[redacted]", "n": 1}
        assert brain.schedules["a"]["args"] == ["<builtins.object>"]
        assert brain.schedules["b"]["args"] == ["[left out: more than 4096 bytes]"]
        assert (await brain.run_schedule("a"))["status"] == "success"


async def test_another_process_takes_over_when_the_one_that_told_the_brain_is_gone(tmp_path: Path) -> None:
    async with DevBrain() as brain:
        minted = brain.mint("web")
        first, second = Schedules("a"), Schedules("a")
        async with agent_of(brain, tmp_path, minted, engine=engine_of(first)) as agent:
            await brain.wait_for_schedules("a")
            async with agent_of(brain, tmp_path, minted, engine=engine_of(second)) as heir:
                await brain.wait_for_workers(2)
                second.listed["b"] = row("b")
                await agent.__aexit__()
                await brain.wait_for_schedules("a", "b")
                assert heir.status.worker_id == brain.seen.hellos[-1].worker_id
                assert len(brain.seen.hellos) == 3


async def test_a_page_that_is_frozen_is_an_error_with_a_way_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with DevBrain() as brain:
        minted = brain.mint("web")
        async with agent_of(brain, tmp_path / "old", minted, engine=engine_of(Schedules("a", "b"))):
            await brain.wait_for_schedules("a", "b")
        with caplog.at_level(logging.ERROR, "z4j"):
            async with agent_of(brain, tmp_path / "new", minted, engine=engine_of(Schedules("a"))):
                await until(lambda: "session.schedules_rejected" in caplog.text, "it was said")
                await asyncio.sleep(0)
        (said,) = [said for said in errors(caplog) if "schedules_rejected" in said]
        assert "another agent name" in said
