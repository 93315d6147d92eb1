"""Status files: what each agent process of this machine says of itself, for those who look without a network.

`<state>/<identity>/status-<slot>.json`, beside the slot's buffer file, mode 0600. It is replaced in one step,
and locked for as long as its process lives: of a file without a lock the process is gone, whichever process
has its number by now. It holds no secret.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import stat
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from z4j_probes.storage.faults import storage_error

# Far above what an agent says of itself; a file beyond it is not one of ours.
MAX_BYTES = 256 * 1024
# What one identity may have, and a state directory identities: others are not looked at.
MAX_FILES = 1024
# A reader that has opened a file which is replaced at that moment opens the new one.
_TRIES = 5

_FILE_NAME = re.compile(r"status-(\d{1,4})\.json")
_IDENTITY = re.compile(r"[0-9a-f]{12}")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK, so that a FIFO of that name can't hold a reader up.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


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
            descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                with contextlib.suppress(OSError):  # a file system without locks: `_is_held` says what then
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # no fsync: after a power cut there is no process that it could be about
                with open(descriptor, "wb", closefd=False) as file:
                    file.write(json.dumps(document).encode())
                os.replace(new, self.path)
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


os.register_at_fork(after_in_child=_disown)


@dataclass(frozen=True, slots=True)
class FoundStatus:
    """What a live process says: the file, the number of its slot, and the JSON object in it, unjudged."""

    path: Path
    slot: int
    document: Mapping[str, Any]


def identities(state_directory: Path) -> list[Path]:
    """The directories in a state directory that are an identity's; OSError where it can't be listed."""
    with _opened(state_directory, _DIRECTORY) as descriptor:
        names = sorted(name for name in os.listdir(descriptor) if _IDENTITY.fullmatch(name))
    return [state_directory / name for name in names[:MAX_FILES]]


def read_status_files(directory: Path) -> list[FoundStatus]:
    """What the live processes of one identity say, by slot. Follows no link at the end of a path.

    OSError where the directory can't be listed. What is no file of ours is passed over.
    """
    found = []
    with _opened(directory, _DIRECTORY) as descriptor:
        matches = [match for name in os.listdir(descriptor) if (match := _FILE_NAME.fullmatch(name))]
        for match in sorted(matches, key=lambda match: int(match[1]))[:MAX_FILES]:
            with contextlib.suppress(OSError, ValueError, RecursionError):
                document = _read(match[0], descriptor)
                if isinstance(document, dict):
                    found.append(FoundStatus(directory / match[0], int(match[1]), document))
    return found


def _read(name: str, directory: int) -> Any:
    """The JSON in a file that its process still holds; None where it does not."""
    for _ in range(_TRIES):
        with _opened(name, _FILE, directory) as descriptor:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
                return None
            document = json.loads(os.read(descriptor, MAX_BYTES))
            if _is_held(descriptor, document):
                return document
            if os.path.samestat(status, os.stat(name, dir_fd=directory, follow_symlinks=False)):
                return None
    return None


def _is_held(descriptor: int, document: Any) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks: the number of the process is all that there is
        pid = document.get("pid") if isinstance(document, dict) else None
        return isinstance(pid, int) and os.path.exists(f"/proc/{pid}")
    return False


@contextlib.contextmanager
def _opened(path: str | Path, flags: int, directory: int | None = None) -> Iterator[int]:
    descriptor = os.open(path, flags, dir_fd=directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
