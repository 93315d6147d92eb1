"""Agents for tests, peers for them to fail on, and what they logged."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.utils import accept_key

from z4j_fastapi.agent.agent import Z4JAgent
from z4j_fastapi.agent.status import AgentStatus, State
from z4j_fastapi.devbrain import Credentials, DevBrain

WAIT_S = 60.0


def agent_of(
    brain: DevBrain, directory: Path, credentials: Credentials | None = None, **arguments: Any
) -> Z4JAgent:
    """An agent with good settings for this brain, unless `arguments` say otherwise."""
    credentials = credentials or brain.mint("web")
    given: dict[str, Any] = {
        "brain_url": brain.url,
        "token": credentials.token,
        "hmac_secret": credentials.hmac_secret,
        "agent_name": "web",
        "home": directory / "z4j",
        "preflight_budget_s": 10.0,  # what does not fail may need it on a busy machine
        **arguments,
    }
    return Z4JAgent(**given)


async def until(condition: Callable[[], bool], what: str, timeout_s: float = WAIT_S) -> None:
    """Return once the condition holds."""
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"within {timeout_s:g} s it never was so that {what}")


async def status_with(agent: Z4JAgent, state: State, code: str = "") -> AgentStatus:
    """The agent's status once it is in that state for that reason."""
    await until(
        lambda: agent.status.state is state and agent.status.code == code,
        f"the agent was {state} with {code!r}",
    )
    return agent.status


@contextmanager
def closed_port() -> Iterator[int]:
    """A loopback port on which nothing listens, and which no one else gets meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@asynccontextmanager
async def silent_peer() -> AsyncIterator[str]:
    """The URL of a peer that accepts and says nothing."""

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:
            writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def peer_that_freezes(port: int = 0) -> AsyncIterator[str]:
    """The URL of a peer that upgrades, and then neither says nor reads anything, a close frame included.

    Its port is the system's choice unless one is given.
    """

    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(
            line.split()[1] for line in head.splitlines() if line.lower().startswith("sec-websocket-key")
        )
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_key(key).encode() + b"\r\n\r\n"
        )
        try:
            await ended.wait()
        finally:
            writer.close()

    ended = asyncio.Event()
    server = await asyncio.start_server(upgrade, "127.0.0.1", port)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ended.set()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the agent logged as warnings."""
    return said_at(caplog, "WARNING")


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the agent logged as errors."""
    return said_at(caplog, "ERROR")


def said_at(caplog: pytest.LogCaptureFixture, level: str) -> list[str]:
    """What the agent logged at that level, without the word with which each text begins."""
    texts = [r.getMessage() for r in caplog.records if r.name == "z4j.agent" and r.levelname == level]
    assert all(text.startswith("z4j: ") for text in texts)
    return [text.removeprefix("z4j: ") for text in texts]
