"""The WebSocket connection that a session takes over: its memory is bounded whatever the peer sends."""

from __future__ import annotations

from typing import Any

from websockets.asyncio.client import ClientConnection

# Answers to pings are written without waiting for the peer to read them. What we send ourselves waits, so
# this is more than an honest peer ever leaves unread: a frame of each task, of 1 MiB at most.
UNREAD_MAX_BYTES = 8 * 1024 * 1024


class BoundedConnection(ClientConnection):
    """Ends the connection where a peer asks and asks, and reads no answer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_flooded = False
        """Whether it was ended for that."""

    def data_received(self, data: bytes) -> None:
        """As asyncio calls it; the answers to what has arrived are written when this returns."""
        super().data_received(data)
        if not self.is_flooded and self.transport.get_write_buffer_size() > UNREAD_MAX_BYTES:
            self.is_flooded = True
            self.transport.abort()
