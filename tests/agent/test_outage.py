"""What the log says of an outage: the form and length of its lines, their levels, and each code once."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.faults import table as said
from tests.support.agents import agent_of, said_at, status_with, until
from z4j_fastapi.agent.outage import Outage
from z4j_fastapi.agent.status import State
from z4j_fastapi.devbrain import DevBrain
from z4j_fastapi.log import LINE_WIDTH
from z4j_probes import ProbeResult, Status
from z4j_probes.codes import CATALOGUE
from z4j_probes.result import Step


def failure(code: str, message: str, *steps: Step, row: str = "") -> ProbeResult:
    return ProbeResult(code.partition(".")[0], Status.FAIL, code, message, steps=steps, headline=row)


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(r.levelname, r.getMessage()) for r in caplog.records if r.name == "z4j.agent"]


def test_a_line_has_the_state_the_code_the_reason_the_fix_and_the_next_attempt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Outage().failed(failure("tls.expired", "certificate expired 3 days ago", Step("Renew it")), 4.2)
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
        outage.lost("session.lost", "connection lost", (), 1)
        for code in ("tcp.refused", "auth.closed", "tcp.refused"):
            outage.failed(failure(code, "no"), 1)
        outage.over("web")
    levels = [level for level, _ in lines(caplog)]
    assert levels == ["WARNING", "ERROR", "ERROR", "ERROR"] * 2


def test_coming_back_is_logged_at_the_highest_level_of_the_outage(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "z4j.agent")
    outage = Outage()
    outage.over("web")
    outage.lost("session.lost", "connection lost", (), 1)
    outage.over("web")
    outage.failed(failure("tcp.refused", "refused"), 1)
    outage.over("web")
    assert [line for line in lines(caplog) if "online" in line[1]] == [
        ("INFO", "z4j: online: web"),
        ("WARNING", "z4j: online again: web"),
        ("ERROR", "z4j: online again: web"),
    ]


def test_an_agent_that_is_off_says_what_becomes_of_its_events(caplog: pytest.LogCaptureFixture) -> None:
    Outage().gave_up(failure("config.missing", "Z4J_TOKEN is not set", Step("Set it")), keeps_events=True)
    ((level, text),) = lines(caplog)
    assert level == "ERROR"
    assert text.splitlines() == [
        "z4j: disabled (config.missing): Z4J_TOKEN is not set.",
        "  Stays off until restarted. Events are kept on disk.",
        "  Set it.",
    ]


def test_a_line_that_gets_too_long_ends_with_the_next_attempt_and_the_fix_follows(
    caplog: pytest.LogCaptureFixture,
) -> None:
    steps = (
        Step("Create the agent's token on the brain's dashboard, and write it where the service reads it"),
        Step("See which server answers", "curl -i https://brain.example/api/v1/health -m 5"),
    )
    Outage().failed(failure("auth.token_rejected", "brain.example rejected the token", *steps), 4.2)
    ((_, text),) = lines(caplog)
    assert text.splitlines() == [
        "z4j: offline (auth.token_rejected): brain.example rejected the token. Retrying in 5 s.",
        "  Create the agent's token on the brain's dashboard, and write it where the service reads it.",
        "  See which server answers:",
        "      curl -i https://brain.example/api/v1/health -m 5",
    ]


def test_a_cause_that_is_too_long_for_the_first_line_is_there_as_the_row_has_it_and_whole_below(
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = '"Corp Root CA", which issued the certificate of brain.example, is not trusted on this machine'
    Outage().failed(failure("tls.unknown_ca", whole, row='CA not trusted: "Corp Root CA"'), 4.2)
    ((_, text),) = lines(caplog)
    assert text.splitlines() == [
        'z4j: offline (tls.unknown_ca): CA not trusted: "Corp Root CA". Retrying in 5 s.',
        f"  {whole}.",
    ]


SAID = json.loads(said.DATA.read_text(encoding="utf-8"))["faults"]
FAILURES = {
    **{name: (row["code"], row["message"], row["steps"]) for name, row in SAID.items()},
    **{
        code.code: (code.code, code.title, [asdict(step) for step in code.steps])
        for code in CATALOGUE.values()
        if code.status in (Status.FAIL, Status.WARN)
    },
}


def test_of_every_code_and_scenario_the_log_has_lines_that_fit(caplog: pytest.LogCaptureFixture) -> None:
    """What was said of real faults. Commands, addresses, and paths are not broken."""
    assert len(FAILURES) > 300
    wrong = {}
    for name, (code, message, steps) in FAILURES.items():
        caplog.clear()
        found = failure(code, message, *(Step(step["text"], step["command"]) for step in steps))
        Outage().failed(found, 29.5)
        ((_, text),) = lines(caplog)
        if objections := _objections_to(text, code, [step["command"] for step in steps if step["command"]]):
            wrong[name] = (objections, text)
    assert wrong == {}


def _objections_to(text: str, code: str, commands: list[str]) -> list[str]:
    first, *more = text.splitlines()
    long = [line for line in (first, *more) if len(line) > LINE_WIDTH and line.strip() not in commands]
    holds = {
        "it begins with state and code": first.startswith(f"z4j: offline ({code}): "),
        "its lines fit": not [line for line in long if len(line.split()) > 1],
        "what follows is indented": all(line.startswith("  ") for line in more),
        "it says when it tries again": "Retrying in 30 s." in " ".join(text.split()),
        "a command has its own line": set(commands) <= {line.strip() for line in more},
    }
    return [what for what, is_so in holds.items() if not is_so]


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
    assert re.fullmatch(r"offline \(tcp\.refused\): .*\. Retrying in \d+ s\.", failed.splitlines()[0])
    assert back.startswith("online again: ")
