"""The fields of log records, for JSON logs and error trackers."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.support.agents import agent_of, closed_port, status_with
from z4j_fastapi.agent.status import State
from z4j_fastapi.devbrain import DevBrain
from z4j_fastapi.log import log, logger

FORMAT = "%(z4j_code)s|%(z4j_state)s|%(z4j_probe)s|%(message)s"


def formatted(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What a handler writes whose format names the fields."""
    formatter = logging.Formatter(FORMAT)
    return [formatter.format(r) for r in caplog.records if r.name.startswith(("z4j.agent", "z4j.health"))]


def test_every_record_has_all_fields(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log.info("plain")
    log.error("with a code", extra={"z4j_code": "buffer.timeout", "another": 1})
    log.error("of a probe", extra={"z4j_code": "plugged.x", "z4j_probe": "theirs", "z4j_state": "online"})
    logger("z4j.health").warning("of another room")
    assert formatted(caplog) == [
        "|||z4j: plain",
        "buffer.timeout||buffer|z4j: with a code",
        "plugged.x|online|theirs|z4j: of a probe",
        "|||z4j: of another room",
    ]


async def test_faults_differ_in_their_templates_by_which_trackers_group(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (tmp_path / "file").touch()
    with closed_port() as port:
        url, nowhere = f"http://127.0.0.1:{port}", tmp_path / "file" / "z4j"
        async with DevBrain() as brain, agent_of(brain, tmp_path, brain_url=url, home=nowhere) as agent:
            await status_with(agent, State.OFFLINE, "tcp.refused")
    by_code = {r.z4j_code: r for r in caplog.records if r.name == "z4j.agent" and r.z4j_code}  # type: ignore[attr-defined]
    assert by_code.keys() == {"buffer.not_a_directory", "tcp.refused"}
    assert all(code in record.msg for code, record in by_code.items())
    refused = by_code["tcp.refused"]
    assert (refused.z4j_state, refused.z4j_probe) == ("offline", "tcp")  # type: ignore[attr-defined]
