"""One address to connect to, as the resolver gave it."""

from __future__ import annotations

import ipaddress
import socket
from typing import NamedTuple


class Address(NamedTuple):
    """One address to connect to. `scope_id` is the interface of a link-local IPv6 address, else 0."""

    family: socket.AddressFamily
    ip: str
    port: int
    scope_id: int = 0

    @property
    def sockaddr(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """As `connect` takes it."""
        if self.family == socket.AF_INET6:
            return (self.ip, self.port, 0, self.scope_id)
        return (self.ip, self.port)

    @property
    def host(self) -> str:
        """It without the port, as getaddrinfo takes it (RFC 4007 §11: the interface is part of it)."""
        return f"{self.ip}%{self.scope_id}" if self.scope_id else self.ip

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine's own."""
        return ipaddress.ip_address(self.ip).is_loopback

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if self.family == socket.AF_INET6 else f"{self.ip}:{self.port}"
