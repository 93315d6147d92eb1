"""The systemd service that this process was started by, or acts as: hints speak of its unit."""

from __future__ import annotations

import os
from pathlib import Path

from z4j_probes.settings import Settings


def unit_of(settings: Settings) -> str | None:
    """The unit of the process whose settings these are; None where it is not a systemd service."""
    if settings.acting_as is not None:
        return settings.acting_as.unit
    environ = settings.environ
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
