"""Which name servers this system asks: resolv.conf, macOS's split DNS, Windows' registry."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

from z4j_probes.portable.system import by_system

RESOLV_CONF = Path("/etc/resolv.conf")
# resolver(5): MAXNS and MAXDNSRCH; what stands beyond them is not used by the C library either.
_SERVERS_MAX = 3
_SEARCH_MAX = 6
_SCUTIL = ("/usr/sbin/scutil", "--dns")
_SCUTIL_S = 2.0
_SCUTIL_LINE = re.compile(r"\s*(\w+)(?:\[\d+\])?\s*:\s*(.+?)\s*")


class ResolverConfig(NamedTuple):
    """What the system is told of name servers, as far as it matters here. `servers` are address and port."""

    servers: tuple[tuple[str, int], ...] = ()
    search: tuple[str, ...] = ()
    ndots: int = 1
    options: tuple[str, ...] = ()

    def may_search(self, host: str) -> bool:
        """Whether the search list can complete this name; a final dot rules it out."""
        return bool(self.search) and not host.endswith(".")


def where() -> str:
    """What a sentence calls the place where name servers are set."""
    return by_system(str(RESOLV_CONF), "the network settings", "the network adapter's settings")


def hosts_file() -> Path:
    """The file with names of its own."""
    windows = PureWindowsPath(os.environ.get("SYSTEMROOT", r"C:\Windows"), r"System32\drivers\etc\hosts")
    return Path(by_system("/etc/hosts", "/etc/hosts", str(windows)))


def read_config(host: str = "") -> ResolverConfig:
    """This machine's, for a look-up of `host`; without servers where none are set.

    OSError where that can't be read. Blocks for a moment: call it in a thread.
    """
    if sys.platform == "win32":
        return _registry()
    if sys.platform == "darwin":
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            asked = subprocess.run(_SCUTIL, capture_output=True, text=True, timeout=_SCUTIL_S, check=True)  # noqa: S603
            return parse_scutil(asked.stdout, host)
    try:
        text = RESOLV_CONF.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ResolverConfig()
    return parse_resolv_conf(text, socket.gethostname().partition(".")[2])


def parse_resolv_conf(text: str, own_domain: str = "") -> ResolverConfig:
    """The servers, the search list and ndots; the last of `search` and `domain` wins, as in resolver(5)."""
    servers: list[tuple[str, int]] = []
    search: tuple[str, ...] = (own_domain,) if own_domain else ()
    ndots, options = 1, list[str]()
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0][0] in "#;":
            continue
        if words[0] == "nameserver":
            servers.append((words[1], 53))
        elif words[0] in ("search", "domain"):
            search = tuple(word.rstrip(".") for word in words[1:] if word.strip("."))
        elif words[0] == "options":
            options += words[1:]
            for option in words[1:]:
                name, _, value = option.partition(":")
                if name == "ndots" and value.isdigit():
                    ndots = int(value)
    return ResolverConfig(tuple(servers[:_SERVERS_MAX]), search[:_SEARCH_MAX], ndots, tuple(options))


def parse_scutil(text: str, host: str) -> ResolverConfig:
    """What `scutil --dns` says of the resolver that macOS asks for `host`.

    A resolver with a domain is asked for names in it (split DNS, as a VPN sets it up), the longest domain
    first; the first resolver without one is asked for all others.
    """
    resolvers = list(_scutil_resolvers(text.partition("DNS configuration (for scoped queries)")[0]))
    name = host.rstrip(".").lower()
    matching = [r for r in resolvers if r[0] and (name == r[0] or name.endswith(f".{r[0]}"))]
    default = next((r for r in resolvers if not r[0]), ("", (), ()))
    chosen = max(matching, key=lambda r: len(r[0]), default=default)
    return ResolverConfig(chosen[1][:_SERVERS_MAX], default[2][:_SEARCH_MAX])


_Resolver = tuple[str, tuple[tuple[str, int], ...], tuple[str, ...]]


def _scutil_resolvers(text: str) -> Iterator[_Resolver]:
    """Each with its domain (empty: all names), servers and search list; those of multicast DNS left out."""
    for block in re.split(r"^resolver #\d+\s*$", text, flags=re.MULTILINE)[1:]:
        lines = [found for line in block.splitlines() if (found := _SCUTIL_LINE.fullmatch(line))]
        rows = [(line[1], line[2]) for line in lines]
        values = dict(rows)
        if "mdns" in values.get("options", ""):
            continue
        port = int(values.get("port", "53")) if values.get("port", "53").isdigit() else 53
        servers = tuple((value, port) for key, value in rows if key == "nameserver")
        if servers:
            search = tuple(value.rstrip(".") for line in block.splitlines() for value in _search_in(line))
            yield values.get("domain", "").rstrip(".").lower(), servers, search


def _search_in(line: str) -> list[str]:
    found = re.fullmatch(r"\s*search domain\[\d+\]\s*:\s*(\S+)\s*", line)
    return [found[1]] if found else []


def _registry() -> ResolverConfig:
    """Windows' adapters, as dnspython reads them."""
    import dns.exception
    import dns.resolver

    try:
        found = dns.resolver.Resolver()
    except dns.exception.DNSException:
        return ResolverConfig()
    servers = tuple((str(server), found.port) for server in found.nameservers)
    search = tuple(str(name).rstrip(".") for name in found.search if str(name) != ".")
    return ResolverConfig(servers[:_SERVERS_MAX], search[:_SEARCH_MAX])
