"""What an agent says of itself on this machine: its status, whose it is, and which files it has read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from z4j_fastapi.agent.hello import AgentProfile
from z4j_fastapi.agent.status import AgentStatus
from z4j_fastapi.agent.traffic import LATENCY_BOUNDS, Latency
from z4j_probes import Settings, __version__
from z4j_probes.file_stamp import FileStamp

FORMAT = "z4j.agent/1"


def describe(
    status: AgentStatus,
    settings: Settings,
    profile: AgentProfile,
    *,
    started_at: datetime,
    latency: Latency,
    missed: int,
    slot: int | None,
    stamps: Mapping[str, FileStamp],
) -> dict[str, Any]:
    """JSON-ready, without secrets. The status's fields are among the others, except its report.

    `stamps` say which version of its files the settings have, `missed` how many of the dropped events no
    buffer was there to take, `slot` is the number of its buffer file, None without one.
    """
    shown, files = settings.describe(), settings.all_files
    said = {
        "format": FORMAT,
        "pid": os.getpid(),
        "slot": slot,
        "version": __version__,
        "started_at": started_at.isoformat(timespec="seconds"),
        "role": profile.role,
        "framework": profile.framework,
        "engines": list(profile.engines),
        **{name: shown[name] for name in ("brain_url", "project_id", "agent_name")},
        **status.without_report(),
        "missed": missed,
        "latency": {"bounds": list(LATENCY_BOUNDS), "counts": list(latency.counts), "sum_s": latency.sum_s},
        "files": [
            {"setting": name, "path": files[name], **stamp._asdict()}
            for name, stamp in stamps.items()
            if name in files
        ],
    }
    redacted: dict[str, Any] = settings.redactor().value(said)
    return redacted
