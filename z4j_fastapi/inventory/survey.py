"""The survey: each agent process of this machine that can be seen from here, and each process without one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from socket import gethostname
from typing import Any

from z4j_fastapi.inventory.places import Place, find_places, read_place
from z4j_fastapi.inventory.processes import (
    Process,
    Unwired,
    find_processes,
    find_unwired,
    owner_of,
)
from z4j_fastapi.inventory.rows import AgentRow, user_name
from z4j_probes import Settings, Status, __version__
from z4j_probes.codes import lookup
from z4j_probes.portable import user
from z4j_probes.systemd_unit import unit_in

SCHEMA = "z4j.status/1"
NOT_WIRED = "worker.not_wired"


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found. `unreadable` says in a phrase each what could not be looked at."""

    at: datetime
    host: str
    user: str
    agents: tuple[AgentRow, ...]
    unwired: tuple[Unwired, ...]
    unreadable: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there is an agent, all deliver, and no process is without one."""
        return (
            bool(self.agents)
            and not self.unwired
            and all(row.verdict is not Status.FAIL for row in self.agents)
        )

    def to_dict(self) -> dict[str, Any]:
        """The document of `status --json`."""
        return {
            "schema": SCHEMA,
            "version": __version__,
            "host": self.host,
            "user": self.user,
            "at": self.at.isoformat(timespec="seconds"),
            "ok": self.ok,
            "agents": [row.to_dict() for row in self.agents],
            "unwired": [_shown(one) for one in self.unwired],
            "unreadable": list(self.unreadable),
        }


def survey(settings: Settings) -> Survey:
    """Look at this machine now. `settings` name the state directory of this user."""
    processes = find_processes()
    # a directory may be reached on two ways; what its files say is no proof that it is the same
    by_file, unreadable = dict[tuple[str, int], AgentRow](), list[str]()
    wired = set[int]()
    for place in find_places(settings, processes):
        reading = read_place(place)
        unreadable += reading.unreadable
        for directory, on_disk, slot, document in reading.found:
            row = AgentRow.parse(document, slot)
            if row is not None:
                row = by_file[on_disk, slot] = _placed(row, place, directory, processes)
                # what one user writes says nothing of another's process
                if owner_of(row.pid) in (None, place.uid):
                    wired.add(row.pid)
    rows = sorted(
        by_file.values(),
        key=lambda row: (row.service, row.brain_url, row.project_id, row.agent_name, row.pid),
    )
    return Survey(
        at=datetime.now(UTC),
        host=gethostname(),
        user=user.name(),
        agents=tuple(rows),
        unwired=tuple(find_unwired(processes, wired)),
        unreadable=tuple(dict.fromkeys(unreadable)),
    )


def _placed(row: AgentRow, place: Place, directory: str, processes: Sequence[Process]) -> AgentRow:
    """The row as it is seen from here: the process by its number here, its directory by a path from here."""
    pid, inside = row.pid, None
    if place.seen_by:
        there = (one for one in processes if one.world == place.seen_by[0].world and one.inside == row.pid)
        process = next(there, None)
        if process is not None and process.pid != row.pid:
            pid, inside = process.pid, row.pid
        directory = f"/proc/{pid}/root{directory}"
    return replace(
        row,
        pid=pid,
        pid_inside=inside,
        directory=directory,
        state_directory=os.path.dirname(directory),
        user=user_name(place.uid),
        unit=_unit_of(pid),
    )


def _unit_of(pid: int) -> str:
    try:
        return unit_in(Path(f"/proc/{pid}/cgroup").read_text()) or ""
    except (OSError, ValueError):
        return ""


def _shown(one: Unwired) -> dict[str, Any]:
    return {
        "pid": one.pid,
        "user": user_name(one.uid),
        "program": one.program.name,
        "target": one.program.target,
        "unit": one.unit,
        "code": NOT_WIRED,
        "title": lookup(NOT_WIRED).title,
        "steps": [{"text": step.text, "command": step.command} for step in one.steps],
    }
