"""Names that stay the same from start to start: the identity of a service, the fingerprint of a place."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from z4j_probes.portable import machine as machines
from z4j_probes.portable import user


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
    machine = (machines.machine_id() or machines.host_name()) if machine is None else machine
    key = user.key() if uid is None else str(uid)
    return _digest(machine, key, os.fspath(state_directory), identity)[:8]


def _digest(*parts: str) -> str:
    # JSON, because a separator could be part of a name; surrogates come from undecodable paths.
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
