"""The dns rung on a machine whose resolver a test has arranged: its files, its name servers, its network.

The system resolver reads /etc and asks port 53, so the whole climb runs in a process with mounts and a
loopback of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support import fork_server
from tests.support.dns_server import Zone, name_server
from tests.support.namespaces import ROOT, python_environ

HOSTS = "127.0.0.1 localhost\n::1 localhost\n"
NSSWITCH = "hosts: files dns\n"
_BUDGET_S = 60
_NOT_PERMITTED = 125
_NEW = 0x00020000 | 0x10000000 | 0x40000000  # CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET
_PRIVATE = 1 << 18 | 1 << 14  # MS_PRIVATE, MS_REC


def diagnose(
    host: str,
    servers: Mapping[str, Zone],
    *,
    options: str = "timeout:1 attempts:1",
    search: str = "",
    hosts: str = "",
    nsswitch: str = NSSWITCH,
    resolv_conf: str | None = None,
    variables: Mapping[str, str] | None = None,
    timeout_s: float = 4.0,
    look_closer: bool = True,
) -> dict[str, Any]:
    """The dns rung's result (as JSON) for this host; `servers` are loopback addresses with their zones.

    `resolv_conf` is the file's text, where it is another one than these servers make; `variables` are of the
    rung's own process.
    """
    lines = [f"nameserver {address}" for address in servers]
    lines += [f"search {search}"] if search else []
    lines += [f"options {options}"] if servers else []
    order = {
        "host": host,
        "servers": servers,
        "files": {
            "/etc/resolv.conf": "\n".join((*lines, "")) if resolv_conf is None else resolv_conf,
            "/etc/hosts": HOSTS + hosts,
            "/etc/nsswitch.conf": nsswitch,
        },
        "timeout_s": timeout_s,
        "look_closer": look_closer,
    }
    done = fork_server.run(
        "tests.support.resolver_lab",
        json.dumps(order),
        environ=python_environ(variables or {}),
        directory=ROOT,
        timeout_s=_BUDGET_S,
    )
    if done.returncode == _NOT_PERMITTED:
        pytest.skip(f"no namespace of mounts and network: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


async def _inside(order: dict[str, Any]) -> dict[str, Any]:
    from tests.support.connections import ladder_to
    from z4j_probes.endpoint import Endpoint

    async with contextlib.AsyncExitStack() as stack:
        for address, zone in order["servers"].items():
            await stack.enter_async_context(name_server(zone, address, 53))
        ladder = ladder_to(
            Endpoint(True, order["host"], 443), timeout_s=order["timeout_s"], look_closer=order["look_closer"]
        )
        report = await ladder.run()
    return next(result for result in report.results if result.name == "dns").to_dict()


def arrange(files: Mapping[str, str], directory: Path) -> None:
    """Have these texts for those files, in a mount namespace of one's own."""
    for path, text in files.items():
        ours = directory / Path(path).name
        ours.write_bytes(text.encode())
        subprocess.run(["mount", "--bind", ours, path], check=True)


def bring_loopback_up() -> None:
    """In a network namespace of one's own."""
    with socket.socket() as sock:
        up_and_running = struct.pack("16sh22x", b"lo", 0x1 | 0x40)
        fcntl.ioctl(sock, 0x8914, up_and_running)  # SIOCSIFFLAGS


def _leave() -> None:
    """A network and a mount table of this process's own, and of a user's own, who is root in them."""
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW) != 0 or libc.mount(b"none", b"/", None, _PRIVATE, None) != 0:
        print(os.strerror(ctypes.get_errno()), file=sys.stderr)
        sys.exit(_NOT_PERMITTED)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        Path(f"/proc/self/{name}").write_text(text)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    _leave()
    with tempfile.TemporaryDirectory() as scratch:
        arrange(given["files"], Path(scratch))
        bring_loopback_up()
        print(json.dumps(asyncio.run(_inside(given))))
