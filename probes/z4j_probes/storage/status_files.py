"""Status files: what each agent process of this machine says of itself, for those who look without a network.

`<state>/<identity>/status-<slot>.json`, beside the slot's buffer file, mode 0600. It is replaced in one step,
and locked for as long as its process lives: of a file without a lock the process is gone, whichever process
has its number by now. It holds no secret.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from z4j_probes.portable import files, flags, locks
from z4j_probes.portable.fork import at_fork
from z4j_probes.portable.listing import Directory, open_directory
from z4j_probes.storage.faults import storage_error

# Far above what an agent says of itself; a file beyond it is not one of ours.
MAX_BYTES = 256 * 1024
# What one identity may have, and a state directory identities: others are not looked at.
MAX_FILES = 1024
# A reader that has opened a file which is replaced at that moment opens the new one.
_TRIES = 5

_FILE_NAME = re.compile(r"status-(0|[1-9][0-9]{0,3})\.json")  # one name for each number
_IDENTITY = re.compile(r"[0-9a-f]{12}")


class StatusFile:
    """The file of the slot that this process has, until `remove`. For one thread at a time."""

    def __init__(self, directory: Path, slot: int) -> None:
        self.path = _path(directory, slot)
        self._descriptor: int | None = None
        _open.add(self)

    def is_of(self, directory: Path, slot: int) -> bool:
        """Whether it is the file of that slot."""
        return self.path == _path(directory, slot)

    @property
    def is_there(self) -> bool:
        """Whether what was written last is what a reader finds."""
        try:
            return self._descriptor is not None and os.path.samestat(
                os.fstat(self._descriptor), os.lstat(self.path)
            )
        except OSError:
            return False

    def write(self, document: Mapping[str, Any]) -> None:
        """Replace what the file says. Raises StorageError; then a reader finds what was written before."""
        # of this slot, which no other process has: what a killed one left of this name is not needed
        new = self.path.with_name(f".{self.path.name}.new")
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new)
            descriptor = files.open_shared(new, flags.CREATE)
            try:
                locks.try_lock(descriptor)  # on a file system without locks, `_is_held` says what then
                # no fsync: after a power cut there is no process that it could be about
                with open(descriptor, "wb", closefd=False) as file:
                    file.write(json.dumps(document).encode())
                if not files.RENAMES_OPEN_FILES:
                    self._close()
                files.replace(new, self.path)
            except BaseException:
                os.close(descriptor)
                with contextlib.suppress(OSError):
                    os.unlink(new)
                raise
        except OSError as exc:
            raise storage_error(exc, f"can't write {self.path}") from exc
        self._close()
        self._descriptor = descriptor

    def remove(self) -> None:
        """This process has the slot no longer."""
        if self.is_there:  # not what the next one has put there
            with contextlib.suppress(OSError):
                os.unlink(self.path)
        self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _path(directory: Path, slot: int) -> Path:
    return directory / f"status-{slot}.json"


_open: weakref.WeakSet[StatusFile] = weakref.WeakSet()


def _disown() -> None:
    # the lock belongs to what parent and child have open together (flock(2)): it would outlive the parent
    for file in list(_open):
        file._close()
    _open.clear()


at_fork(in_child=_disown)


@dataclass(frozen=True, slots=True)
class FoundStatus:
    """What a live process says: the file, the number of its slot, and the JSON object in it, unjudged."""

    path: Path
    slot: int
    document: Mapping[str, Any]


def identities(state_directory: Path) -> list[Path]:
    """The directories in a state directory that are an identity's; OSError where it can't be listed."""
    with open_directory(state_directory) as opened:
        names = sorted(name for name in opened.names() if _IDENTITY.fullmatch(name))
    return [state_directory / name for name in names[:MAX_FILES]]


def read_status_files(directory: Path) -> list[FoundStatus]:
    """What the live processes of one identity say, by slot. Follows no link at the end of a path.

    OSError where the directory can't be listed. What is no file of ours is passed over.
    """
    found = []
    with open_directory(directory) as opened:
        matches = [match for name in opened.names() if (match := _FILE_NAME.fullmatch(name))]
        for match in sorted(matches, key=lambda match: int(match[1]))[:MAX_FILES]:
            with contextlib.suppress(OSError, ValueError, RecursionError):
                document = _read(match[0], opened)
                if isinstance(document, dict):
                    found.append(FoundStatus(directory / match[0], int(match[1]), document))
    return found


def _read(name: str, directory: Directory) -> Any:
    """The JSON in a file that its process still holds; None where it does not."""
    for _ in range(_TRIES):
        with directory.opened(name) as descriptor:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
                return None
            document = json.loads(os.read(descriptor, MAX_BYTES))
            if _is_held(descriptor, document):
                return document
            if os.path.samestat(status, directory.stat(name)):
                return None
    return None


def _is_held(descriptor: int, document: Any) -> bool:
    held = locks.is_held(descriptor)
    if held is not None:
        return held
    # a file system without locks: the number of the process is all that there is
    pid = document.get("pid") if isinstance(document, dict) else None
    return isinstance(pid, int) and os.path.exists(f"/proc/{pid}")
