"""Which limit on threads a process has reached, if it is one: the user's, its cgroup's or the kernel's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from z4j_probes.portable import limits, user

# Counts are of this moment, and a namespace hides some: what is nearer than this is taken for reached.
_NEAR = 0.8
_CGROUPS = Path("/sys/fs/cgroup")


def nearest_limit() -> str | None:
    """The limit that is reached, in words; None where the counts are far from every one."""
    uid, limit = user.uid(), limits.limit("NPROC")
    # CAP_SYS_RESOURCE lifts it (setrlimit(2)), which root has
    if uid and limit and limit.soft is not None and _threads_of(uid) >= limit.soft * _NEAR:
        return f"uid {uid} may have {limit.soft} processes and threads"
    for group in _groups():
        current, most = _number(group / "pids.current"), _number(group / "pids.max")
        if current is not None and most is not None and current >= most * _NEAR:
            return f"the cgroup {group.name} may have {most}"
    most, running = _number(Path("/proc/sys/kernel/threads-max")), _running()
    if most is not None and running >= most * _NEAR:
        return f"the kernel may have {most}"
    return None


def _threads_of(uid: int) -> int:
    count = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except (OSError, UnicodeDecodeError):  # it has ended, or is another's
            continue
        if lines.get("Uid", "").split()[:1] == [str(uid)]:
            count += int(lines.get("Threads", "0"))
    return count


def _groups() -> Iterator[Path]:
    """The process's cgroup and those above it (version 2, or the pids controller of version 1)."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "pids"):
            continue
        root = _CGROUPS / controllers
        group = root / path.strip("/")
        yield from (one for one in (group, *group.parents) if one.is_relative_to(root))


def _running() -> int:
    try:  # "0.20 0.18 0.12 1/80 11206": the fourth is running/existing threads (proc(5))
        return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
    except (OSError, ValueError, IndexError):
        return 0


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # "max": no limit
        return None
