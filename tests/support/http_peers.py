"""Peers on loopback that accept a connection and then do one thing: answer bytes, hang up, say nothing."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import re
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3


@dataclass(slots=True)
class Peer:
    """A listening peer: where it is, and what it has been asked."""

    port: int
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Peer], Awaitable[None]]


@asynccontextmanager
async def peer(
    behaviour: Behaviour, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Peer]:
    """Listen on a port of the system's choice; every connection that is still open ends with the block."""
    tasks: set[asyncio.Task[None]] = set()
    seen = Peer(0, host=f"[{host}]" if ":" in host else host)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        seen.connections += 1
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
                await behaviour(reader, writer, seen)
        finally:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    server = await asyncio.start_server(handle, host, 0, ssl=tls)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def asking_for_client_certificate(context: ssl.SSLContext) -> Iterator[int]:
    """A TLS server that refuses whoever brings no certificate; its port.

    In a thread with blocking sockets, because asyncio's server drops the alert that says so.
    """
    context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection = listener.accept()[0]
                connection.settimeout(5)
                encrypted = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                with contextlib.suppress(OSError), encrypted:
                    with contextlib.suppress(ssl.SSLError):
                        encrypted.do_handshake()
                    socket.socket.recv(encrypted, 4096)  # unread, it would turn the end into a reset

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def answering(answer: bytes, *, keep_open: bool = False) -> Behaviour:
    """Read a request, send these bytes, and hang up (or not)."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Peer) -> None:
        seen.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await writer.drain()
        if keep_open:
            await reader.read()

    return behave


def greeting(banner: bytes) -> Behaviour:
    """Speak first, like SSH and SMTP."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Peer) -> None:
        writer.write(banner)
        await writer.drain()
        seen.requests.append(await reader.read())

    return behave


def silent() -> Behaviour:
    """Take everything, say nothing."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Peer) -> None:
        await reader.read()

    return behave


def hanging_up(*, reset: bool = False) -> Behaviour:
    """Read a request, and end the connection without an answer."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Peer) -> None:
        seen.requests.append(await reader.readuntil(b"\r\n\r\n"))
        if reset:
            writer.transport.abort()  # asyncio closes; with data unread the kernel makes it a reset

    return behave


def upgrading(*after: bytes, keep_open: bool = True, headers: bytes = b"", before: bytes = b"") -> Behaviour:
    """Upgrade properly, with this `before` it, then send these frames, and from there on nothing."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Peer) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        seen.requests.append(request)
        found = re.search(rb"(?i)sec-websocket-key: *(\S+)", request)
        assert found is not None
        accept = base64.b64encode(hashlib.sha1(found[1] + _GUID).digest())
        writer.write(
            before
            + b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + headers
            + b"Sec-WebSocket-Accept: "
            + accept
            + b"\r\n\r\n"
            + b"".join(after)
        )
        await writer.drain()
        if keep_open:
            await reader.read()

    return behave


def text_frame(payload: bytes) -> bytes:
    """An unmasked text message of a server (RFC 6455 §5.2), up to 125 bytes."""
    return bytes([0x81, len(payload)]) + payload


def close_frame(code: int, reason: bytes = b"") -> bytes:
    """A server's close frame."""
    payload = code.to_bytes(2, "big") + reason
    return bytes([0x88, len(payload)]) + payload


def http(status: str, body: bytes = b"", **headers: str) -> bytes:
    """An HTTP/1.1 answer; underscores in header names become hyphens."""
    lines = [f"HTTP/1.1 {status}"] + [f"{n.replace('_', '-')}: {v}" for n, v in headers.items()]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
