"""A state directory that can't be used at first, and can later: events, worker ids and the status."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.agents import agent_of, closed_port, errors, until
from z4j_fastapi.agent import supervisor
from z4j_fastapi.agent.agent import Z4JAgent
from z4j_fastapi.buffer import recovery
from z4j_fastapi.devbrain import DevBrain

NO_BRAIN = "http://127.0.0.1:1"


async def test_events_and_worker_ids_survive_the_way_to_another_directory_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.write_text("no directory")
    temporary.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(supervisor, "ADOPT_EVERY_S", 0.05)
    with closed_port() as port:
        pass
    brain = DevBrain(port=port)
    credentials = brain.mint("web")

    def agent_here() -> Z4JAgent:
        url = f"http://127.0.0.1:{port}"
        return agent_of(
            brain, tmp_path, credentials, home=None, brain_url=url, preflight="off", shutdown_budget_s=0.1
        )

    async with agent_here() as agent:
        assert agent.emit("task.sent", task_id="away")
        away = agent.status
    assert away.buffer_path
    assert Path(away.buffer_path).is_relative_to(temporary)
    home.unlink()
    home.mkdir()
    async with brain, agent_here() as agent:
        assert agent.emit("task.sent", task_id="home")
        back = agent.status
        await brain.wait_for_events(2)
    assert back.buffer_path
    assert Path(back.buffer_path).is_relative_to(home)
    assert back.worker_id == away.worker_id
    assert {event["task_id"] for event in brain.seen.events.values()} == {"away", "home"}


async def test_an_agent_that_began_without_a_disk_gets_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "FIND_SLOT_EVERY_S", 0.05)
    home = tmp_path / "home"
    home.write_text("no directory")
    async with agent_of(DevBrain(), tmp_path, home=home, brain_url=NO_BRAIN) as agent:
        assert not agent.emit("task.sent", task_id="1")
        before = agent.status
        assert (before.buffer_path, before.not_durable, before.buffered) == (None, 1, 1)
        home.unlink()
        await until(lambda: agent.status.buffer_path is not None, "it had found a directory")
        assert agent.emit("task.sent", task_id="2")
        after = agent.status
        assert Path(after.buffer_path or "").is_relative_to(home)
        assert (after.buffer_fault, after.buffered, after.dropped) == ("", 2, 0)
        assert after.worker_id == before.worker_id
    assert agent.status.buffered == 2
    assert any(said.startswith("buffer.not_a_directory") for said in errors(caplog))
