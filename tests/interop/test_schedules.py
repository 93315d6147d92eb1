"""Schedules of the real brain, which it fires at any agent of their engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.agents import errors, until
from tests.support.brain_api import BrainApi
from z4j_fastapi import Z4JAgent

pytestmark = [pytest.mark.interop, pytest.mark.slow]

WAIT_S = 90.0
"""It takes about 15 s: a scheduler that starts looks for work every few seconds."""


async def test_a_schedule_that_this_agent_can_not_run_stays_on(
    brain_with_scheduler: BrainApi, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    agent, brain = brain_with_scheduler.mint(), brain_with_scheduler
    async with Z4JAgent(
        brain_url=brain.url,
        token=agent.token,
        hmac_secret=agent.hmac_secret,
        home=tmp_path / "z4j",
        engines=("arq",),
        role="task",
    ):
        schedule = brain.create_schedule("nightly", "arq", every="5s")
        # a refusal would have switched it off, so that it is due only once
        await until(lambda: len(brain.fires(schedule)) >= 2, "it was due twice", WAIT_S)
        assert set(brain.fires(schedule)) == {"accepted"}
        assert brain.schedule(schedule)["is_enabled"] is True
        await until(lambda: "schedule.fire" in caplog.text, "the log said so", WAIT_S)
    (said,) = [said for said in errors(caplog) if "schedule.fire" in said]
    assert "command.no_worker_here" in said
