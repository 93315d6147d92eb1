"""A relay that ends the WebSocket, as a proxy that terminates TLS does, and changes what a brain sends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from z4j_probes.protocol import CloseCode

CLOSE_TIMEOUT_S = 1.0


@dataclass
class HostileRelay:
    """`change` makes of each of the brain's messages what the agent gets. `end_behind` says for each of the
    agent's messages with which code the relay closes instead of passing it on, None for what it passes.

    `from_brain` and `from_agent` have all messages as they were sent.
    """

    url: str
    change: Callable[[str], str]
    end_behind: Callable[[str], int | None] = lambda message: None
    from_brain: list[str] = field(default_factory=list)
    from_agent: list[str] = field(default_factory=list)
    agents: list[ServerConnection] = field(default_factory=list)

    async def inject(self, message: str) -> None:
        """Send the agent, on its newest connection, what no brain has sent now."""
        await self.agents[-1].send(message)


def as_it_was(message: str) -> str:
    return message


def without_signature(message: str) -> str:
    frame = json.loads(message)
    frame.pop("hmac", None)
    return json.dumps(frame)


@asynccontextmanager
async def hostile_relay(
    brain_url: str, change: Callable[[str], str] = without_signature
) -> AsyncIterator[HostileRelay]:
    """A relay to this brain, which has the brain's URL for an agent."""

    async def to_brain(agent: ServerConnection, brain: ClientConnection) -> None:
        try:
            async for message in agent:
                relay.from_agent.append(_text(message))
                code = relay.end_behind(_text(message))
                if code is not None:
                    await agent.close(code)
                    break
                await brain.send(message)
        except ConnectionClosed:
            pass
        await brain.close()

    async def handle(agent: ServerConnection) -> None:
        assert agent.request is not None
        headers = {"Authorization": agent.request.headers["Authorization"]}
        url = f"{brain_url.replace('http', 'ws', 1)}/ws/agent"
        async with connect(url, additional_headers=headers, proxy=None) as brain:
            relay.agents.append(agent)
            forward = asyncio.create_task(to_brain(agent, brain))
            try:
                async for message in brain:
                    relay.from_brain.append(_text(message))
                    await agent.send(relay.change(_text(message)))
            except ConnectionClosed:
                pass
            code = brain.close_code or CloseCode.GOING_AWAY
            await agent.close(code if code in range(4000, 5000) else CloseCode.GOING_AWAY)
            await forward

    async with serve(handle, "127.0.0.1", 0, compression=None, close_timeout=CLOSE_TIMEOUT_S) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        relay = HostileRelay(f"http://127.0.0.1:{port}", change)
        yield relay


def _text(message: str | bytes) -> str:
    return message if isinstance(message, str) else message.decode()
