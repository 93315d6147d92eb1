"""A relay before a brain: a path that works, until it swallows everything or takes nothing any more."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Relay:
    """`swallowing`: what comes is read and forgotten. `stalled`: nothing is read, and buffers fill."""

    url: str
    swallowing: asyncio.Event = field(default_factory=asyncio.Event)
    stalled: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def relay_to(port: int) -> AsyncIterator[Relay]:
    """A relay to a port of this machine."""
    ended = asyncio.Event()

    async def forward(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            if relay.stalled.is_set():
                await ended.wait()
            if not relay.swallowing.is_set():
                sink.write(data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(forward(reader, upstream_writer))
                group.create_task(forward(upstream_reader, writer))
        finally:
            writer.close()
            upstream_writer.close()

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)  # so that it is soon full
    listener.bind(("127.0.0.1", 0))
    server = await asyncio.start_server(serve, sock=listener)
    async with server:
        relay = Relay(f"http://127.0.0.1:{listener.getsockname()[1]}")
        yield relay
        ended.set()
