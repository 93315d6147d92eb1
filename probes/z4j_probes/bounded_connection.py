"""The WebSocket connection that a session takes over: its memory is bounded whatever the peer sends."""

from __future__ import annotations

from typing import Any

from websockets.asyncio.connection import Connection
from websockets.http11 import Response
from websockets.protocol import SEND_EOF, Event

# Answers to pings are written without waiting for the peer to read them. What we send ourselves waits, so
# this is more than an honest peer ever leaves unread: a frame of each task, of 1 MiB at most.
UNREAD_MAX_BYTES = 8 * 1024 * 1024


class BoundedConnection(Connection):
    """Ends the connection where a peer asks and asks, and reads no answer.

    Not a ClientConnection: what that adds is the handshake, which has been done by then, and with it a
    megabyte of HTTP and proxies in each process.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_flooded = False
        """Whether it was ended for that."""

    def process_event(self, event: Event) -> None:
        """As websockets calls it for each frame, and before those for the answer that upgrades."""
        if not isinstance(event, Response):
            super().process_event(event)

    def send_data(self) -> None:
        """As websockets calls it, but all answers go in one piece.

        From Python 3.12 on, a transport whose peer does not read adds up all waiting pieces whenever it gets
        another one: a flood of short answers would keep the loop busy for a minute, and take the host's time.
        """
        writes = self.protocol.writes
        if len(writes) > 1:
            end = [SEND_EOF] if writes[-1] == SEND_EOF else []
            self.protocol.writes = [b"".join(writes), *end]
        super().send_data()

    def data_received(self, data: bytes) -> None:
        """As asyncio calls it; the answers to what has arrived are written when this returns."""
        super().data_received(data)
        if not self.is_flooded and self.transport.get_write_buffer_size() > UNREAD_MAX_BYTES:
            self.is_flooded = True
            self.transport.abort()
