"""What the kernel still has to send on a connection, as Linux tells it (SIOCOUTQ and TCP_INFO of tcp(7))."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys

_TCP_INFO_BYTES = 512


def queued_bytes(sock: socket.socket) -> int | None:
    """How many bytes the peer's kernel has not acknowledged; None where this system can't tell."""
    if sys.platform == "linux":
        with contextlib.suppress(ImportError, OSError, ValueError):
            import fcntl
            import termios

            return int(struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))[0])
    return None


def tcp_info(sock: socket.socket) -> bytes:
    """struct tcp_info of linux/tcp.h; empty where this system has none. An older kernel gives less of it."""
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):
            return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    return b""
