"""The systemd service that this process was started by, or stands in for: hints speak of its unit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_stood_in_for: list[str] = []


def unit_of(environ: Mapping[str, str]) -> str | None:
    """The unit of this process, whose environment it must be; None where it is no service."""
    if _stood_in_for:
        return _stood_in_for[-1]
    if not environ.get("INVOCATION_ID") or environ["INVOCATION_ID"] != os.environ.get("INVOCATION_ID"):
        return None
    try:
        return unit_in(Path("/proc/self/cgroup").read_text("utf-8"))
    except (OSError, ValueError):
        return None


def unit_in(cgroup: str) -> str | None:
    """The service that a process belongs to, by its /proc/PID/cgroup."""
    for line in cgroup.splitlines():
        name = line.rpartition("/")[2]
        if line.startswith(("0::", "1:name=systemd:")) and name.endswith(".service"):
            return name
    return None


def stand_in_for_unit(name: str) -> None:
    """From now on this process is that service, wherever the kernel accounts for it."""
    _stood_in_for.append(name)
