"""Files that settings come from and that have changed since a running process read them."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path

from z4j_fastapi.inventory.rows import AgentRow
from z4j_probes import Settings
from z4j_probes.file_stamp import FileStamp
from z4j_probes.storage import relocated, requested_directory
from z4j_probes.storage.status_files import identities, read_status_files
from z4j_probes.threads import within

BUDGET_S = 2.0


def changed_since_read(settings: Settings, pids: Collection[int]) -> dict[str, str]:
    """The paths of such files by their settings, for agents among these processes.

    Where the files are, and as a user that may read the state directory: as the service itself. Empty where
    the disk does not answer.
    """
    with contextlib.suppress(TimeoutError, RuntimeError):
        return within(BUDGET_S, lambda: _look(settings, pids))
    return {}


def _look(settings: Settings, pids: Collection[int]) -> dict[str, str]:
    asked = requested_directory(settings.home, settings.environ)
    places = [*([Path(asked)] if asked else []), *relocated(settings.environ)]
    changed: dict[str, str] = {}
    for place in places:
        with contextlib.suppress(OSError):
            for directory in identities(place):
                for found in read_status_files(directory):
                    row = AgentRow.parse(found.document, found.slot)
                    if row is not None and row.pid in pids:
                        changed |= _changed(row)
    return changed


def _changed(row: AgentRow) -> dict[str, str]:
    stamps = {file: FileStamp.of(file.path) for file in row.files}
    return {
        file.setting: file.path
        for file, now in stamps.items()
        if now is not None and now != FileStamp(file.device, file.inode, file.mtime_ns)
    }
