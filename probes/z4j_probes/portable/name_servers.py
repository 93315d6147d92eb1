"""Which name servers this system asks: resolv.conf, macOS's split DNS, Windows' registry."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path, PureWindowsPath
from types import MappingProxyType
from typing import NamedTuple

from z4j_probes.portable.system import by_system, has_glibc

RESOLV_CONF = Path("/etc/resolv.conf")
# resolver(5): MAXNS and MAXDNSRCH; what stands beyond them is not used by the C library either.
_SERVERS_MAX = 3
_SEARCH_MAX = 6
# What glibc reads beside the file, of each process: a search list instead of its own, and more options.
_LOCALDOMAIN, _RES_OPTIONS = "LOCALDOMAIN", "RES_OPTIONS"
_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})
_SCUTIL = ("/usr/sbin/scutil", "--dns")
_SCUTIL_S = 2.0
_SCUTIL_LINE = r"\s*(\w+)(?:\[\d+\])?\s*:\s*(.+?)\s*"


class ResolverConfig(NamedTuple):
    """What the system is told of name servers, as far as it matters here. `servers` are address and port.

    `ignored` are nameserver lines that the C library passes over without a word.
    """

    servers: tuple[tuple[str, int], ...] = ()
    search: tuple[str, ...] = ()
    ndots: int = 1
    options: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

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
        with RESOLV_CONF.open(encoding="utf-8", errors="replace", newline="\n") as file:
            text = file.read()
    except FileNotFoundError:
        text = ""
    own_domain = socket.gethostname().partition(".")[2]
    if not has_glibc():  # musl takes a carriage return for a blank, and reads no variables
        return parse_resolv_conf(text.replace("\r", ""), own_domain)
    return parse_resolv_conf(text, own_domain, os.environ)


def parse_resolv_conf(
    text: str, own_domain: str = "", variables: Mapping[str, str] = _NO_VARIABLES
) -> ResolverConfig:
    """The servers, the search list and ndots; the last of `search` and `domain` wins, as in resolver(5).

    As the C library reads it: a keyword starts its line, and a carriage return is part of a word.
    """
    servers: list[tuple[str, int]] = []
    search: tuple[str, ...] = (own_domain,) if own_domain else ()
    options, ignored = list[str](), list[str]()
    for line in text.split("\n"):
        keyword, *words = re.split("[ \t]+", line.rstrip(" \t"))
        if keyword == "nameserver" and words and is_address(words[0]):
            servers.append((words[0], 53))
        elif line.split()[:1] == ["nameserver"]:
            ignored.append(line)
        elif keyword in ("search", "domain"):
            search = tuple(name for word in words if (name := word.rstrip("\r").rstrip(".")))
        elif keyword == "options":
            options += [word.rstrip("\r") for word in words]
    if _LOCALDOMAIN in variables:
        search = tuple(variables[_LOCALDOMAIN].split())
    options += variables.get(_RES_OPTIONS, "").split()
    ndots = [int(option[6:]) for option in options if option.startswith("ndots:") and option[6:].isdigit()]
    return ResolverConfig(
        tuple(servers[:_SERVERS_MAX]),
        search[:_SEARCH_MAX],
        ndots[-1] if ndots else 1,
        tuple(options),
        tuple(ignored),
    )


def place_of_option(option: str) -> str:
    """Where an option of the resolver is set: a variable of this process, or the file."""
    return _RES_OPTIONS if option in os.environ.get(_RES_OPTIONS, "").split() else str(RESOLV_CONF)


def search_variables() -> tuple[str, ...]:
    """The variables of this process that have a part in the search list."""
    return tuple(name for name in (_LOCALDOMAIN, _RES_OPTIONS) if name in os.environ and has_glibc())


def is_address(text: str) -> bool:
    """Whether it is an IP address, and not a name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


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
        lines = [found for line in block.splitlines() if (found := re.fullmatch(_SCUTIL_LINE, line))]
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
