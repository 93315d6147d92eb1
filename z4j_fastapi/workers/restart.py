"""Restarting a worker process: ending it, where something starts it again.

A process that ends and stays away is no restart, so what starts it has to show: systemd (its unit is asked
whether it does so after a normal end), supervisord, or Kubernetes.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from pathlib import Path

from z4j_fastapi.commands.engine import Refused

_SYSTEMCTL_S = 5.0
# For the answer to arrive: a brain drops what it has not read when the session ends.
_END_AFTER_S = 1.0
_UNIT = re.compile(r"/([^/]+\.service)$")


def what_restarts() -> str | None:
    """What starts this process again, by its environment; None where nothing shows."""
    if os.environ.get("SYSTEMD_EXEC_PID") in (str(os.getpid()), str(os.getppid())):
        return "systemd"
    if os.environ.get("SUPERVISOR_ENABLED"):
        return "supervisord"
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return "Kubernetes"
    return None


async def restart_this_process() -> None:
    """Send this process SIGTERM in a moment; Refused where nothing would start it again."""
    restarts = what_restarts()
    if restarts is None:
        raise Refused("command.unsupported", "nothing is known that would start this worker again")
    if restarts == "systemd":
        await asyncio.to_thread(_ask_systemd)
    asyncio.get_running_loop().call_later(_END_AFTER_S, os.kill, os.getpid(), signal.SIGTERM)


def _ask_systemd() -> None:
    """A worker ends normally, after which many units stay down."""
    matched = _UNIT.search(Path("/proc/self/cgroup").read_text(errors="replace").strip())
    unit = matched[1] if matched else ""
    asking = ["systemctl", "show", "--property=Restart", "--value", "--", unit]
    try:
        done = subprocess.run(asking, capture_output=True, text=True, timeout=_SYSTEMCTL_S, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        raise Refused("command.unsupported", "systemd doesn't say whether it restarts this worker") from None
    restart = done.stdout.strip()
    if restart not in ("always", "on-success"):
        cause = f"systemd doesn't start {unit or 'it'} again after a normal exit: Restart={restart or 'no'}"
        raise Refused("command.unsupported", f"{cause} is set, not Restart=always")
