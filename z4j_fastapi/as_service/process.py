"""`doctor --pid`: a running process as a service to stand in for, as proc(5) shows it."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from z4j_fastapi.as_service import finding
from z4j_fastapi.as_service.child import Service, World
from z4j_fastapi.as_service.control_group import path_in
from z4j_fastapi.as_service.errors import CannotActAs, NotAService
from z4j_fastapi.as_service.restrictions import restricted
from z4j_fastapi.as_service.systemctl import Unit, show
from z4j_fastapi.as_service.target import Target, remarks_on
from z4j_probes.systemd_unit import ServiceUnit, is_of_user, unit_in
from z4j_probes.variables import has_required

# The mount namespace last: after it, what is reached by a path is the service's.
_NAMESPACES = ("uts", "ipc", "net", "mnt")
_UNMAPPED = 65534  # what the kernel shows for an id that a user namespace has no name for
# Of files that are open, and of their size: what the buffer and connections can run into.
_LIMITS = {"Max open files": resource.RLIMIT_NOFILE, "Max file size": resource.RLIMIT_FSIZE}
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def process_to_act_as(pid: int) -> Target:
    """What that process has. NotAService where there is none, CannotActAs where it can't be looked at."""
    require_root("--pid")
    service = find_process(pid)
    if service is None:
        raise NotAService(f"--pid {pid}: there is no such process")
    unit = _unit_of(service)
    service, left_out, decisive = restricted(service, unit)
    row = finding.not_taken_over(finding.running(unit, pid), decisive) if decisive and unit else None
    return Target(service, row, remarks_on(service.name, left_out))


def _unit(process: int, environ: Mapping[str, str]) -> ServiceUnit | None:
    cgroup = _read(process, "cgroup").decode(errors="replace")
    name = unit_in(cgroup)
    directories = tuple(filter(None, environ.get("STATE_DIRECTORY", "").split(":")))
    return ServiceUnit(name, is_of_user(cgroup), state_directories=directories) if name else None


def _unit_of(service: Service) -> Unit | None:
    """What systemd says of the unit that the process is of, where there is a systemd."""
    if service.unit is None or service.unit.is_user:
        return None
    try:
        return show(service.unit.name)
    except CannotActAs:
        return None


def settings_elsewhere(service: Service) -> str:
    """Where the settings may be, if they are not in the service's environment; else empty."""
    if has_required(service.environ):
        return ""
    found = f"{service.name} was started without all of its settings (brain URL, token, and secret)"
    for pid in _below(service.pid):
        child = find_process(pid)
        if child is not None and has_required(child.environ):
            return f"{found}: process {pid}, which it started, has them: --pid {pid}"
    file = f"/proc/{service.pid}/cwd/.env"
    if service.pid and os.path.lexists(file):
        path = os.path.join(os.readlink(f"/proc/{service.pid}/cwd"), ".env")
        return f"{found}, and may read them from {path}: --env-file {path}"
    return (
        f"{found}. What a program sets for itself later (from a .env file, say) can't be seen from outside: "
        "name that file with --env-file"
    )


def _below(pid: int) -> Iterator[int]:
    """The processes that it started, and those that they did (proc(5))."""
    try:
        children = [
            int(child)
            for thread in os.listdir(f"/proc/{pid}/task")
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split()
        ]
    except OSError:
        return
    for child in children:
        yield child
        yield from _below(child)


def family_of(pid: int) -> set[int]:
    """The numbers that this process, and what it started, have where they live: in a container others."""
    found = set()
    for member in (pid, *_below(pid)):
        with contextlib.suppress(OSError):
            status = _fields(Path(f"/proc/{member}/status").read_text(errors="replace"))
            found.add(int(status.get("NSpid", str(member)).split()[-1]))
    return found


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


def limits_in(text: str) -> dict[int, tuple[int, int]]:
    """The soft and hard limits that /proc/PID/limits shows, by their numbers."""
    found = {}
    for line in text.splitlines():
        number = _LIMITS.get(line[:26].strip())
        if number is not None:
            soft, hard = line[26:].split()[:2]
            found[number] = (_limit(soft), _limit(hard))
    return found


def _limit(word: str) -> int:
    return resource.RLIM_INFINITY if word == "unlimited" else int(word)


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
        pid=pid,
        control_group=_control_group(process),
        is_filtered=status.get("Seccomp") == "2",
        capabilities=int(status["CapEff"], 16),
        umask=int(status.get("Umask", "022"), 8),
        limits=limits_in(_read(process, "limits").decode()),
        unit=_unit(process, environ) if world.user is None else None,
        world=world,
    )


def _control_group(process: int) -> str | None:
    path = path_in(_read(process, "cgroup").decode(errors="replace"))
    return None if path == path_in(Path("/proc/self/cgroup").read_text("utf-8")) else path


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
