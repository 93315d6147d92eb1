"""Names that stay the same from start to start: the identity of a service, the fingerprint of a place."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from pathlib import Path

# Where systemd and D-Bus keep it. Slim containers have neither.
MACHINE_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


def identity(brain_url: str, project_id: str, agent_name: str) -> str:
    """12 hex digits that keep the services of one user apart.

    `agent_name` is the configured one, before `{pid}` is filled in; the token has no part in it, so that
    a rotated token keeps its buffer.
    """
    return _digest(brain_url, project_id, agent_name)[:12]


def fingerprint(
    state_directory: Path, identity: str, *, machine: str | None = None, uid: int | None = None
) -> str:
    """8 hex digits that keep two hosts of one name apart; nothing is stored for them."""
    machine = machine_id() if machine is None else machine
    uid = os.geteuid() if uid is None else uid
    return _digest(machine, str(uid), os.fspath(state_directory), identity)[:8]


def machine_id(files: tuple[Path, ...] = MACHINE_ID_FILES) -> str:
    """This machine's id; its host name where it has none (a container's host name is its own)."""
    for file in files:
        try:
            found = file.read_text("ascii").strip()
        except (OSError, ValueError):
            continue
        # systemd writes this word into images that have not booted yet (machine-id(5)).
        if found and found != "uninitialized":
            return found
    return socket.gethostname()


def _digest(*parts: str) -> str:
    # JSON, because a separator could be part of a name; surrogates come from undecodable paths.
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
