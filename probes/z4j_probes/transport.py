"""The connection while it climbs: an asyncio protocol that holds what the peer says until a rung asks.

tcp opens the transport with it, a proxy's answer is read through it, tls and websocket take the transport
over from it, and what a server says unasked is kept as evidence.

A child process that is forked off gets a copy of the connection's descriptor. While it has that, the peer
does not see the end of a parent that was killed: a brain would show it online for its 90 s of patience.
So the child closes its copies, without a word to the peer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import weakref
from typing import cast

from z4j_probes.portable.fork import at_fork

# Enough for a banner, an HTTP error page or a proxy's answer; a peer that floods is paused, not buffered.
HELD_MAX_BYTES = 64 * 1024

_connected: weakref.WeakSet[socket.socket] = weakref.WeakSet()


class HoldingProtocol(asyncio.Protocol):
    """Keeps what arrives, and how the connection ended, until another takes the transport over."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.transport: asyncio.Transport | None = None
        self.layers: list[asyncio.Transport] = []
        """TCP's transport, then those of TLS over it. Each has a buffer of its own."""
        self.eof = False
        self.lost = False
        self.error: Exception | None = None
        self._changed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called again after start_tls, with the encrypted transport."""
        # asyncio's own promise; uvloop's keeps it without being a subclass
        self.transport = cast("asyncio.Transport", transport)
        self.layers.append(self.transport)
        # asyncio's; uvloop has no socket object that could be told, and no agent runs in its loop
        connection = getattr(transport.get_extra_info("socket"), "_sock", None)
        if isinstance(connection, socket.socket):
            _connected.add(connection)

    def data_received(self, data: bytes) -> None:
        """Keep it; stop reading where it is more than any honest peer says here."""
        self.received += data
        if len(self.received) > HELD_MAX_BYTES and self.transport is not None:
            self.transport.pause_reading()
        self._changed.set()

    def eof_received(self) -> bool:
        """The peer has finished sending; let the transport close."""
        self.eof = True
        self._changed.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone, with the reason where there is one."""
        self.lost = True
        self.error = exc
        self._changed.set()

    async def changed(self) -> None:
        """Wait until more has arrived or the connection has ended. The caller bounds the wait."""
        await self._changed.wait()
        self._changed.clear()

    def take(self) -> bytes:
        """What has arrived so far, handed over; there is room for more now."""
        data = bytes(self.received)
        self.received.clear()
        if self.transport is not None:
            self.transport.resume_reading()
        return data


def hang_up(transport: asyncio.Transport) -> None:
    """Abort it, whatever was done to it before.

    Before Python 3.11.3 (Debian 12 has 3.11.2) a TLS transport that was closed twice has forgotten what it
    would abort; by then its shutdown is under way.
    """
    with contextlib.suppress(AttributeError):
        transport.abort()


def _close_in_child() -> None:
    for connection in list(_connected):
        # detached first: the object must not close the number again, which may be another file's by then
        descriptor = connection.detach()
        if descriptor >= 0:
            os.close(descriptor)
    _connected.clear()


at_fork(in_child=_close_in_child)
