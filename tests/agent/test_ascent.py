"""The first climb begins while the buffer is being opened, and says nothing before it is open."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.agents import agent_of, until
from z4j_fastapi.agent import thread
from z4j_fastapi.agent.agent import Z4JAgent
from z4j_fastapi.agent.status import State
from z4j_fastapi.buffer import EventBuffer
from z4j_fastapi.devbrain import DevBrain

PATIENT: dict[str, Any] = {"preflight_budget_s": 60.0}


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Buffers are opened once this is set."""
    answers, opened = threading.Event(), EventBuffer.open

    def open_then(directory: Path | None, *args: Any, **more: Any) -> EventBuffer:
        assert directory is None or answers.wait(60)
        return opened(directory, *args, **more)

    monkeypatch.setattr(EventBuffer, "open", open_then)
    return answers


def is_connected(brain: DevBrain) -> bool:
    """Whether anyone is."""
    assert brain._server is not None
    return any(True for _ in brain._server.connections)


@asynccontextmanager
async def entering(agent: Z4JAgent) -> AsyncIterator[asyncio.Task[Z4JAgent]]:
    """Its start, and its end."""
    entered = asyncio.create_task(agent.__aenter__())
    try:
        yield entered
    finally:
        await entered
        await agent.__aexit__()


async def test_it_is_connected_before_the_disk_answers_and_introduced_after_that(
    tmp_path: Path, disk: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread, "_SILENT_S", 60.0)
    async with DevBrain() as brain:
        agent = agent_of(brain, tmp_path, **PATIENT)
        async with entering(agent) as entered:
            await until(lambda: brain.seen.connections == 1, "it was connected")
            assert not brain.seen.hellos
            disk.set()
            await entered
            assert agent.status.state is State.ONLINE
            assert brain.seen.connections == 1
            assert [hello.worker_id for hello in brain.seen.hellos] == [agent.status.worker_id]


async def test_a_brain_does_not_wait_for_a_hello_as_long_as_a_disk_may_take(
    tmp_path: Path, disk: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread, "_SILENT_S", 0.5)
    async with DevBrain() as brain:
        agent = agent_of(brain, tmp_path, **PATIENT)
        async with entering(agent) as entered:
            await until(lambda: brain.seen.connections == 1, "it was connected")
            await until(lambda: not is_connected(brain), "it has left")
            disk.set()
            await entered
            assert agent.status.state is State.ONLINE
            assert (brain.seen.connections, len(brain.seen.hellos)) == (2, 1)


async def test_a_stop_while_the_disk_is_silent_leaves_no_connection(
    tmp_path: Path, disk: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread, "_SILENT_S", 60.0)
    async with DevBrain() as brain:
        agent = agent_of(brain, tmp_path, preflight_budget_s=0.1, shutdown_budget_s=0.1)
        async with agent:
            await until(lambda: brain.seen.connections == 1, "it was connected")
        disk.set()
        await until(lambda: not is_connected(brain), "it has left")


async def test_secrets_in_files_are_read_before_anything_is_connected(
    tmp_path: Path, disk: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with DevBrain() as brain:
        credentials = brain.mint("web")
        token = tmp_path / "token"
        token.write_text(credentials.token)
        token.chmod(0o600)
        monkeypatch.setenv("Z4J_TOKEN_FILE", str(token))
        agent = agent_of(brain, tmp_path, credentials, token=None, **PATIENT)
        async with entering(agent) as entered:
            disk.set()
            await entered
            assert agent.status.state is State.ONLINE
            assert brain.seen.connections == 1
