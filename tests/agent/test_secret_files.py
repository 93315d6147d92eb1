"""Files with secrets that do not answer: made in no time, entered within the budget, named in the end."""

from __future__ import annotations

import os
import statistics
import threading
import time
from pathlib import Path

import pytest

from tests.support.agents import agent_of, status_with
from z4j_fastapi.agent.agent import Z4JAgent
from z4j_fastapi.agent.errors import PreflightError
from z4j_fastapi.agent.files import SettingsFiles
from z4j_fastapi.agent.status import State
from z4j_fastapi.devbrain import DevBrain
from z4j_probes import Settings

# As the token of a person who set the wrong variable.
TOKEN = "z4j_" + "Ab3dEf6hIj9lMn2pQr5tUv8xYz1" * 2


@pytest.fixture
def silent_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """FIFOs without a writer, where Z4J_TOKEN_FILE and Z4J_HMAC_SECRET_FILE say that the secrets are."""
    paths = []
    for name in ("Z4J_TOKEN_FILE", "Z4J_HMAC_SECRET_FILE"):
        paths.append(tmp_path / name.lower())
        os.mkfifo(paths[-1])
        monkeypatch.setenv(name, str(paths[-1]))
    return paths


async def test_an_agent_is_made_at_once(silent_files: list[Path], tmp_path: Path) -> None:
    took_s = []
    for _ in range(20):
        started_s = time.perf_counter()
        agent = Z4JAgent(brain_url="http://127.0.0.1:1", home=tmp_path)
        took_s.append(time.perf_counter() - started_s)
    assert statistics.median(took_s) < 0.005
    assert (agent.settings.token, agent.settings.hmac_secret, agent.settings.unreadable) == (None, None, ())


async def test_entering_it_costs_the_budget_and_the_file_is_named(
    silent_files: list[Path], tmp_path: Path
) -> None:
    agent = Z4JAgent(brain_url="http://127.0.0.1:1", home=tmp_path, preflight_budget_s=0.5)
    started_s = time.monotonic()
    async with agent:
        assert time.monotonic() - started_s < 1.5
        assert agent.status.state is State.STARTING
        assert agent.emit("task.sent", task_id="1")
        status = await status_with(agent, State.OFFLINE, "config.secret_unreadable")
        assert str(silent_files[0]) in status.reason
        assert "did not answer" in status.reason
        assert [lost.attribute for lost in agent.settings.unreadable] == ["token", "hmac_secret"]
    assert agent.status.buffered == 1


async def test_strict_does_not_wait_for_it(silent_files: list[Path], tmp_path: Path) -> None:
    agent = Z4JAgent(
        brain_url="http://127.0.0.1:1",
        home=tmp_path,
        preflight="strict",
        preflight_budget_s=0.5,
        shutdown_budget_s=0.1,
    )
    with pytest.raises(PreflightError, match="preflight_budget_s"):
        await agent.__aenter__()


async def test_secrets_that_come_late_are_taken(silent_files: list[Path], tmp_path: Path) -> None:
    async with DevBrain() as brain:
        credentials = brain.mint("web")
        agent = agent_of(brain, tmp_path, credentials, token=None, hmac_secret=None, preflight_budget_s=0.2)
        async with agent:
            assert agent.status.state is State.STARTING
            for path, secret in zip(silent_files, (credentials.token, credentials.hmac_secret), strict=True):
                threading.Thread(target=path.write_text, args=(secret,), daemon=True).start()
            await status_with(agent, State.ONLINE)
            assert agent.settings.token is not None
            assert agent._thread is not None
            assert agent._thread.commands is not None
            assert agent._thread.commands.executor.hmac_secret == agent.settings.hmac_secret
        assert agent.settings.token is not None


async def test_a_secret_where_its_files_name_belongs_is_shown_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("Z4J_TOKEN_FILE", TOKEN)
    async with DevBrain() as brain:
        agent = agent_of(brain, tmp_path, token=None)
        shown = [repr(agent.settings), repr(agent.settings.describe()), repr(vars(agent))]
        async with agent:
            assert (agent.status.state, agent.status.code) == (State.DISABLED, "config.secret_unreadable")
            assert agent.emit("task.sent", task_id="1")
            shown += [repr(agent.settings), repr(agent.settings.describe()), repr(agent.status)]
    assert TOKEN not in "".join([*shown, caplog.text])


async def test_settings_without_a_file_wait_for_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.load(environ={"Z4J_TOKEN": TOKEN})

    def no_thread(thread: threading.Thread) -> None:
        pytest.fail(f"{thread.name} was started")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    assert await SettingsFiles().reread(settings) is settings
