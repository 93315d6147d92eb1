"""`doctor --unit`: a systemd service to act as, also one that does not run, and what systemd says of it.

A running one is its main process, or another one of its processes where only that has the settings. Of one
that does not run, systemd starts a copy that only waits (see `unit_copy`). The directories that systemd would
create for it are made in mounts of the child's own, so that nothing on this machine changes.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import takewhile

from z4j_fastapi.as_service import control_group, finding, mounts
from z4j_fastapi.as_service import syscalls as linux
from z4j_fastapi.as_service.child import Service, act_as
from z4j_fastapi.as_service.errors import CannotActAs
from z4j_fastapi.as_service.process import find_process, require_root
from z4j_fastapi.as_service.restrictions import limits_of_connections, restricted
from z4j_fastapi.as_service.systemctl import Unit, files_of, find, journal_of, matching, user_name, words
from z4j_fastapi.as_service.target import Target, remarks_on
from z4j_fastapi.as_service.unit_copy import Copy, copy_of
from z4j_probes.env_file import parse_envfile, parse_environment_file
from z4j_probes.read_file import BUDGET_S, read_small_file
from z4j_probes.result import ProbeResult
from z4j_probes.systemd_unit import ServiceUnit
from z4j_probes.variables import has_required

# What each kind of directory is below, and the variable that has their paths (systemd.exec(5)).
_DIRECTORIES = {
    "StateDirectory": ("/var/lib", "STATE_DIRECTORY"),
    "CacheDirectory": ("/var/cache", "CACHE_DIRECTORY"),
    "LogsDirectory": ("/var/log", "LOGS_DIRECTORY"),
    "RuntimeDirectory": ("/run", "RUNTIME_DIRECTORY"),
}
_CREDENTIALS = "/run/credentials"
# systemd reads larger ones; an environment does not hold them.
_LARGEST_BYTES = 1024 * 1024
_EXECUTABLE = re.compile(r"path=(.*?) ;")
_ARGUMENTS = re.compile(r" argv\[\]=(.*?) ; ignore_errors=")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*")
_LOADED = re.compile(r"LoadCredential(?:Encrypted)?\s*=\s*[^:]+:(/.*)")
_CREDENTIAL = re.compile(r"^\s*LoadCredential\s*=\s*([^:\s]+):(/[^%\s]*)\s*$", re.MULTILINE)
_LOOK_S = 5.0


@contextmanager
def unit_to_act_as(name: str) -> Iterator[Target]:
    """What that unit's process has or would have, as long as the context lasts.

    NotAService where systemd knows none, CannotActAs where the doctor can't find out.
    """
    require_root("--unit")
    unit = find(name)
    if finding.is_refused(unit):
        journal = journal_of(unit.get("Id"), unit.manager)
        yield Target(None, finding.cannot_start(unit, finding.refusal(unit, journal), journal=journal))
        return
    service = _running(unit)
    if service is not None:
        yield _of_running(unit, service)
    elif unit.manager is not None:
        raise CannotActAs(
            f"--unit {name}: a unit of the user {user_name(unit.manager)}, which "
            f"{finding.state(unit)}: start it first, or run the doctor as that user"
        )
    else:
        yield from _of_stopped(unit)


def _running(unit: Unit) -> Service | None:
    """The process of a running unit that has the settings, its main one where none or all have them."""
    main = int(unit.get("MainPID") or 0)
    found = find_process(main) if main else None
    if found is not None and has_required(found.environ):
        return found
    others = control_group.processes(unit.get("ControlGroup")) if unit.get("ControlGroup") else ()
    for pid in others:
        other = find_process(pid) if pid != main else None
        if other is None:
            continue
        if has_required(other.environ):
            return other
        found = found or other
    return found


def _of_running(unit: Unit, service: Service) -> Target:
    row = finding.running(unit, service.pid)
    now = {name: value for name, value in _values(unit).items() if name.startswith("Z4J_")}
    old = sorted(name for name, value in now.items() if service.environ.get(name) != value)
    if row.code == "unit.ok" and old and _changed_since_start(unit):
        row = finding.outdated(unit, old, service.pid)
    return _target(unit, replace(service, name=f"unit {unit.name}", unit=_facts(unit)), row)


def _of_stopped(unit: Unit) -> Iterator[Target]:
    reason = _unreadable(unit)
    if reason:
        yield Target(None, finding.cannot_start(unit, reason))
        return
    files = files_of(unit)
    with copy_of(unit, files) as copy:
        if find_process(copy.pid) is None:
            yield Target(None, finding.cannot_start(unit, _reason(unit, copy, files), journal=copy.journal))
            return
        problem = _not_executable(unit, _as_the_unit(unit, copy))
        if problem:
            yield Target(None, finding.cannot_start(unit, f"203/EXEC: {problem}"))
        else:
            yield _target(unit, _as_the_unit(unit, copy), finding.not_running(unit), _not_copied(unit))


def _not_copied(unit: Unit) -> list[str]:
    return [f"PAMName={unit.get('PAMName')}"] if unit.get("PAMName") else []


def _target(unit: Unit, service: Service, row: ProbeResult, not_copied: Sequence[str] = ()) -> Target:
    service, left_out, decisive = restricted(service, unit)
    left_out = [*not_copied, *left_out]
    if decisive:
        row = finding.not_taken_over(row, decisive)
    limits = limits_of_connections(unit)
    remarks = (f"{service.name} limits its connections: {', '.join(limits)}",) if limits else ()
    return Target(service, row, (*remarks, *remarks_on(service.name, left_out)))


def _reason(unit: Unit, copy: Copy, files: str) -> str:
    """Why systemd could not start the copy. CannotActAs where it was the copy's own fault."""
    status, result = copy.unit.get("ExecMainStatus"), copy.unit.get("Result")
    is_its_own = (result, status) == ("exit-code", "203") or result in ("signal", "core-dump", "success")
    if is_its_own and "no" not in (copy.unit.get("ConditionResult"), copy.unit.get("AssertResult")):
        raise CannotActAs(
            f"--unit {unit.name} {finding.state(unit)}, and can't be tried out: /bin/sleep, with which the "
            "doctor does that, does not run in its sandbox. Start it, and use --pid"
        )
    if (result, status) == ("exit-code", "243"):
        missing = [path for path in _LOADED.findall(files) if "%" not in path and not os.path.exists(path)]
        if missing:
            return f"243/CREDENTIALS: {missing[0]} is not there"
    return finding.reason_of(unit, copy.unit, copy.journal)


def _as_the_unit(unit: Unit, copy: Copy) -> Service:
    """The copy's process, with what the unit's own name and directories make different."""
    service = find_process(copy.pid)
    if service is None:
        raise CannotActAs(f"--unit {unit.name}: the copy that systemd started of it has ended")
    name = unit.get("Id").removesuffix(".service")
    environ = {key: value.replace(copy.name, name) for key, value in service.environ.items()}
    directories = {
        kind: [f"{base}/{entry.partition(':')[0]}" for entry in unit.words(kind)]
        for kind, (base, _) in _DIRECTORIES.items()
    }
    environ |= _assigned_by_env(unit)
    for kind, paths in directories.items():
        if paths:
            environ[_DIRECTORIES[kind][1]] = ":".join(paths)
    credentials = service.environ.get("CREDENTIALS_DIRECTORY")
    uid, gid = service.uid, service.gid

    def prepare() -> None:
        if credentials or any(directories.values()):
            linux.unshare_mounts()
        for path in (path for paths in directories.values() for path in paths):
            mounts.give_directory(path, uid, gid)
        if credentials:
            mounts.show_at(credentials, f"{_CREDENTIALS}/{unit.get('Id')}")

    return replace(
        service,
        name=f"unit {unit.name}",
        unit=_facts(unit),
        environ=environ,
        prepare=prepare,
    )


def _not_executable(unit: Unit, service: Service) -> str:
    """What keeps the service from executing its program; empty where nothing does."""
    found = _EXECUTABLE.search(unit.get("ExecStart"))
    if found is None:
        return ""
    look = partial(_look_at_program, found[1], service.environ.get("PATH", os.defpath))
    return str(act_as(service, look, budget_s=_LOOK_S)["problem"])


def _look_at_program(path: str, search: str) -> Mapping[str, str]:
    places = [path] if path.startswith("/") else [os.path.join(place, path) for place in search.split(":")]
    there = [place for place in places if os.path.exists(place)]
    if not there:
        return {"problem": f"{path} is not there, or out of reach"}
    if not any(os.access(place, os.X_OK) and os.path.isfile(place) for place in there):
        return {"problem": f"{there[0]} is not executable for its user"}
    return {"problem": _missing_interpreter(there[0])}


def _missing_interpreter(path: str) -> str:
    """As of a script of a virtual environment that was moved."""
    try:
        with open(path, "rb") as file:
            line = file.readline(256)
    except OSError:  # executable, but not readable
        return ""
    interpreter = line[2:].split()[:1] if line.startswith(b"#!") else []
    if not interpreter or os.path.exists(interpreter[0]):
        return ""
    return f"{path} needs {os.fsdecode(interpreter[0])}, which is not there"


def _unreadable(unit: Unit) -> str:
    """What is the matter with its environment files; systemd reads them itself, and says less.

    One that does not answer would hang systemd too, so it is not asked to.
    """
    for path, may_be_missing in unit.environment_files:
        found = [file for file in matching(path) if os.path.exists(file)]
        if not found and not may_be_missing:
            return f"EnvironmentFile={path} is not there"
        for file in found:
            try:
                read_small_file(file, limit_bytes=_LARGEST_BYTES)
            except TimeoutError:
                return f"EnvironmentFile={file} does not answer within {BUDGET_S:.0f} s"
            except (OSError, ValueError) as exc:
                if not may_be_missing:
                    return f"EnvironmentFile={file} can't be read: {exc}"
    return ""


def _facts(unit: Unit) -> ServiceUnit:
    """What hints need to know of it."""
    origins = {name: file for file, values in _environment_files(unit) for name in values}
    text = files_of(unit)
    return ServiceUnit(
        unit.get("Id"),
        is_user=unit.manager is not None,
        environment_files={name: file for name, file in origins.items() if name.startswith("Z4J_")},
        credentials=dict(_CREDENTIAL.findall(text)),
        state_directories=tuple(f"/var/lib/{name}" for name in unit.words("StateDirectory")),
        passed_over=_passed_over(unit),
    )


def _passed_over(unit: Unit) -> dict[str, str]:
    """The variables that an environment file means to set, and that systemd does not read there."""
    return {
        name: file
        for file, text in _texts_of_environment(unit)
        for name in parse_envfile(text).keys() - parse_environment_file(text).keys()
    }


def _values(unit: Unit) -> dict[str, str]:
    """What the unit's files give the next process, of Environment=, EnvironmentFile= and an env(1)."""
    pairs = (entry.partition("=") for entry in words(unit.get("Environment")))
    given = {name: value for name, _, value in pairs if not _is_unset(unit, name, value)}
    for _, values in _environment_files(unit):
        given |= values
    return given | _assigned_by_env(unit)


def _is_unset(unit: Unit, name: str, value: str) -> bool:
    """Whether UnsetEnvironment= takes it away: by its name, or with that value."""
    unset = unit.words("UnsetEnvironment")
    return name in unset or f"{name}={value}" in unset


def _assigned_by_env(unit: Unit) -> dict[str, str]:
    """The variables of an ExecStart=/usr/bin/env NAME=VALUE PROGRAM, which the process gets on top."""
    found = _ARGUMENTS.search(unit.get("ExecStart"))
    program, *arguments = found[1].split() if found and found[1].strip() else [""]
    if os.path.basename(program) != "env":
        return {}
    assignments = takewhile(_ASSIGNMENT.fullmatch, arguments)
    return {name: value for name, _, value in (word.partition("=") for word in assignments)}


def _changed_since_start(unit: Unit) -> bool:
    """Whether a file of the unit is younger than its process, which else has set the value itself.

    A wrapper does that, whose program has another environment in the end.
    """
    started_us = int(unit.get("ExecMainStartTimestampMonotonic") or 0)
    if not started_us:
        return True
    started_at = time.time() - (time.monotonic() - started_us / 1e6)
    paths = [unit.get("FragmentPath"), *unit.words("DropInPaths")]
    paths += [file for path, _ in unit.environment_files for file in matching(path)]
    for path in filter(None, paths):
        with contextlib.suppress(OSError):
            found = os.stat(path)
            if max(found.st_mtime, found.st_ctime) > started_at:
                return True
    return False


def _environment_files(unit: Unit) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The environment files that can be read, in systemd's order: a later one beats an earlier one."""
    for file, text in _texts_of_environment(unit):
        values = parse_environment_file(text)
        yield file, {n: v for n, v in values.items() if not _is_unset(unit, n, v)}


def _texts_of_environment(unit: Unit) -> Iterator[tuple[str, str]]:
    for path, _ in unit.environment_files:
        for file in matching(path):
            with contextlib.suppress(OSError, ValueError):
                yield file, read_small_file(file, limit_bytes=_LARGEST_BYTES).decode()
