"""`doctor --unit`: a systemd service to stand in for, also one that failed to start.

A running one is its main process. Of another one systemd tells what it would give it: user, groups,
environment, directories (systemd.exec(5)). PrivateTmp= and a StateDirectory= that systemd would hand over at
the start are made in mounts of the child's own, so that nothing on this machine changes.
"""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from z4j_fastapi.cli.output import usage_error
from z4j_fastapi.cli.pid import require_root, service_of_process
from z4j_fastapi.cli.stand_in import Service, mount_tmpfs, unshare_mounts
from z4j_probes.envfile import parse_envfile

PROPERTIES = (
    "LoadState",
    "MainPID",
    "User",
    "Group",
    "SupplementaryGroups",
    "DynamicUser",
    "Environment",
    "EnvironmentFiles",
    "StateDirectory",
    "PrivateTmp",
    "WorkingDirectory",
)
# The first user that systemd hands out for DynamicUser= (systemd's documentation of user ranges).
_DYNAMIC_UID = 61184
_SYSTEMCTL_S = 10.0


@dataclass(slots=True)
class _Unit:
    name: str
    properties: dict[str, str] = field(default_factory=dict)
    environment_files: list[str] = field(default_factory=list)

    def is_on(self, name: str) -> bool:
        return self.properties.get(name) == "yes"


def service_of_unit(name: str) -> Service:
    """What that unit's process has or would have. Ends with a usage error where systemd knows none."""
    require_root("--unit")
    unit = _read(name)
    pid = int(unit.properties.get("MainPID") or 0)
    return service_of_process(pid) if pid else _would_be(unit)


def _read(name: str) -> _Unit:
    command = ["systemctl", "show", "--no-pager", f"--property={','.join(PROPERTIES)}", "--", name]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program, and the name stands after `--`
            command, capture_output=True, text=True, timeout=_SYSTEMCTL_S, check=False
        )
    except FileNotFoundError:
        usage_error("--unit needs systemd: there is no systemctl on this machine (--pid takes any process)")
    except subprocess.TimeoutExpired:
        usage_error(f"--unit {name}: systemctl did not answer within {_SYSTEMCTL_S:.0f} s")
    if done.returncode != 0:
        usage_error(f"--unit {name}: systemctl says: {done.stderr.strip() or done.returncode}")
    unit = _Unit(name)
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        if key == "EnvironmentFiles":  # one line a file, with how a missing one is taken in brackets
            path, _, manner = value.rpartition(" (")
            if "ignore_errors=yes" not in manner or os.path.exists(path):
                unit.environment_files.append(path or value)
        else:
            unit.properties[key] = value
    if unit.properties.get("LoadState") == "not-found":
        usage_error(f"--unit {name}: systemd has no unit of that name")
    return unit


def _would_be(unit: _Unit) -> Service:
    properties = unit.properties
    uid, gid, home = _user(unit)
    groups = [_group(unit, name) for name in properties.get("SupplementaryGroups", "").split()]
    if properties.get("User"):
        groups += os.getgrouplist(properties["User"], gid) if home else []
    states = [f"/var/lib/{name}" for name in properties.get("StateDirectory", "").split()]

    def prepare() -> None:
        hidden = ["/tmp", "/var/tmp"] if unit.is_on("PrivateTmp") or unit.is_on("DynamicUser") else []  # noqa: S108
        given = [path for path in states if os.path.isdir(path)]
        if hidden or given:
            unshare_mounts()
        for path in hidden:
            mount_tmpfs(path, "mode=1777")
        for path in given:
            if os.stat(path).st_uid != uid:  # at a start systemd makes it the service's own
                mount_tmpfs(path, f"mode=0755,uid={uid},gid={gid}")

    return Service(
        name=f"unit {unit.name}",
        uid=uid,
        gid=gid,
        groups=tuple(dict.fromkeys(groups)),
        environ=_environ(unit, home, states),
        directory=_directory(properties.get("WorkingDirectory", ""), home),
        capabilities=0 if uid else 2**64 - 1,
        prepare=prepare,
    )


def _user(unit: _Unit) -> tuple[int, int, str]:
    name = unit.properties.get("User", "")
    if not name:
        uid = _DYNAMIC_UID if unit.is_on("DynamicUser") else 0
        entry_gid, home = uid, "" if uid else "/root"
    else:
        try:
            entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
            uid, entry_gid, home = entry.pw_uid, entry.pw_gid, entry.pw_dir
        except KeyError:
            if not unit.is_on("DynamicUser") and not name.isdigit():
                usage_error(
                    f"--unit {unit.name}: its User={name} does not exist: that is why it fails to start"
                )
            uid = int(name) if name.isdigit() else _DYNAMIC_UID
            entry_gid, home = uid, ""
    group = unit.properties.get("Group", "")
    return uid, _group(unit, group) if group else entry_gid, home


def _group(unit: _Unit, name: str) -> int:
    try:
        return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid
    except KeyError:
        if unit.is_on("DynamicUser"):
            return _DYNAMIC_UID
        usage_error(f"--unit {unit.name} can't start: its group {name} does not exist")


def _environ(unit: _Unit, home: str, states: list[str]) -> Mapping[str, str]:
    environ = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    if home:
        environ["HOME"] = home
    if states:
        environ["STATE_DIRECTORY"] = ":".join(states)
    for entry in shlex.split(unit.properties.get("Environment", "")):
        name, _, value = entry.partition("=")
        environ[name] = value
    for path in unit.environment_files:
        try:
            environ |= parse_envfile(Path(path).read_text(encoding="utf-8"))
        except OSError as exc:
            usage_error(f"--unit {unit.name}: its EnvironmentFile={path} can't be read: {exc.strerror}")
    return environ


def _directory(value: str, home: str) -> str:
    """WorkingDirectory=, where `!` and `-` before it tell systemd to go on without."""
    path = value.lstrip("!-")
    path = (home if path == "~" else path) or "/"
    return path if os.path.isdir(path) else "/"
