"""Choosing the state directory, proving it as an event buffer would, and what to do where that fails."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from z4j_probes.climb import Climb
from z4j_probes.codes import outcome
from z4j_probes.errors import StorageError
from z4j_probes.portable import shell, user
from z4j_probes.portable.disk import Room
from z4j_probes.portable.system import by_system
from z4j_probes.result import ProbeResult, Step
from z4j_probes.rungs import unit_hints
from z4j_probes.rungs.buffer.limits import limit_reached
from z4j_probes.rungs.buffer.wrong_user import not_made, owner_above, owner_of, wrong_user
from z4j_probes.rungs.hints import set_value
from z4j_probes.rungs.unit_hints import unit_of
from z4j_probes.settings import Settings
from z4j_probes.size import amount
from z4j_probes.source import Kind
from z4j_probes.storage import (
    StateDirectory,
    choose,
    damaged,
    free_space,
    identity,
    private_directory,
    proof,
    requested_directory,
)
from z4j_probes.storage.aside import count_aside
from z4j_probes.storage.faults import NOT_A_DIRECTORY, UNSAFE_DIRECTORY, UNWRITABLE
from z4j_probes.systemd_unit import ServiceUnit
from z4j_probes.threads import in_daemon_thread

# Minutes of a busy worker's events. Not more: a warning on every small volume is one that no one reads.
LOW_SPACE_BYTES = 32 * 1024 * 1024
# An agent has a dozen files, and SQLite makes another one for a moment.
LOW_SPACE_FILES = 32


async def run(climb: Climb) -> ProbeResult:
    """Choose the directory and do there what the buffer does."""
    settings, uid = climb.settings, user.uid()
    unit = unit_of(settings)
    asked_for, budget_s = settings.home or "~/.z4j", climb.time_left()
    try:
        async with asyncio.timeout(budget_s):
            if climb.opened is not None:
                await climb.opened.wait()
            proven = climb.has("directory")
            if not proven:
                by_mistake = uid == 0 and unit is None
                owner, found = await in_daemon_thread(lambda: _choose(settings, by_mistake=by_mistake))
                climb.directory = found
                if owner:
                    return not_made(str(found.path), owner, {"directory": str(found.path), "uid": uid})
            chosen = climb.directory
            climb.ready("buffer").set()  # a slow disk does not keep the handshake waiting
            asked_for = str(chosen.path)
            own = _own_directory(settings, chosen.path)
            room = await in_daemon_thread(lambda: _prove(chosen.path, own, proven=proven))
    except TimeoutError:
        return _hangs(asked_for, budget_s, uid=uid)
    except StorageError as exc:
        return _failed(climb, exc, uid=uid, unit=unit)
    return verdict_on(settings, chosen, room, uid=uid, unit=unit)


def _choose(settings: Settings, *, by_mistake: bool) -> tuple[str | None, StateDirectory]:
    """The directory; with an owner, where root would make it `by_mistake` in another user's place."""
    asked = requested_directory(settings.home, settings.environ)
    owner = owner_above(asked) if asked and by_mistake else None
    if owner and asked:
        return owner, StateDirectory(Path(asked), Path(asked))
    return None, choose(settings.home, settings.environ)


async def look_closer(climb: Climb, result: ProbeResult) -> ProbeResult:
    """See how the service's own buffers begin, and count what is set aside; an agent finds out by itself."""
    settings, uid, directory = climb.settings, user.uid(), climb.directory.path
    unit, budget_s = unit_of(settings), climb.time_left()
    own = _own_directory(settings, directory)
    try:
        async with asyncio.timeout(budget_s):
            bad, aside = await in_daemon_thread(lambda: (damaged(own), count_aside(own)))
    except TimeoutError:
        return _hangs(str(directory), budget_s, uid=uid)
    except StorageError as exc:
        return _failed(climb, exc, uid=uid, unit=unit)
    if bad is not None:
        return _found_damaged(*bad, uid=uid, unit=unit, settings=settings)
    if not aside:
        return result
    message = f"{result.message}; {aside} event{'' if aside == 1 else 's'} set aside"
    return replace(result, message=message, details={**result.details, "set_aside": aside})


def _hangs(path: str, budget_s: float, *, uid: int | None) -> ProbeResult:
    return outcome(
        "buffer.timeout",
        f"{path} did not answer within {budget_s:.3g} s",
        hint=Step("Check whether the server of its mount answers", shell.mount_of(path)),
        details={"directory": path, "uid": uid},
    )


def _failed(climb: Climb, exc: StorageError, *, uid: int | None, unit: ServiceUnit | None) -> ProbeResult:
    settings = climb.settings
    own = _own_directory(settings, climb.directory.path) if climb.has("directory") else None
    path = (
        str(climb.directory.path)
        if climb.has("directory")
        else requested_directory(settings.home, settings.environ)
    )
    details = {"directory": path, "uid": uid}
    by_mistake = uid == 0 and unit is None
    owner = owner_of(str(own)) if own and by_mistake and exc.code == UNSAFE_DIRECTORY else None
    if owner:
        return wrong_user(str(own), owner, details)
    limit = limit_reached() if exc.code == UNWRITABLE else None
    if limit is not None:
        what, step = limit
        return outcome(exc.code, f"{user.short()}: {exc}: {what}", hint=step, details=details)
    if own and os.path.lexists(own) and exc.code in (UNSAFE_DIRECTORY, NOT_A_DIRECTORY, UNWRITABLE):
        steps = _give_back(str(own), uid)
    else:
        steps = fix(exc.code, path, uid=uid, unit=unit, settings=settings)
    return outcome(exc.code, f"{user.short()}: {exc}", hint=steps, details=details)


def verdict_on(
    settings: Settings, chosen: StateDirectory, room: Room, *, uid: int | None, unit: ServiceUnit | None
) -> ProbeResult:
    """The verdict on a directory that works."""
    details: dict[str, Any] = {
        "directory": str(chosen.path),
        "requested": str(chosen.requested) if chosen.requested else None,
        "free_bytes": room.bytes,
        "uid": uid,
    }
    few_files = room.files is not None and 0 < room.files < LOW_SPACE_FILES
    low = few_files or room.bytes < LOW_SPACE_BYTES
    free = f"{room.files} inodes" if few_files else amount(room.bytes)
    space = f"{'only ' if low else ''}{free} free"
    if chosen.relocated:
        details |= {"reason": chosen.reason, "reason_code": chosen.code, "refused": chosen.refused}
        reasons = f"{chosen.reason}; {chosen.refused}" if chosen.refused else chosen.reason
        message = f"{reasons}; events are buffered in {chosen.path} ({space}) and may be lost on reboot"
        requested = str(chosen.requested) if chosen.requested else None
        by_mistake = uid == 0 and unit is None and chosen.code == UNSAFE_DIRECTORY
        owner = owner_of(requested) if by_mistake else None
        if owner:  # a chown would take the directory away from the service: it is this user that is wrong
            return wrong_user(requested, owner, details)
        steps = fix(chosen.code, requested, uid=uid, unit=unit, settings=settings)
        headline = f"temporary directory: {chosen.path}"
        return outcome("buffer.relocated", message, hint=steps, details=details, headline=headline)
    if low:
        path = str(chosen.path)
        step = Step("Free space on its disk", shell.free_space(path))
        if few_files:
            details["free_files"] = room.files
            step = Step("Remove files from its file system. See what is used up", shell.all_room(path))
        return outcome("buffer.low_space", f"{chosen.path} has {space}", hint=step, details=details)
    return outcome("buffer.ok", f"{chosen.path} is writable ({space})", details=details)


def fix(
    code: str, path: str | None, *, uid: int | None, unit: ServiceUnit | None, settings: Settings
) -> tuple[Step, ...]:
    """What makes `path` (None: there is no home directory) usable for `uid`, by what is wrong with it."""
    if code == "buffer.disk_full":
        seen = shell.all_room(path or "", uid)
        return (Step("Free space, inodes, or quota on its file system", seen),)
    if code == "buffer.corrupt":
        return (
            Step("Check the kernel's log for disk errors", shell.disk_errors(path or "")),
            Step(
                by_system(
                    "Check its file system with fsck, unmounted",
                    "Check its file system with Disk Utility",
                    "Check its file system with chkdsk",
                )
            ),
        )
    if code == "buffer.locked":
        return (
            Step("Find the process that holds it", shell.holders(path or "")),
            Step("If it is on a network mount, put Z4J_HOME on a local disk"),
        )
    if unit is not None:
        return unit_hints.give_directory(unit, path)
    elsewhere, home_is_set = _another_place(settings, uid), settings.home is not None
    if path is None or _is_out_of_reach(path) or not (home_is_set or os.path.isdir(os.path.dirname(path))):
        return elsewhere
    if code == "buffer.read_only":
        return (Step(f"Mount a writable volume at {path}, or set Z4J_HOME to a directory on one"),)
    if code == "buffer.not_a_directory":
        found = _file_in_path(path)
        what = "a file" if os.path.exists(found) else "a dangling symbolic link"
        return (Step(f"Set Z4J_HOME to a directory: {found} is {what}"),)
    if os.path.isdir(path):
        return _own(path, uid) if _may_be_taken(path, uid, home_is_set=home_is_set) else elsewhere
    return (
        Step("Create it", shell.make_private(path, uid)),
        Step(f"If that fails, set Z4J_HOME to a directory that {_called(uid)} can write"),
    )


def _another_place(settings: Settings, uid: int | None) -> tuple[Step, ...]:
    """A directory for the buffer, and how it is set, by where the settings come from."""
    place = by_system("/var/lib/z4j", "/usr/local/var/z4j", r"C:\ProgramData\z4j")
    made = Step("Create a directory for the buffer", shell.make_private(place, uid))
    if settings.environ.get("KUBERNETES_SERVICE_HOST"):
        made = Step(f"Mount a writable volume at {place} (an emptyDir survives a restart of the container)")
    env_file = next((s.env_file for s in settings.sources.values() if s.env_file is not None), None)
    home = settings.sources.get("home")
    if env_file is not None and (home is None or home.kind is not Kind.ARGUMENT):
        return made, Step(f"Then add Z4J_HOME={place} to {env_file}")
    return made, *set_value(settings, "home", place, "Then set it")


def _is_out_of_reach(path: str) -> bool:
    """Whether a directory above it is closed to this user, as root's home is: nothing made below helps."""
    for part in reversed(Path(path).parents):
        if not os.path.lexists(part):
            return False
        if not os.access(part, os.X_OK):
            return os.path.isdir(part)
    return False


def _may_be_taken(path: str, uid: int | None, *, home_is_set: bool) -> bool:
    """Whether a chown would take the directory from no one: in another user's home it may be in use."""
    owner = os.stat(path).st_uid
    return (
        uid is None
        or owner == uid
        or os.stat(os.path.dirname(path)).st_uid == uid
        or (home_is_set and owner == 0)
    )


def _give_back(own: str, uid: int | None) -> tuple[Step, ...]:
    """What makes the service's own directory, in a state directory that is in order, its own again."""
    if os.path.islink(own) or not os.path.isdir(own):
        move = shell.move(own, f"{own}.old")
        return (Step("Move it: the agent creates a directory with that name", move),)
    if uid is not None and os.stat(own).st_uid == uid and os.access(own, os.W_OK):  # chmod was tried
        return (
            Step("Check its file system, which does not keep modes", shell.mount_of(own)),
            Step("Set Z4J_HOME to a directory on another one"),
        )
    return _own(own, uid)


def _called(uid: int | None) -> str:
    return "this user" if uid is None else f"uid {uid}"


def _own(path: str, uid: int | None) -> tuple[Step, ...]:
    text = by_system("Change the owner", "Change the owner", "Take other users' rights away")
    return (Step(text, shell.take_over(path, uid)),)


def _file_in_path(path: str) -> str:
    """The part of the path that exists and is not a directory."""
    for part in (path, *map(str, Path(path).parents)):
        if os.path.lexists(part):
            return part
    return path


def _own_directory(settings: Settings, directory: Path) -> Path:
    return directory / identity(settings.brain_url or "", settings.project_id, settings.agent_name)


def _prove(directory: Path, own: Path, *, proven: bool) -> Room:
    if not proven:
        # what an agent would do, but that a doctor leaves no directory where there was none
        proof(private_directory(directory, own.name) if os.path.lexists(own) else directory)
    return free_space(directory)


def _found_damaged(
    path: Path, start: bytes, *, uid: int | None, unit: ServiceUnit | None, settings: Settings
) -> ProbeResult:
    check = fix("buffer.corrupt", str(path.parent), uid=uid, unit=unit, settings=settings)
    return outcome(
        "buffer.corrupt",
        f"{path} is no longer a valid SQLite database (it begins with {start[:4].hex(' ')})",
        hint=(*check, Step("Restart the agent: it sets the file aside, and creates a new one")),
        details={
            "directory": str(path.parent),
            "buffer": str(path),
            "begins_with": start.hex(" "),
            "uid": uid,
        },
    )
