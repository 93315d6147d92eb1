"""The control group of a process (cgroups(7)): what its sockets may reach (IPAddressDeny=), its memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from z4j_fastapi.as_service.errors import CannotActAs

# Where version 2 is mounted: with version 1 beside it (hybrid), one directory lower.
_MOUNTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
# What a climb takes, and then some: a service that is near its limit must not be killed for our sake.
_ROOM_BYTES = 128 * 1024 * 1024
_ROOM_TASKS = 32


def path_in(cgroup: str) -> str | None:
    """The path of a process's control group, by its /proc/PID/cgroup; None without version 2."""
    return next((line[3:] for line in cgroup.splitlines() if line.startswith("0::")), None)


def open_group(path: str) -> int:
    """A descriptor by which a process can join that group: it writes 0 there.

    CannotActAs where that is not possible, or the group has no room for another process.
    """
    directory = _directory(path)
    if directory is None:
        raise CannotActAs("control groups of version 2 are not mounted here")
    for group in (directory, *directory.parents):
        if str(group) in _MOUNTS:
            break
        _require_room(group)
    try:
        return os.open(directory / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
    except OSError as exc:
        raise CannotActAs(f"its control group can't be joined: {exc.strerror}") from exc


def processes(path: str) -> Iterator[int]:
    """The processes of a group and of those inside it, by the path that systemd gives."""
    for mount in (*_MOUNTS, "/sys/fs/cgroup/systemd"):
        for directory, _, files in os.walk(f"{mount}{path}"):
            if "cgroup.procs" in files:
                yield from map(int, _read(Path(directory, "cgroup.procs")).split())


def _directory(path: str) -> Path | None:
    if ".." in path.split("/"):  # outside of our own cgroup namespace
        return None
    return next(
        (Path(f"{mount}{path}") for mount in _MOUNTS if os.path.exists(f"{mount}{path}/cgroup.events")), None
    )


def _require_room(group: Path) -> None:
    for what, room in (("memory", _ROOM_BYTES), ("pids", _ROOM_TASKS)):
        limits = [_read(group / f"{what}.{limit}").strip() for limit in ("max", "high")]
        current = _read(group / f"{what}.current").strip()
        for limit in limits:
            if limit.isdigit() and current.isdigit() and int(limit) - int(current) < room:
                raise CannotActAs(
                    f"its control group has no room for another process ({what} {current}/{limit})"
                )


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # a controller that is off, or a group that is gone
        return ""
