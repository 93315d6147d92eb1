"""The HTTP proxy between here and the brain, as HTTPS_PROXY, ALL_PROXY and NO_PROXY name it."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from z4j_probes.endpoint import Endpoint
from z4j_probes.given import is_utf8

# What people write into NO_PROXY, since one program or another takes it: what is wrong, and what was meant.
_MISTAKES = (
    ("separate its entries with commas", r"[\s;]+", ","),
    ("write a domain as .example, not *.example", r"\*(?=[^,\s;])", ""),
    ("write hosts, not URLs", r"\w+://([^/,\s;]*)[^,\s;]*", r"\1"),
    ("remove the quotes", "[\"']", ""),
)


class InvalidProxy(ValueError):
    """The variable's value is not a proxy URL that can be used; the message says why, without credentials."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that is asked to CONNECT. `variable` says where it was named."""

    host: str
    port: int
    secure: bool
    variable: str
    authorization: str | None = field(default=None, repr=False)

    @property
    def authority(self) -> str:
        """Host and port, for people."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def find_proxy(endpoint: Endpoint, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy for this endpoint, or None. InvalidProxy where the variable's value can't be used.

    Loopback addresses are never proxied (a proxy's loopback is not ours). Lower-case names win over
    upper-case ones, as with curl. Plain ws:// uses the same CONNECT proxy as wss://.
    """
    if endpoint.is_loopback or bypassed(endpoint, _first(environ, "no_proxy")[1]):
        return None
    for name in ("https_proxy", "all_proxy"):
        variable, value = _first(environ, name)
        if value:
            return _parse(variable, value)
    return None


def unread_proxy(endpoint: Endpoint, environ: Mapping[str, str]) -> str | None:
    """The variable that names a proxy for plain http only, where none is named for this endpoint."""
    if endpoint.is_loopback or bypassed(endpoint, _first(environ, "no_proxy")[1]):
        return None
    if _first(environ, "https_proxy")[1] or _first(environ, "all_proxy")[1]:
        return None
    variable, value = _first(environ, "http_proxy")
    return variable if value else None


def bypassed(endpoint: Endpoint, no_proxy: str) -> bool:
    """Whether a NO_PROXY list covers this endpoint.

    Entries are `*`, a host, `host:port`, a domain with or without a leading dot (its subdomains too), an
    address, or a network in CIDR notation.
    """
    host = endpoint.host.rstrip(".").lower()
    address = endpoint.address
    for raw in no_proxy.split(","):
        entry = raw.strip().lower()
        if entry == "*":
            return True
        if not entry:
            continue
        if address is not None:
            try:
                if address in ipaddress.ip_network(entry.strip("[]"), strict=False):
                    return True
                continue
            except ValueError:
                pass
        name, _, port = entry.rpartition(":")
        if name and port.isdigit():
            if int(port) != endpoint.port:
                continue
            entry = name.strip("[]")
        domain = entry.lstrip(".").rstrip(".")
        if host == domain or host.endswith(f".{domain}"):
            return True
    return False


def no_proxy_hint(endpoint: Endpoint, environ: Mapping[str, str]) -> str | None:
    """How to correct a NO_PROXY that was to except this endpoint, and does not; None where there is none."""
    variable, value = _first(environ, "no_proxy")
    if bypassed(endpoint, value):
        return None
    fits = [why for why, pattern, meant in _MISTAKES if bypassed(endpoint, re.sub(pattern, meant, value))]
    if not fits:
        for _, pattern, meant in _MISTAKES:
            value = re.sub(pattern, meant, value)
        fits = [why for why, _, _ in _MISTAKES] if bypassed(endpoint, value) else []
    return (
        f"Correct {variable}, which does not except {endpoint.host}: {', and '.join(fits)}" if fits else None
    )


def proxy_secrets(environ: Mapping[str, str]) -> list[str]:
    """Every form in which the proxies' credentials could show up in a text."""
    found: list[str] = []
    for name in ("https_proxy", "all_proxy", "http_proxy"):
        for variable in (name, name.upper()):
            userinfo, at, _ = environ.get(variable, "").rpartition("@")
            if not at:
                continue
            userinfo = userinfo.rpartition("://")[2]
            password = userinfo.partition(":")[2]
            plain = unquote(userinfo)
            found += [userinfo, plain, password, unquote(password)]
            found.append(base64.b64encode(plain.encode(errors="surrogateescape")).decode())
    return found


def _first(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    for variable in (name, name.upper()):
        if environ.get(variable):
            return variable, environ[variable].strip()
    return name.upper(), ""


def _parse(variable: str, value: str) -> Proxy:
    if not is_utf8(value):
        raise InvalidProxy(f"{variable} has bytes that are not UTF-8: percent-encode them")
    if value[:1] in "\"'" or value[-1:] in "\"'":
        raise InvalidProxy(f"{variable} is wrapped in quotes")
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        displaced = "@" in f"{parts.path}{parts.query}{parts.fragment}"
        host, port = (None, None) if displaced else (parts.hostname, parts.port)
    except ValueError:
        raise InvalidProxy(f"{variable} is not a URL with a host and a port") from None
    if displaced:  # what stands before it would pass for the host: the user's name, and half of the password
        raise InvalidProxy(
            f"{variable} contains an @ after its host: percent-encode / ? # @ in the password "
            "(%2F %3F %23 %40)"
        )
    if parts.scheme not in ("http", "https"):
        raise InvalidProxy(
            f"{variable} names a {parts.scheme}:// proxy; http:// and https:// ones can be used"
        )
    if not host:
        raise InvalidProxy(f"{variable} has no host")
    if port == 0:
        raise InvalidProxy(f"the port in {variable} is 0")
    authorization = None
    if parts.username is not None:
        userinfo = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(userinfo.encode()).decode()
    secure = parts.scheme == "https"
    return Proxy(host, port or (443 if secure else 80), secure, variable, authorization)
