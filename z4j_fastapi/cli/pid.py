"""`doctor --pid`: a running process as a service to stand in for, as proc(5) shows it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from z4j_fastapi.cli.output import usage_error
from z4j_fastapi.cli.stand_in import Service

# The mount namespace last: after it, /proc need not be there.
_NAMESPACES = ("net", "mnt")


def service_of_process(pid: int) -> Service:
    """What that process has. Ends with a usage error where it can't be looked at."""
    require_root("--pid")
    process = Path("/proc", str(pid))
    try:
        status = _fields((process / "status").read_text())
        environ = _environ((process / "environ").read_bytes())
        namespaces = _foreign_namespaces(process)
        directory = os.readlink(process / "cwd")
    except (FileNotFoundError, ProcessLookupError):
        usage_error(f"--pid {pid}: there is no such process")
    except OSError as exc:
        usage_error(f"--pid {pid}: {exc.filename} can't be read: {exc.strerror}")
    return Service(
        name=f"pid {pid}",
        uid=int(status["Uid"].split()[1]),
        gid=int(status["Gid"].split()[1]),
        groups=tuple(map(int, status.get("Groups", "").split())),
        environ=environ,
        directory=directory,
        capabilities=int(status["CapEff"], 16),
        namespaces=namespaces,
    )


def require_root(option: str) -> None:
    """A usage error where this machine or this user can't do it."""
    if sys.platform != "linux":
        usage_error(f"{option} needs Linux: it reads /proc and enters namespaces")
    if os.geteuid() != 0:
        usage_error(f"{option} needs root, to become the service's user: sudo python -m z4j_fastapi doctor …")


def _foreign_namespaces(process: Path) -> tuple[int, ...]:
    descriptors = []
    for name in _NAMESPACES:
        theirs, ours = process / "ns" / name, Path("/proc/self/ns") / name
        if os.readlink(theirs) != os.readlink(ours):
            descriptors.append(os.open(theirs, os.O_RDONLY | os.O_CLOEXEC))
    return tuple(descriptors)


def _fields(text: str) -> Mapping[str, str]:
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in pairs}


def _environ(data: bytes) -> dict[str, str]:
    pairs = (entry.partition(b"=") for entry in data.split(b"\0") if entry)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
