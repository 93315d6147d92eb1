"""Places: where state directories of this machine may be, and what the status files in them say.

A directory is read as the user whose it is: root becomes that user in a child process, below the root of the
processes that named it (a container's, a private /tmp), and follows no link at the end of a path but root's.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from z4j_fastapi.as_service.errors import CannotActAs
from z4j_fastapi.inventory.processes import Process
from z4j_fastapi.inventory.rows import user_name
from z4j_probes import Settings
from z4j_probes.portable import flags, user
from z4j_probes.storage import relocated, requested_directory
from z4j_probes.storage.status_files import identities, read_status_files
from z4j_probes.threads import within

# A home directory on a mount that does not answer must not hold up the others.
BUDGET_S = 5.0


@dataclass(frozen=True, slots=True)
class Place:
    """State directories of one user, seen by processes that see the same files.

    `seen_by` are these processes, none for what this one sees. `temporary` are directories in which
    a state directory may have been made where another one could not be used.
    """

    uid: int
    seen_by: tuple[Process, ...]
    directories: tuple[str, ...]
    temporary: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found in a place, and what can't be read there.

    Of each status file: its directory, what the disk knows the directory by, its slot, and its content.
    """

    found: tuple[tuple[str, str, int, Mapping[str, Any]], ...] = ()
    unreadable: tuple[str, ...] = ()


@dataclass(slots=True)
class _Places:
    by_key: dict[tuple[int, str], tuple[list[Process], dict[str, None], dict[str, None]]] = field(
        default_factory=dict
    )

    def add(self, uid: int, world: str, process: Process | None, directory: str | None, tmp: str) -> None:
        processes, directories, temporary = self.by_key.setdefault((uid, world), ([], {}, {}))
        if process:
            processes.append(process)
        if directory:
            directories[directory] = None
        if tmp:
            temporary[tmp] = None


def find_places(settings: Settings, processes: Iterable[Process]) -> list[Place]:
    """This user's; as root, those of all users that processes name, or that are in a home directory."""
    places, own = _Places(), _own_world()
    named = requested_directory(settings.home, settings.environ)
    places.add(user.uid() or 0, own, None, named, settings.environ.get("TMPDIR", ""))
    if user.is_root():
        for uid, home in user.homes():
            directory = os.path.join(home, ".z4j")
            if os.path.lexists(directory) or _has_relocated(uid):
                places.add(uid, own, None, directory, "")
    for process in processes:
        if process.uid != user.uid() and not user.is_root():
            continue
        seen_by = None if process.world == own else process
        places.add(
            process.uid, process.world, seen_by, _directory_of(process), process.environ.get("TMPDIR", "")
        )
    return [
        Place(uid, tuple(seen_by), tuple(directories), tuple(temporary))
        for (uid, _), (seen_by, directories, temporary) in places.by_key.items()
    ]


def read_place(place: Place) -> Reading:
    """What the live agents in a place say."""
    found: Mapping[str, Any]
    try:
        if place.uid == (user.uid() or 0) and not place.seen_by:
            found = within(
                BUDGET_S, lambda: _look(place.directories, place.temporary, follow=not user.is_root())
            )
        else:
            found = _look_as(place)
    except TimeoutError:
        return Reading(unreadable=(f"{', '.join(place.directories)}: no answer within {BUDGET_S:.0f} s",))
    except (CannotActAs, OSError, RuntimeError) as exc:
        return Reading(unreadable=(f"the state directories of {user_name(place.uid)}: {exc}",))
    return Reading(
        tuple((str(path), str(place), int(slot), document) for path, place, slot, document in found["found"]),
        tuple(map(str, found["unreadable"])),
    )


def _look_as(place: Place) -> Mapping[str, Any]:
    """The same as another user, or below another root: in a child process that has only what it needs."""
    from z4j_fastapi.as_service.child import Service, World, act_as  # which need Linux, as this does

    root = None
    if place.seen_by:
        root = _root_of(place.seen_by)
        if root is None:
            return {"found": [], "unreadable": []}
    group = user.group_of(place.uid)
    service = Service(
        name=user_name(place.uid),
        uid=place.uid,
        gid=65534 if group is None else group,
        groups=(),
        environ={},
        world=World(root=root, is_foreign=root is not None),
    )
    return act_as(service, lambda: _look(place.directories, place.temporary, follow=False), budget_s=0.0)


def _root_of(processes: Iterable[Process]) -> int | None:
    """The root that they have; None where all have ended since they were found, with their agents."""
    for process in processes:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return os.open(f"/proc/{process.pid}/root", flags.PLACE)
    return None


def _look(directories: Sequence[str], temporary: Sequence[str], *, follow: bool) -> dict[str, Any]:
    """As the user whose they are. `follow`: whether a state directory may be a link, as agents allow it."""
    found: list[tuple[str, str, int, Mapping[str, Any]]] = []
    unreadable: list[str] = []
    moved = [path for tmp in (*temporary, "") for path in relocated({"TMPDIR": tmp})]
    for path in dict.fromkeys([*map(Path, directories), *moved]):
        place = Path(os.path.realpath(path)) if follow or _is_link_of_root(path) else path
        try:
            for directory in identities(place):
                shown, status = str(path / directory.name), os.lstat(directory)
                on_disk = f"{status.st_dev} {status.st_ino}"
                found += [(shown, on_disk, one.slot, one.document) for one in read_status_files(directory)]
        except (FileNotFoundError, NotADirectoryError):
            if os.path.islink(place):
                unreadable.append(f"{path}: is a symbolic link")
        except OSError as exc:
            unreadable.append(f"{path}: {exc.strerror}")
    return {"found": found, "unreadable": unreadable}


def _is_link_of_root(path: Path) -> bool:
    """As systemd makes one for DynamicUser=: /var/lib/NAME leads to /var/lib/private/NAME."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISLNK(found.st_mode) and found.st_uid == 0


def _directory_of(process: Process) -> str | None:
    """The state directory that an agent in that process would use, as it sees it."""
    environ = process.environ
    home = environ.get("HOME", "")
    if not os.path.isabs(home):
        home = user.home_of(process.uid) or ""
    asked = environ.get("Z4J_HOME", "")
    if not asked:
        return os.path.join(home, ".z4j") if home else None
    if asked == "~" or asked.startswith("~/"):
        return os.path.normpath(home + asked[1:]) if home else None
    with contextlib.suppress(OSError):
        asked = os.path.join(os.readlink(f"/proc/{process.pid}/cwd"), asked)
    return os.path.normpath(asked)


def _has_relocated(uid: int) -> bool:
    return any(os.path.lexists(os.path.join(tmp, f"z4j-{uid}")) for tmp in ("/tmp", "/var/tmp"))  # noqa: S108


def _own_world() -> str:
    try:
        return f"{os.readlink('/proc/self/ns/mnt')} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""
