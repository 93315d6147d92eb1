"""`doctor --unit`: a systemd service to stand in for, also one that failed to start.

A running one is its main process. Of another one systemd tells what it would give it: user, groups,
environment, directories, credentials (systemd.exec(5)). What it would make at the start is made in mounts of
the child's own, so that nothing on this machine changes.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass

from z4j_fastapi.as_service import mounts
from z4j_fastapi.as_service import syscalls as linux
from z4j_fastapi.as_service.child import Service
from z4j_fastapi.as_service.errors import CannotActAs
from z4j_fastapi.as_service.process import find_process, require_root
from z4j_fastapi.as_service.systemctl import Unit, credential_files, manager_environment, matching, show
from z4j_probes.env_file import parse_environment_file
from z4j_probes.read_file import BUDGET_S, read_small_file

# The users that systemd hands out for DynamicUser= (systemd's documentation of user ranges).
_DYNAMIC_UIDS = range(61184, 65520)
_STATES = "/var/lib"
# What systemd takes as a credential (CA bundles among them).
_LARGEST_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _User:
    uid: int
    gid: int
    name: str = ""
    home: str = ""
    shell: str = ""


def service_of_unit(name: str) -> Service:
    """What that unit's process has or would have.

    NotAService where systemd knows none, CannotActAs where systemd could not start it either.
    """
    require_root("--unit")
    unit = show(name)
    pid = int(unit.get("MainPID") or 0)
    running = find_process(pid) if pid else None  # it may have ended since systemd was asked
    return running or _would_be(unit)


def _would_be(unit: Unit) -> Service:
    is_dynamic = unit.get("DynamicUser") == "yes"
    states = [f"{_STATES}/{name}" for name in unit.words("StateDirectory")]
    user = _user(unit, states)
    credentials = {name: _credential(unit, path) for name, path in credential_files(unit.name).items()}
    kept = f"/run/credentials/{unit.get('Id') or unit.name}"
    hidden = ["/tmp", "/var/tmp"] if is_dynamic or unit.get("PrivateTmp") not in ("", "no") else []  # noqa: S108

    def prepare() -> None:
        if hidden or states or credentials:
            linux.unshare_mounts()
        for path in hidden:
            mounts.hide(path)
        for path in states:
            mounts.give_state(path, user.uid, user.gid, is_dynamic=is_dynamic)
        if credentials:
            mounts.give_credentials(kept, credentials, user.uid, user.gid)

    environ = _environ(unit, user, states)
    return Service(
        name=f"unit {unit.name}",
        uid=user.uid,
        gid=user.gid,
        groups=_groups(unit, user),
        environ=environ | {"CREDENTIALS_DIRECTORY": kept} if credentials else environ,
        directory=_directory(unit, user),
        unit=unit.get("Id") or unit.name,
        capabilities=0 if user.uid else linux.ALL_CAPABILITIES,
        prepare=prepare,
    )


def _user(unit: Unit, states: list[str]) -> _User:
    name, is_dynamic = unit.get("User"), unit.get("DynamicUser") == "yes"
    try:
        # no name: it is root, and has none of a login's variables
        entry = pwd.getpwuid(int(name or "0")) if name.isdigit() or not name else pwd.getpwnam(name)
        user = _User(entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir, entry.pw_shell)
    except KeyError:
        if not is_dynamic and not name.isdigit():
            raise CannotActAs(
                f"--unit {unit.name}: its User={name} does not exist: that is why it fails to start"
            ) from None
        uid = int(name) if name.isdigit() else _dynamic_uid(states)
        user = _User(uid, uid, name)
    if is_dynamic and not name:
        uid = _dynamic_uid(states)
        user = _User(uid, uid)
    group = unit.get("Group")
    return _User(user.uid, _group(unit, group, user.gid), user.name, user.home, user.shell) if group else user


def _dynamic_uid(states: list[str]) -> int:
    """The one that the last start got, as systemd prefers it too."""
    for path in states:
        if os.path.isdir(path) and os.stat(path).st_uid in _DYNAMIC_UIDS:
            return os.stat(path).st_uid
    return _DYNAMIC_UIDS[0]


def _groups(unit: Unit, user: _User) -> tuple[int, ...]:
    groups = [_group(unit, name, user.gid) for name in unit.words("SupplementaryGroups")]
    if unit.get("User") and user.home:  # an entry of the system's
        groups += os.getgrouplist(user.name, user.gid)
    return tuple(dict.fromkeys(groups))


def _group(unit: Unit, name: str, dynamic_gid: int) -> int:
    try:
        return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid
    except KeyError:
        if unit.get("DynamicUser") == "yes" and name == unit.get("Group"):
            return dynamic_gid
        raise CannotActAs(f"--unit {unit.name} can't start: its group {name} does not exist") from None


def _environ(unit: Unit, user: _User, states: list[str]) -> dict[str, str]:
    environ = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    environ |= manager_environment()
    if unit.get("User"):
        login = {"USER": user.name, "LOGNAME": user.name, "HOME": user.home, "SHELL": user.shell}
        environ |= {name: value for name, value in login.items() if value}
    if states:
        environ["STATE_DIRECTORY"] = ":".join(states)
    environ |= _assignments(unit.words("Environment"))
    for path, may_be_missing in unit.environment_files:
        found = [file for file in matching(path) if os.path.exists(file) or not may_be_missing]
        if not found and not may_be_missing:
            raise CannotActAs(f"--unit {unit.name}: its EnvironmentFile={path} matches no file")
        for file in found:
            environ |= _environment_file(unit, file)
    for entry in unit.words("UnsetEnvironment"):
        name, assigns, value = entry.partition("=")
        if not assigns or environ.get(name) == value:
            environ.pop(name, None)
    return environ


def _assignments(entries: list[str]) -> Mapping[str, str]:
    pairs = (entry.partition("=") for entry in entries)
    return {name: value for name, _, value in pairs}


def _environment_file(unit: Unit, path: str) -> Mapping[str, str]:
    try:
        return parse_environment_file(read_small_file(path, limit_bytes=_LARGEST_BYTES).decode())
    except UnicodeDecodeError:
        raise CannotActAs(f"--unit {unit.name}: its EnvironmentFile={path} is not UTF-8 text") from None
    except (OSError, ValueError) as exc:
        raise CannotActAs(
            f"--unit {unit.name}: its EnvironmentFile={path} can't be read: {_reason(exc)}"
        ) from exc


def _credential(unit: Unit, path: str) -> bytes:
    try:
        return read_small_file(path, limit_bytes=_LARGEST_BYTES)
    except (OSError, ValueError) as exc:
        raise CannotActAs(
            f"--unit {unit.name}: the file of its LoadCredential= can't be read: {path}: {_reason(exc)}"
        ) from exc


def _reason(exc: OSError | ValueError) -> str:
    if isinstance(exc, TimeoutError):
        return f"it did not answer in {BUDGET_S:.0f} s"
    return (exc.strerror if isinstance(exc, OSError) else "") or str(exc)


def _directory(unit: Unit, user: _User) -> str:
    """WorkingDirectory=, where `!` before it tells systemd to go on without."""
    value = unit.get("WorkingDirectory")
    path = value.lstrip("!-")
    path = (user.home if path == "~" else path) or "/"
    if os.path.isdir(path):
        return path
    if value == path:
        raise CannotActAs(
            f"--unit {unit.name}: its WorkingDirectory={path} does not exist: that is why it fails to start"
        )
    return "/"
