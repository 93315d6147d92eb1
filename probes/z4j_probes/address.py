"""One address to connect to, as the resolver gave it, and where it comes from."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

from z4j_probes.result import Step


@dataclass(frozen=True, slots=True)
class Address:
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


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the addresses come from, for people: `source` completes "NAME is ADDRESS, …".

    `dns` is what the name servers say instead; empty where they did not answer. `step` corrects it.
    """

    host: str
    addresses: tuple[str, ...]
    source: str
    dns: str = ""
    step: Step | None = None
    is_expected: bool = False
    """For a name of this machine or its network: no surprise, and worth a word only after a failure."""

    def __str__(self) -> str:
        beside = f"; DNS says {self.dns}" if self.dns else ""
        return f"{self.host} is {', '.join(self.addresses)}, {self.source}{beside}"

    def to_details(self) -> dict[str, str]:
        """JSON-ready."""
        return {"address_source": self.source} | ({"dns_says": self.dns} if self.dns else {})
