"""What this machine's kernel still has to send on a connection: a busy peer is told from a bad path by it.

Bytes that the peer's kernel has acknowledged arrived, however long the program behind it thinks. Where none
are acknowledged and the peer has room, they are lost on the path.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from z4j_probes.portable import send_queue

# struct tcp_info of linux/tcp.h; an older kernel fills in less of it. By name: the offset and the format.
_FIELDS = {
    "retransmits": (2, "B"),
    "mss": (16, "I"),
    "path_mtu": (60, "I"),
    "peer_window": (228, "I"),
}


@dataclass(frozen=True, slots=True)
class Unsent:
    """What is on its way: `waiting_bytes` are not acknowledged by the peer's kernel.

    The rest is TCP_INFO's, and None where the kernel does not say; `peer_window` is how many bytes the peer
    has room for.
    """

    waiting_bytes: int
    retransmits: int | None = None
    mss: int | None = None
    path_mtu: int | None = None
    peer_window: int | None = None

    def nothing_arrived_of(self, sent_bytes: int) -> bool:
        """Whether the path loses what was sent last, given some time: not a byte of it was acknowledged.

        A slow line would have carried some of it, and a peer that reads nothing has no room left.
        """
        return self.waiting_bytes >= sent_bytes > 0 and self.peer_window != 0

    def to_details(self) -> dict[str, int]:
        """JSON-ready, without what is not known."""
        known = {
            "unacknowledged_bytes": self.waiting_bytes,
            "retransmits": self.retransmits,
            "mss": self.mss,
            "path_mtu": self.path_mtu,
            "peer_window": self.peer_window,
        }
        return {name: value for name, value in known.items() if value is not None}


def unsent(layers: Sequence[asyncio.Transport]) -> Unsent | None:
    """What waits to be sent on a connection, of TCP and of TLS over it; None where this system can't tell.

    A TLS transport does not count what the one below it has not handed to the kernel.
    """
    sock = layers[0].get_extra_info("socket")
    if sock is None:
        return None
    queued = send_queue.queued_bytes(sock)
    if queued is None:
        return None
    held = sum(transport.get_write_buffer_size() for transport in layers)
    return Unsent(held + queued, **_tcp_info(sock))


def _tcp_info(sock: socket.socket) -> dict[str, int]:
    raw = send_queue.tcp_info(sock)
    return {
        name: struct.unpack_from(f"={kind}", raw, offset)[0]
        for name, (offset, kind) in _FIELDS.items()
        if offset + struct.calcsize(kind) <= len(raw)
    }
