"""What an agent says of itself: its state, since when, why, and what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from z4j_probes import Report


class State(StrEnum):
    """Where an agent is in its life."""

    STARTING = "starting"
    """Its first climb is not over yet."""
    ONLINE = "online"
    OFFLINE = "offline"
    """No session; it climbs again by its schedule."""
    DISABLED = "disabled"
    """It will not try: Z4J_DISABLED, arguments or variables that are missing or malformed, or a fork."""
    STOPPED = "stopped"
    """Not entered yet, or left again."""


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """A snapshot. `code` and `reason` are those of the last failure, empty while online.

    `report` is the last climb's. `buffered` counts events that no brain has acknowledged, `dropped` those
    that were lost to the buffer's bounds or could not be taken. `buffer_path` is None for a buffer that
    lives in memory alone. `rejected` counts events that a brain has acknowledged and did not take: it
    knows them, or keeps one of their kind a second. `log_fault` says why nothing of the agent's log
    appears, empty if it does. `buffer_fault` is a code while the disk does not take events, which are in
    memory alone then. After the end `buffered` is what was left on disk for the next start. `commands`
    counts what the brain asked: by how it ended, and by code where it was not done.
    """

    state: State
    since: datetime
    code: str = ""
    reason: str = ""
    report: Report | None = None
    buffered: int = 0
    dropped: int = 0
    rejected: int = 0
    buffer_path: str | None = None
    buffer_fault: str = ""
    worker_id: str | None = None
    session_id: str | None = None
    log_fault: str = ""
    commands: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without secrets."""
        return {
            "state": self.state.value,
            "since": self.since.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "code": self.code,
            "reason": self.reason,
            "buffered": self.buffered,
            "dropped": self.dropped,
            "rejected": self.rejected,
            "buffer_path": self.buffer_path,
            "buffer_fault": self.buffer_fault,
            "worker_id": self.worker_id,
            "session_id": self.session_id,
            "log_fault": self.log_fault,
            "commands": dict(self.commands),
            "report": self.report.to_dict() if self.report else None,
        }
