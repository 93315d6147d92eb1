"""What the log says of an outage: the form of its lines, their levels, and each code once."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from tests.support.agents import agent_of, said_at, status_with, until
from z4j_fastapi.agent.outage import Outage
from z4j_fastapi.agent.status import State
from z4j_fastapi.devbrain import DevBrain


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(r.levelname, r.getMessage()) for r in caplog.records if r.name == "z4j.agent"]


def test_a_line_has_the_state_the_code_the_reason_the_fix_and_the_next_attempt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Outage().failed("tls.expired", "certificate expired 3 days ago", "Renew it", 4.2)
    assert lines(caplog) == [
        ("ERROR", "z4j: offline (tls.expired): certificate expired 3 days ago. Renew it. Retrying in 5 s.")
    ]
    fields = [getattr(caplog.records[0], f"z4j_{name}") for name in ("code", "state", "probe")]
    assert fields == ["tls.expired", "offline", "tls"]


def test_each_code_is_logged_once_in_an_outage_and_again_in_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "z4j.agent")
    outage = Outage()
    for _ in range(2):
        outage.lost("session.lost", "connection lost", "", 1)
        for code in ("tcp.refused", "auth.closed", "tcp.refused"):
            outage.failed(code, "no", "", 1)
        outage.over("web")
    levels = [level for level, _ in lines(caplog)]
    assert levels == ["WARNING", "ERROR", "ERROR", "ERROR"] * 2


def test_coming_back_is_logged_at_the_highest_level_of_the_outage(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "z4j.agent")
    outage = Outage()
    outage.over("web")
    outage.lost("session.lost", "connection lost", "", 1)
    outage.over("web")
    outage.failed("tcp.refused", "refused", "", 1)
    outage.over("web")
    assert [line for line in lines(caplog) if "online" in line[1]] == [
        ("INFO", "z4j: online: web"),
        ("WARNING", "z4j: online again: web"),
        ("ERROR", "z4j: online again: web"),
    ]


def test_an_agent_that_is_off_says_what_becomes_of_its_events(caplog: pytest.LogCaptureFixture) -> None:
    Outage().gave_up("config.missing", "Z4J_TOKEN is not set", "Set it", keeps_events=True)
    ((level, text),) = lines(caplog)
    assert level == "ERROR"
    assert text.startswith(
        "z4j: disabled (config.missing): Z4J_TOKEN is not set. Set it. This agent stays off"
    )
    assert text.endswith("Events are kept on disk.")


async def test_a_lost_session_is_a_warning_and_the_failure_to_get_it_back_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        await brain.stop()
        await until(lambda: agent.status.code == "tcp.refused", "an attempt has failed")
        assert agent.status.next_attempt_at is not None
        assert agent.status.next_attempt_at >= agent.status.since
        await brain.start()
        status = await status_with(agent, State.ONLINE)
        assert status.next_attempt_at is None
    (lost,) = said_at(caplog, "WARNING")
    assert re.fullmatch(r"offline \(session\.lost\): .*\. Retrying in \d+ s\.", lost)
    failed, back = said_at(caplog, "ERROR")
    assert re.fullmatch(r"offline \(tcp\.refused\): .*\. Retrying in \d+ s\.", failed)
    assert back.startswith("online again: ")
