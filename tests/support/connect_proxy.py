"""An HTTP proxy on loopback that opens tunnels, wants a password, refuses, or answers something else."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.support.connections import reset
from z4j_probes.proxy import Proxy

Answering = Callable[["ConnectProxy", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class ConnectProxy:
    """A running proxy, and the heads of the requests that it got."""

    port: int = 0
    secure: bool = False
    requests: list[str] = field(default_factory=list)

    def named(self, host: str = "127.0.0.1", *, user: str | None = None) -> Proxy:
        """As a variable would name it; `user` is USER:PASSWORD."""
        authorization = f"Basic {base64.b64encode(user.encode()).decode()}" if user else None
        return Proxy(host, self.port, self.secure, "HTTPS_PROXY", authorization)


@asynccontextmanager
async def connect_proxy(
    answering: Answering, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ConnectProxy]:
    """Listen; each connection's request head is read and noted, then answered."""
    proxy = ConnectProxy(secure=tls is not None)
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            proxy.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
            await answering(proxy, reader, writer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def says(answer: str) -> Answering:
    """Answer these words, then hang up."""

    async def behave(_: ConnectProxy, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer.encode("latin-1"))

    return behave


def tunnels(*, password: str | None = None, greeting: bytes = b"") -> Answering:
    """Open the tunnel: what is sent into it comes back. `password` (USER:PASSWORD) is asked for if given."""

    async def behave(proxy: ConnectProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wanted = password and "Basic " + base64.b64encode(password.encode()).decode()
        if wanted and f"Proxy-Authorization: {wanted}\r\n" not in proxy.requests[-1]:
            writer.write(
                b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                b'Proxy-Authenticate: Basic realm="the office"\r\nContent-Length: 0\r\n\r\n'
            )
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n" + greeting)
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()

    return behave


async def hangs(_: ConnectProxy, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """Take the request and say nothing."""
    await reader.read()


async def resets(_: ConnectProxy, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take the request and cut the connection."""
    await reset(writer)
