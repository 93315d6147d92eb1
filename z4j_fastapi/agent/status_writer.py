"""StatusWriter: keeps an agent's status file beside its slot, for `python -m z4j_fastapi status` and metrics.

It is written in the housekeeper's thread, which may wait for the disk: at each change of state, else at most
every WRITE_EVERY_S, and not at all while nothing changes. A start that lasts is written the second way. What
can't be written is left: the buffer, whose files are beside it, says what is wrong with the disk.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from z4j_fastapi.buffer import EventBuffer
from z4j_probes import StorageError
from z4j_probes.storage.status_files import StatusFile

WRITE_EVERY_S = 5.0
# A host that waits for the same news, and the session that begins with it, are not to wait for this one.
OTHERS_FIRST_S = 0.02


class StatusWriter:
    """Of one agent, of which `describe` gives what is said. All but `changed` is for the housekeeper."""

    def __init__(self, buffer: EventBuffer, describe: Callable[[], Mapping[str, Any]]) -> None:
        self._buffer = buffer
        self._describe = describe
        self._file: StatusFile | None = None
        self._written: Mapping[str, Any] = {}
        self._looked_s = 0.0
        self._is_news = True

    def changed(self) -> None:
        """There is what may not wait: another state. From any thread."""
        self._is_news = True
        self._buffer.wake_housekeeper()

    def tend(self) -> None:
        """Write what is new, if it is time for that; remove the file where the buffer is closed."""
        directory = self._buffer.directory
        if self._buffer.closed or directory is None:
            self._remove()
            return
        now_s = time.monotonic()
        if not self._is_news and now_s - self._looked_s < WRITE_EVERY_S:
            return
        if self._is_news:
            time.sleep(OTHERS_FIRST_S)
        self._is_news, self._looked_s = False, now_s  # also where it fails: a full disk stays so for a while
        said, file = self._describe(), self._file_in(directory)
        if said == self._written and file.is_there:
            return
        self._written = said
        with contextlib.suppress(StorageError):
            file.write({**said, "written_at": datetime.now(UTC).isoformat(timespec="seconds")})

    def _file_in(self, directory: Path) -> StatusFile:
        """The file of the slot, which may move to another directory or number."""
        slot = self._buffer.file_slot or 0
        if self._file is None or not self._file.is_of(directory, slot):
            self._remove()
            self._file = StatusFile(directory, slot)
        return self._file

    def _remove(self) -> None:
        if self._file is not None:
            self._file.remove()
            self._file = None
