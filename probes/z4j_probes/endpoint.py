"""Where the brain is: a brain URL parsed, and the WebSocket endpoint that follows from it."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple
from urllib.parse import urlsplit

from z4j_probes.given import is_utf8

AGENT_PATH = "/ws/agent"
_SECURE = {"http": False, "ws": False, "https": True, "wss": True}


class InvalidURL(ValueError):
    """The text is not a brain URL; the message says why, without the user information in it."""


class UnsupportedScheme(InvalidURL):
    """The URL's scheme is not one of http, https, ws, wss."""


class Endpoint(NamedTuple):
    """A brain's address. `host` is as it stands in the URL, without brackets; `prefix` has no final slash."""

    secure: bool
    host: str
    port: int
    prefix: str = ""

    @property
    def path(self) -> str:
        """The path of the WebSocket endpoint."""
        return self.prefix + AGENT_PATH

    @property
    def authority(self) -> str:
        """Host and port as a Host header has them: the port only where it is not the scheme's own."""
        return self._bracketed if self.port == (443 if self.secure else 80) else self.host_and_port

    @property
    def host_and_port(self) -> str:
        """Host and port, for people and for programs that connect: the port always."""
        return f"{self._bracketed}:{self.port}"

    @property
    def url(self) -> str:
        """The brain's URL, as it opens in a browser."""
        return f"{'https' if self.secure else 'http'}://{self.authority}{self.prefix}"

    @property
    def https_url(self) -> str:
        """The URL to set instead of a plain one: https, at the same port, or at 443 where that was 80."""
        return f"https://{self.authority}{self.prefix}"

    @property
    def websocket_url(self) -> str:
        """The URL to connect to."""
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{self.path}"

    @property
    def health_url(self) -> str:
        """The page with which a brain says that it is healthy, to anyone."""
        return f"{self.url}/api/v1/health"

    @property
    def is_loopback(self) -> bool:
        """True where the host is this machine by definition (RFC 6761 §6.3 for the names)."""
        name = self.host.rstrip(".").lower()
        address = self.address
        if address is not None:
            return address.is_loopback
        return name == "localhost" or name.endswith(".localhost")

    @property
    def address(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The host as an IP address, or None where it is a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def parse_endpoint(url: str) -> Endpoint:
    """Take a brain URL apart. InvalidURL where it is none, UnsupportedScheme for another protocol's."""
    if not is_utf8(url):
        raise InvalidURL("it has bytes that are not UTF-8")
    if any(c.isspace() or not c.isprintable() for c in url):
        raise InvalidURL("it contains whitespace or a control character")
    if url[:1] in "\"'" or url[-1:] in "\"'":
        raise InvalidURL("it is wrapped in quotes")
    try:
        parts = urlsplit(url)
        displaced = "@" in f"{parts.path}{parts.query}{parts.fragment}"
        host, port = (None, None) if displaced else (parts.hostname, parts.port)
    except ValueError:
        # urllib's text quotes what stands there, which may be a part of a password
        raise InvalidURL("its host or port is not valid") from None
    # a password with one of / ? # in it ends the host early, and half of it would pass for a path
    if displaced:
        raise InvalidURL("it contains an @ after its host: set the token in Z4J_TOKEN, not in the URL")
    scheme = parts.scheme.lower()
    if "://" not in url and scheme in _SECURE:
        raise InvalidURL(f"behind {scheme}: it has not two slashes: write {scheme}://…")
    if "://" not in url:
        raise InvalidURL("it has no scheme: write https://… in front of it")
    if scheme not in _SECURE:
        raise UnsupportedScheme(f"{scheme}:// is not one of http, https, ws, wss")
    if not host:
        raise InvalidURL("it has no host")
    if host in _SECURE and parts.path.startswith("//"):
        raise InvalidURL(f"it has two schemes, {scheme}:// and {host}://: write one")
    if parts.username is not None or parts.password is not None:
        raise InvalidURL("it contains a user name or password: set the token in Z4J_TOKEN, not in the URL")
    if port == 0:
        raise InvalidURL("its port is 0")
    if parts.query or parts.fragment:
        raise InvalidURL("it contains a query or fragment")
    secure = _SECURE[scheme]
    prefix = parts.path.rstrip("/").removesuffix(AGENT_PATH)
    return Endpoint(secure, host, port or (443 if secure else 80), prefix)
