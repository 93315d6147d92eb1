"""Settings in files: what is away or wrong for a moment costs no agent, and broken settings cost no event."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support.agents import agent_of, errors, status_with, until
from z4j_fastapi.agent.agent import Z4JAgent
from z4j_fastapi.agent.reconnect import Schedule
from z4j_fastapi.agent.status import State
from z4j_fastapi.devbrain import Credentials, DevBrain
from z4j_fastapi.health.doctor import ResidentDoctor


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect again without much ado."""
    monkeypatch.setattr(Schedule, "delay_s", lambda *_: 0.05)


async def test_a_ca_file_that_is_away_while_the_agent_reconnects(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, away = tmp_path / "ca.pem", tmp_path / "away.pem"
    trustme.CA().cert_pem.write_to_path(path)
    async with DevBrain() as brain, agent_of(brain, tmp_path, ca_file=path) as agent:
        assert agent.status.state is State.ONLINE
        path.rename(away)
        brain.drop_connections()
        await status_with(agent, State.OFFLINE, "config.ca_unreadable")
        assert agent.emit("task.sent", task_id="1")
        away.rename(path)
        await status_with(agent, State.ONLINE)
        await brain.wait_for_events(1)
    assert any("config.ca_unreadable" in said and "Retrying in " in said for said in errors(caplog))


@pytest.fixture(params=["token", "hmac_secret"])
def secret(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SecretFile:
    """One of the two in a file."""
    attribute = str(request.param)
    path = tmp_path / attribute
    monkeypatch.setenv(f"Z4J_{attribute.upper()}_FILE", str(path))
    return SecretFile(attribute, path)


@dataclass
class SecretFile:
    """A secret that stands in a file, and nowhere else."""

    attribute: str
    path: Path

    def agent(self, brain: DevBrain, directory: Path, credentials: Credentials) -> Z4JAgent:
        """An agent that has to find it there."""
        return agent_of(brain, directory, credentials, **{self.attribute: None})


async def test_a_secrets_file_that_is_away_while_the_agent_reconnects(
    tmp_path: Path, secret: SecretFile
) -> None:
    async with DevBrain() as brain:
        credentials = brain.mint("web")
        secret.path.write_text(getattr(credentials, secret.attribute))
        async with secret.agent(brain, tmp_path, credentials) as agent:
            assert agent.status.state is State.ONLINE
            secret.path.unlink()
            brain.drop_connections()
            await until(lambda: brain.seen.connections == 2, "it connected again")
            await status_with(agent, State.ONLINE)


@pytest.mark.parametrize("content", [None, "", "half a secr", "z" * 43])
async def test_a_secrets_file_that_is_written_after_the_start(
    tmp_path: Path, secret: SecretFile, content: str | None
) -> None:
    """Absent, empty, malformed, or one that the brain refuses."""
    async with DevBrain() as brain:
        credentials = brain.mint("web")
        if content is not None:
            secret.path.write_text(content)
        async with secret.agent(brain, tmp_path, credentials) as agent:
            assert agent.status.state is State.OFFLINE
            assert agent.emit("task.sent", task_id="1")
            secret.path.write_text(getattr(credentials, secret.attribute))
            await status_with(agent, State.ONLINE)
            await brain.wait_for_events(1)


async def test_a_secret_from_a_pipe_is_read_once(tmp_path: Path, secret: SecretFile) -> None:
    os.mkfifo(secret.path)
    async with DevBrain() as brain:
        credentials = brain.mint("web")
        writer = threading.Thread(
            target=secret.path.write_text, args=(getattr(credentials, secret.attribute),), daemon=True
        )
        writer.start()
        async with secret.agent(brain, tmp_path, credentials) as agent:
            writer.join()
            assert agent.status.state is State.ONLINE
            brain.drop_connections()
            await until(lambda: brain.seen.connections == 2, "it connected again")
            await status_with(agent, State.ONLINE)


async def test_the_doctor_of_the_health_page_reads_the_file_again(tmp_path: Path, secret: SecretFile) -> None:
    async with DevBrain() as brain:
        credentials = brain.mint("web")
        agent = secret.agent(brain, tmp_path, credentials)
        secret.path.write_text(getattr(credentials, secret.attribute))
        report = await ResidentDoctor(0.0).report(agent.settings)
        assert report.first_failure is None


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ({"token": '"quoted"'}, "config.token_malformed"),
        ({"hmac_secret": "short"}, "config.secret_malformed"),
        ({"hmac_secret": ""}, "config.missing"),
    ],
)
async def test_events_wait_on_disk_for_a_start_with_sound_settings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: dict[str, Any], code: str
) -> None:
    async with DevBrain() as brain:
        async with agent_of(brain, tmp_path, **broken) as agent:
            assert (agent.status.state, agent.status.code) == (State.DISABLED, code)
            for n in range(10):
                assert agent.emit("task.sent", task_id=str(n))
            assert (agent.status.buffered, agent.status.dropped) == (10, 0)
        assert "kept on disk" in errors(caplog)[0]
        assert "Stays off until restarted." in errors(caplog)[0]
        async with agent_of(brain, tmp_path):
            await brain.wait_for_events(10)


@pytest.mark.parametrize("broken", [{"project_id": "no slug"}, {"agent_name": " "}, {"brain_url": "brain"}])
async def test_events_are_not_kept_where_no_later_start_would_look_for_them(
    tmp_path: Path, broken: dict[str, Any]
) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path, **broken) as agent:
        assert agent.status.state is State.DISABLED
        assert agent.emit("task.sent", task_id="1") is False
        assert agent.status.dropped == 1


async def test_broken_settings_without_a_disk_keep_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    arguments: dict[str, Any] = {"token": '"quoted"', "home": tmp_path / "file"}
    async with DevBrain() as brain, agent_of(brain, tmp_path, **arguments) as agent:
        assert agent.status.state is State.DISABLED
        assert agent.emit("task.sent", task_id="1") is False
