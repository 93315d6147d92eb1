"""`doctor --pid`: a running process as a service to stand in for, as proc(5) shows it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from z4j_fastapi.as_service.child import Service, World
from z4j_fastapi.as_service.errors import CannotActAs, NotAService
from z4j_probes.systemd_unit import unit_in

# The mount namespace last: after it, what is reached by a path is the service's.
_NAMESPACES = ("uts", "ipc", "net", "mnt")
_UNMAPPED = 65534  # what the kernel shows for an id that a user namespace has no name for
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def service_of_process(pid: int) -> Service:
    """What that process has. NotAService where there is none, CannotActAs where it can't be looked at."""
    require_root("--pid")
    service = find_process(pid)
    if service is None:
        raise NotAService(f"--pid {pid}: there is no such process")
    return service


def find_process(pid: int) -> Service | None:
    """What that process has; None where there is none of that number any more."""
    try:
        # whatever is read below it is of this one process: a number may be given to another one any moment
        process = os.open(f"/proc/{pid}", _DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        return _examine(pid, process)
    except (FileNotFoundError, ProcessLookupError):
        return None
    except OSError as exc:
        raise CannotActAs(f"--pid {pid}: {exc.filename} can't be read: {exc.strerror}") from exc
    finally:
        os.close(process)


def require_root(option: str) -> None:
    """CannotActAs where this machine or this user can't do it."""
    if sys.platform != "linux":
        raise CannotActAs(f"{option} needs Linux: it reads /proc and enters namespaces")
    if os.geteuid() != 0:
        command = f"sudo {sys.executable} -m z4j_fastapi doctor {option} …"
        raise CannotActAs(f"{option} needs root, to become the service's user: {command}")


def inner_id(id_map: str, outer: int) -> int:
    """An id of ours as a user namespace names it, by its uid_map or gid_map (user_namespaces(7))."""
    for line in id_map.splitlines():
        inside, outside, count = map(int, line.split())
        if outside <= outer < outside + count:
            return inside + outer - outside
    return _UNMAPPED


def _examine(pid: int, process: int) -> Service:
    status = _fields(_read(process, "status").decode(errors="replace"))
    environ = _environ(_read(process, "environ"))
    world = _world(process)
    uid, gid = (int(status[name].split()[1]) for name in ("Uid", "Gid"))
    if world.user is not None:
        uid = inner_id(_read(process, "uid_map").decode(), uid)
        gid = inner_id(_read(process, "gid_map").decode(), gid)
    return Service(
        name=f"pid {pid}",
        uid=uid,
        gid=gid,
        groups=tuple(map(int, status.get("Groups", "").split())),
        environ=environ,
        capabilities=int(status["CapEff"], 16),
        unit=unit_in(_read(process, "cgroup").decode(errors="replace")) if world.user is None else None,
        world=world,
    )


def _world(process: int) -> World:
    foreign = {name: _foreign_namespace(process, name) for name in ("user", "pid", *_NAMESPACES)}
    ours, theirs = os.stat("/"), os.stat("root", dir_fd=process)
    place = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC  # to go there needs no right to list what is in it
    elsewhere = (ours.st_dev, ours.st_ino) != (theirs.st_dev, theirs.st_ino)
    return World(
        pids=foreign["pid"],
        namespaces=tuple(found for name in _NAMESPACES if (found := foreign[name]) is not None),
        user=foreign["user"],
        root=os.open("root", place, dir_fd=process) if elsewhere else None,
        directory=os.open("cwd", place, dir_fd=process),
        is_foreign=elsewhere or foreign["mnt"] is not None,
    )


def _foreign_namespace(process: int, name: str) -> int | None:
    """An open descriptor of its namespace of that kind, unless it is ours."""
    try:
        theirs = os.readlink(f"ns/{name}", dir_fd=process)
        if theirs == os.readlink(f"/proc/self/ns/{name}"):
            return None
        return os.open(f"ns/{name}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
    except FileNotFoundError:
        if name in ("mnt", "net"):
            raise  # the process is gone
        return None  # a kernel without that kind


def _read(process: int, name: str) -> bytes:
    with open(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=process), "rb") as file:
        return file.read()


def _fields(text: str) -> Mapping[str, str]:
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in pairs}


def _environ(data: bytes) -> dict[str, str]:
    pairs = (entry.partition(b"=") for entry in data.split(b"\0") if entry)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
