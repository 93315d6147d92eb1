"""What this machine's own files say of looking names up: hosts, nsswitch.conf, and who asks whom.

Read for evidence: the C library reads the same files by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from z4j_probes.hostname import ascii_name
from z4j_probes.portable.name_servers import hosts_file, is_address

NSSWITCH_FILE = Path("/etc/nsswitch.conf")
# What the C library does without the file, or without the line (nsswitch.conf(5)).
_DEFAULT_ORDER = ("files", "dns")
# Sources that ask the DNS, or a daemon that does.
_ASK_DNS = ("dns", "resolve")
# Sources that know only names of this machine, and change nothing for others.
_OWN_NAMES = ("files", "myhostname", "mymachines")


@dataclass(frozen=True, slots=True)
class HostsLine:
    """A line of the hosts file that has the name."""

    number: int
    ip: str


@dataclass(frozen=True, slots=True)
class NameSources:
    """The `hosts:` line of nsswitch.conf: sources and, between brackets, actions."""

    words: tuple[str, ...] = _DEFAULT_ORDER

    @property
    def asks_dns(self) -> bool:
        """Whether the DNS is among the sources at all."""
        return any(word in _ASK_DNS for word in self.words)

    @property
    def stop_before_dns(self) -> str | None:
        """The action that ends each look-up before the DNS is asked, as in `files [NOTFOUND=return] dns`.

        Behind mDNS and systemd-resolved the same action is right: those know which names are theirs.
        """
        asked = ""
        for word in self.words:
            if word in _ASK_DNS:
                return None
            if word.startswith("[") and "NOTFOUND=RETURN" in word.upper() and asked in _OWN_NAMES:
                return word
            if not word.startswith("["):
                asked = word
        return None

    @property
    def is_usual(self) -> bool:
        """Whether no source but this machine's files and the DNS can give an address."""
        return self.words == ("dns",) or all(word in (*_OWN_NAMES, "dns") for word in self.words)

    def __str__(self) -> str:
        return f"hosts: {' '.join(self.words)}"


@dataclass(frozen=True, slots=True)
class Machine:
    """The files, as far as they can be read. `hosts` are the lines with the name that was asked for."""

    hosts: tuple[HostsLine, ...]
    sources: NameSources
    has_hosts_file: bool
    is_hosts_file_closed: bool = False
    """It is there, and this user may not read it: the C library goes on without it."""


def read_machine(host: str) -> Machine:
    """What the files say now, of this host. Reads from a disk: call it in a thread."""
    hosts, nsswitch = _read(hosts_file()), _read(NSSWITCH_FILE)
    return Machine(
        hosts_lines(hosts or "", host),
        parse_nsswitch(nsswitch or ""),
        hosts is not None,
        hosts is None and hosts_file().exists(),
    )


def hosts_lines(text: str, host: str) -> tuple[HostsLine, ...]:
    """The lines of a hosts file's text that give this name an address."""
    name = ascii_name(host).rstrip(".").lower()
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        ip, *names = line.partition("#")[0].split() or [""]
        if name in (word.rstrip(".").lower() for word in names) and is_address(ip.partition("%")[0]):
            found.append(HostsLine(number, ip))
    return tuple(found)


def parse_nsswitch(text: str) -> NameSources:
    """The sources of the `hosts` database; the default where there is no such line."""
    for line in text.splitlines():
        database, colon, rest = line.partition("#")[0].partition(":")
        if colon and database.strip() == "hosts":
            # an action may have blanks inside of its brackets
            words = rest.replace("[ ", "[").replace(" ]", "]").split()
            return NameSources(tuple(words)) if words else NameSources()
    return NameSources()


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
