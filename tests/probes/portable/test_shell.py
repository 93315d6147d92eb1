"""No hint on one system names another one's tool: each command, and the whole catalogue, on all three."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest

from z4j_probes.portable import shell, system
from z4j_probes.portable.system import System

# Of more than one Unix; some are words of English too, so they are looked for in commands only.
_UNIX = (
    *(
        "awk",
        "cat",
        "chmod",
        "chgrp",
        "chown",
        "curl",
        "df",
        "dig",
        "export",
        "file",
        "grep",
        "install",
    ),
    *("ls", "mv", "openssl", "ping -c", "printf", "quota", "read -rs", "sudo", "tee", "traceroute", "ulimit"),
)
_LINUX = (
    *("apt", "findmnt", "fuser", "getent", "ip link", "ip neigh", "ip route", "journalctl", "namei", "nft"),
    *("ss", "sed -i", "systemctl", "timedatectl", "/proc/", "/etc/nsswitch.conf", "nsswitch.conf"),
    *("ping -c 3 -M", "traceroute -T", "net.ipv4", "chronyc", "/etc/resolv.conf"),
)
_MACOS = (
    *("dscacheutil", "ifconfig", "lsof", "mDNSResponder", "pfctl", "route -n", "scutil", "sntp"),
    *("softwareupdate", "ping -c 3 -D", "perl -pi"),
)
_WINDOWS = (
    *("certutil", "curl.exe", "icacls", "netsh", "runas", "tracert", "w32tm", "$env:", "ping -n"),
    *("Get-Content", "Get-NetTCPConnection", "Move-Item", "Resolve-DnsName", "C:\\"),
)
IN_COMMANDS = {
    System.LINUX: (*_MACOS, *_WINDOWS),
    System.MACOS: (*_LINUX, *_WINDOWS),
    System.WINDOWS: (*_UNIX, *_LINUX, *_MACOS, "/etc/", "/var/", "/dev/"),
}
IN_TEXTS = {**IN_COMMANDS, System.WINDOWS: (*_LINUX, *_MACOS, "/etc/", "/var/", "/dev/")}
_GIVEN = {
    "paths": ["a name"],
    "path": "a name",
    "port": 443,
    "uid": 1000,
    "gid": 1000,
    "mode": 0o640,
    "mtu": 1280,
}
_CATALOGUE = """
import json, sys
from z4j_probes.portable import system
system.THIS = system.System[sys.argv[1]]
for name in [name for name in sys.modules if name.startswith("z4j_probes.codes")]:
    del sys.modules[name]
from z4j_probes.codes import CATALOGUE
told = {
    c.code: {"texts": [*c.causes, *(s.text for s in c.steps)], "commands": [s.command for s in c.steps]}
    for c in CATALOGUE.values() if c.probe != "unit"
}
print(json.dumps(told))
"""


def names(text: str, tool: str) -> bool:
    """Whether the text has the tool as a word of its own."""
    end = r"(?![\w.-]|: )" if tool[-1].isalnum() else ""  # a directory's own names follow
    return tool in text and re.search(rf"(?<![\w/.-]){re.escape(tool)}{end}", text) is not None


def strays(tools: Sequence[str], text: str) -> list[str]:
    return [tool for tool in tools if names(text, tool)]


@pytest.mark.parametrize("on", System)
def test_no_command_is_another_systems(on: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "THIS", on)
    found = {}
    for name, make in inspect.getmembers(shell, inspect.isfunction):
        if make.__module__ == shell.__name__ and not name.startswith("_"):
            for text in _made(make):
                if wrong := strays(IN_COMMANDS[on], text):
                    found[text] = wrong
    assert not found


def _made(make: Callable[..., str]) -> list[str]:
    """What a command's function gives, with and without what may be left out."""
    parameters = inspect.signature(make).parameters
    needed = {
        name: _GIVEN.get(name, "NAME")
        for name, p in parameters.items()
        if p.default is inspect.Parameter.empty
    }
    every = {name: _GIVEN.get(name, "udp" if name == "kind" else "NAME") for name in parameters}
    return [make(**needed), make(**every)]


@pytest.mark.component
@pytest.mark.parametrize("on", System)
def test_no_step_or_cause_of_the_catalogue_is_another_systems(on: System) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CATALOGUE, on.name], check=True, capture_output=True, text=True
    )
    told = json.loads(done.stdout)
    assert len(told) > 50
    found = {
        code: wrong
        for code, kinds in told.items()
        for kind, tools in (("texts", IN_TEXTS[on]), ("commands", IN_COMMANDS[on]))
        for text in kinds[kind]
        # a container is Linux wherever it is started from
        if (wrong := strays(tools, text)) and "container" not in text
    }
    assert not found


def test_the_words_are_told_apart() -> None:
    assert names("`ss -ltn`", "ss")
    assert not names("an address", "ss")
    assert strays(IN_COMMANDS[System.WINDOWS], "sudo ls -la x") == ["ls", "sudo"]
    assert strays(IN_COMMANDS[System.WINDOWS], "see /var/www") == ["/var/"]


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("plain", "plain"),
        (r"C:\\Users\\anna", r"C:\\Users\\anna"),
        ("it's", "'it''s'"),
        ("$x `y", "'$x `y'"),
        ("", "''"),
    ],
)
def test_powershell_takes_a_quoted_word_for_what_it_is(
    value: str, quoted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "THIS", System.WINDOWS)
    assert shell.quote(value) == quoted
