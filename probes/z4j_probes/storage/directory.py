"""Choosing the state directory, and moving it where it can't be used.

`$Z4J_HOME`, else `~/.z4j`. Service users often have a home that is not there, not theirs or read-only, so
a directory that can't be created or written moves to `$TMPDIR/z4j-<uid>`. Two faults are not papered over
by moving, because they are fixed in a minute and a move would hide them:

- `buffer.not_a_directory` where Z4J_HOME names a file, or something below one: the setting is wrong.
  (For the default it moves: `/dev/null` is a usual home of service users.)
- `buffer.disk_full`: what is already buffered there has to stay in reach, and /tmp may be memory.

If moving fails as well, the fault of the directory that was asked for is the one that is raised.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from z4j_probes.errors import StorageError
from z4j_probes.portable import flags, private, user
from z4j_probes.portable import home as homes
from z4j_probes.storage.faults import DISK_FULL, NOT_A_DIRECTORY, UNSAFE_DIRECTORY, UNWRITABLE, storage_error


class StateDirectory(NamedTuple):
    """The directory that is used, and how it came to be that one.

    `requested` is None where this user has no home directory to put it in. With `relocated`, `code` and
    `reason` say what was wrong with `requested`; `refused` says why the usual place to move to was not
    used either (empty where it was).
    """

    path: Path
    requested: Path | None
    relocated: bool = False
    code: str = ""
    reason: str = ""
    refused: str = ""


def choose(home: str | None, environ: Mapping[str, str]) -> StateDirectory:
    """The state directory for this process, created and known to be writable.

    `home` is Z4J_HOME where it is set. Raises StorageError where no directory can be used, or where
    moving would hide what is wrong.
    """
    user_home = homes.user_home(environ)
    requested = _requested(home, user_home)
    if requested is None:
        fault = StorageError(UNWRITABLE, f"{user.short()} has no home directory")
        return _relocate(requested, fault, environ)
    try:
        _make(requested, parents=home is not None)
        _require_safe(requested)
        _require_writable(requested)
    except StorageError as fault:
        if fault.code == DISK_FULL or (fault.code == NOT_A_DIRECTORY and home):
            raise
        return _relocate(requested, fault, environ)
    return StateDirectory(requested, requested)


def relocated(environ: Mapping[str, str]) -> list[Path]:
    """The directories of this user that an earlier start may have moved to; looks only, and makes none."""
    usual = f"z4j-{user.key()}"
    found = []
    for temporary in homes.temporary_directories(environ):
        with contextlib.suppress(OSError):
            names = [name for name in os.listdir(temporary) if name == usual or name.startswith(f"{usual}-")]
            found += [Path(temporary, name) for name in sorted(names)]
    return [path for path in found if is_private(path)]


def is_private(path: Path) -> bool:
    """Whether `path` is a directory of this user that is closed to all others."""
    try:
        return not _objection_to_private(path)
    except StorageError:
        return False


def private_directory(parent: Path, name: str) -> Path:
    """`parent/name`, made with mode 0700 if it is not there.

    One that is ours is closed to others again: a kubelet opens a volume to its fsGroup at every mount, all of
    it. One that is another user's is refused.
    """
    path = parent / name
    _make(path, parents=False)
    private.close_to_others(path)
    _require_private(path)
    return path


def requested_directory(home: str | None, environ: Mapping[str, str]) -> str | None:
    """The absolute path that the settings ask for; None where the user has no home directory."""
    if home:
        return os.path.abspath(os.path.expanduser(home))
    user_home = homes.named_home(environ)
    return os.path.join(user_home, ".z4j") if user_home else None


def _requested(home: str | None, user_home: str | None) -> Path | None:
    if not home:
        return Path(user_home, ".z4j") if user_home else None
    if home == "~" or home.startswith(("~/", f"~{os.sep}")):  # systemd and dotenv files don't expand it
        if user_home is None:
            return None
        home = user_home + home[1:]
    return Path(os.path.abspath(home))


def _make(path: Path, *, parents: bool) -> None:
    # Never a missing home directory itself: root would make /nonexistent for a user who is to have none.
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        private.make(path)
    except (OSError, ValueError) as exc:
        raise storage_error(exc, f"can't create {path}") from exc


def _require_writable(path: Path) -> None:
    try:
        name = path / f".writable-{secrets.token_hex(4)}"
        os.close(os.open(name, flags.CREATE, 0o600))
        os.unlink(name)
    except (OSError, ValueError) as exc:
        raise storage_error(exc, f"can't write to {path}") from exc


def _require_safe(path: Path) -> None:
    """Refuse a directory in which another user could exchange what we put there.

    A volume that is mounted at exactly this path is its machine's business: Kubernetes makes emptyDir
    0777, and a bind mount belongs to the user that owns it outside of the container.
    """
    try:
        objection = "" if os.path.ismount(path) else private.objection_to_shared(path)
    except (OSError, ValueError) as exc:
        raise storage_error(exc, f"can't examine {path}") from exc
    if objection:
        raise StorageError(UNSAFE_DIRECTORY, f"{path} {objection}")


def _require_private(path: Path) -> None:
    objection = _objection_to_private(path)
    if objection:
        raise StorageError(UNSAFE_DIRECTORY, f"{path} {objection}")


def _objection_to_private(path: Path) -> str:
    """What speaks against `path` as a directory of only ours; empty if nothing does."""
    try:
        return private.objection_to_private(path)
    except OSError as exc:
        raise storage_error(exc, f"can't examine {path}") from exc


def _relocate(requested: Path | None, fault: StorageError, environ: Mapping[str, str]) -> StateDirectory:
    complaints: list[str] = []
    for candidate in homes.temporary_directories(environ):
        try:
            path, refused = _private_place(Path(candidate))
        except StorageError as exc:
            complaints.append(str(exc))
            continue
        return StateDirectory(path, requested, True, fault.code, str(fault), refused)
    raise StorageError(fault.code, "; ".join([str(fault), *complaints]))


def _private_place(temporary: Path) -> tuple[Path, str]:
    """A private directory below `temporary`, and why it does not have the usual name."""
    _require_safe(temporary)
    usual = f"z4j-{user.key()}"
    path, refused = temporary / usual, ""
    try:
        _make(path, parents=False)
        _require_private(path)  # not closed first: a user that could write it may have prepared it
    except StorageError as exc:
        if exc.code not in (UNSAFE_DIRECTORY, NOT_A_DIRECTORY):
            raise
        path, refused = _fresh(temporary, usual), str(exc)
    _require_writable(path)
    return path, refused


def _fresh(temporary: Path, usual: str) -> Path:
    import tempfile

    try:
        # One that an earlier start made is as private as a new one, and has that start's events in it.
        for name in sorted(os.listdir(temporary)):
            if name.startswith(f"{usual}-") and not _objection_to_private(temporary / name):
                return temporary / name
        return Path(tempfile.mkdtemp(prefix=f"{usual}-", dir=temporary))
    except OSError as exc:
        raise storage_error(exc, f"can't create a private directory in {temporary}") from exc
