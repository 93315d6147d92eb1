"""A gateway in front of a brain with a limit for WebSocket messages: it refuses or drops what is larger."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

UNLIMITED = 2**30


@asynccontextmanager
async def gateway(
    brain_url: str, *, refusing_over: int = UNLIMITED, dropping_over: int = UNLIMITED, with_code: int = 1009
) -> AsyncIterator[str]:
    """Its URL. It closes with that code at one size, and drops messages without a word at the other."""

    async def to_brain(agent: ServerConnection, brain: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in agent:
                if len(message) > refusing_over:
                    await agent.close(with_code)
                if len(message) <= dropping_over:
                    await brain.send(message)
        await brain.close()

    async def handle(agent: ServerConnection) -> None:
        assert agent.request is not None
        headers = {"Authorization": agent.request.headers["Authorization"]}
        url = f"{brain_url.replace('http', 'ws', 1)}/ws/agent"
        async with (
            connect(url, additional_headers=headers, proxy=None) as brain,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(to_brain(agent, brain))
            with contextlib.suppress(ConnectionClosed):
                async for message in brain:
                    await agent.send(message)
            await agent.close()

    async with serve(
        handle,
        "127.0.0.1",
        0,
        compression=None,
        close_timeout=1.0,
        max_size=refusing_over if with_code == 1009 else UNLIMITED,
    ) as server:
        yield f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
