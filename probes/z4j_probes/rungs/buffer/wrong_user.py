"""Root where a service of another user is meant: whose a state directory is, and what to run instead."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from z4j_probes.codes import outcome
from z4j_probes.portable import shell, user
from z4j_probes.portable.system import is_linux
from z4j_probes.result import ProbeResult, Step


def owner_of(path: str | None) -> str | None:
    """The name, or else the uid, of the path's owner, unless that is root."""
    try:
        uid = os.stat(path or "").st_uid
    except OSError:
        return None
    name = user.name_of(uid) or f"#{uid}"  # as sudo takes a uid
    return name if uid else None


def owner_above(path: str) -> str | None:
    """The same of the directory that `path` would have to be made in; None where it is there already.

    What root made there would be in the service's way. A volume is excused: it belongs to the
    user that owns it outside of the container.
    """
    if os.path.lexists(path):
        return None
    parent = next(part for part in Path(path).parents if part.is_dir())
    return None if os.path.ismount(parent) else owner_of(str(parent))


def wrong_user(path: str | None, owner: str, details: dict[str, Any]) -> ProbeResult:
    """The warning, with the command."""
    message = f"{path} belongs to {owner}, and this check runs as root: it can't tell what {owner} can write"
    return _outcome(message, owner, details)


def not_made(path: str, owner: str, details: dict[str, Any]) -> ProbeResult:
    """The warning about a directory that root did not make, because it would be root's."""
    message = f"{path} does not exist and was not created: it would belong to root, not to {owner}"
    return _outcome(message, owner, details)


def _outcome(message: str, owner: str, details: dict[str, Any]) -> ProbeResult:
    command = shell.as_user(owner, f"{shell.quote(sys.executable)} -m z4j_fastapi doctor")
    or_named = ", or as root with --pid or --unit" if is_linux() else ""
    step = Step(f"Run the doctor as the service's user{or_named}", command)
    return outcome("buffer.wrong_user", message, hint=step, details=details | {"owner": owner})
