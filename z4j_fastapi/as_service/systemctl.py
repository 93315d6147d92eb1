"""What systemd knows of a unit, as systemctl(1) prints it.

`show` prints one property a line. Values with several words are separated by blanks and quoted like C strings
where they have to be.
"""

from __future__ import annotations

import glob
import os
import pwd
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from z4j_fastapi.as_service.errors import CannotActAs, NotAService

PROPERTIES = (
    "Id",
    "LoadState",
    "LoadError",
    "ActiveState",
    "SubState",
    "Result",
    "NeedDaemonReload",
    "ConditionResult",
    "AssertResult",
    "ConditionTimestamp",
    "ExecMainStartTimestamp",
    "ExecMainStartTimestampMonotonic",
    "ExecMainCode",
    "ExecMainStatus",
    "MainPID",
    "ControlGroup",
    "FragmentPath",
    "DropInPaths",
    "ExecStart",
    "ExecStartEx",
    "User",
    "Group",
    "DynamicUser",
    "SupplementaryGroups",
    "Environment",
    "EnvironmentFiles",
    "UnsetEnvironment",
    "PAMName",
    "WorkingDirectory",
    "RootDirectory",
    "RootImage",
    "StateDirectory",
    "CacheDirectory",
    "LogsDirectory",
    "RuntimeDirectory",
    "ConfigurationDirectory",
    "RestrictAddressFamilies",
    "SystemCallFilter",
    "PrivateNetwork",
    "NetworkNamespacePath",
    "IPAddressDeny",
    "IPIngressFilterPath",
    "IPEgressFilterPath",
    "RestrictNetworkInterfaces",
    "SELinuxContext",
    "AppArmorProfile",
    "SmackProcessLabel",
)
_BUDGET_S = 10.0
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|([0-7]{3})|(.))", re.DOTALL)
_NAMED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "s": " ", "t": "\t", "v": "\v"}
# The other kinds of unit: systemctl(1) adds .service to any other name.
_KINDS = ("automount", "device", "mount", "path", "scope", "slice", "socket", "swap", "target", "timer")
_USER_MANAGERS = "/run/user"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit's properties, and the files with its environment: a path, and whether it may be missing.

    `manager` is the user whose service manager runs it; None for the system's.
    """

    name: str
    properties: Mapping[str, str]
    environment_files: tuple[tuple[str, bool], ...] = field(default=(), repr=False)
    manager: int | None = None

    def get(self, name: str) -> str:
        """A property, empty where it has no value."""
        return self.properties.get(name, "")

    def words(self, name: str) -> list[str]:
        """A property that is a list."""
        return words(self.get(name))


def find(name: str) -> Unit:
    """The service of that name, the system's or a user's.

    NotAService where systemd knows none or it is something else, CannotActAs where it can't be asked.
    """
    _refuse_other_names(name)
    # systemctl takes a bare number for a job's, and 32 hexadecimal digits for an invocation's
    asked = name if name.endswith(".service") else f"{name}.service"
    unit = show(asked)
    if unit.get("LoadState") == "not-found":
        unit = _of_a_user(asked) or unit
    unit = replace(unit, name=name)
    if unit.get("LoadState") == "not-found":
        raise NotAService(f"--unit {name}: systemd has no unit of that name")
    if not unit.get("Id").endswith(".service"):
        raise NotAService(f"--unit {name}: not a service")
    if unit.get("LoadState") == "masked":
        raise NotAService(
            f"--unit {name}: it is masked, so systemd does not start it: "
            f"`sudo systemctl unmask {unit.get('Id')}`"
        )
    return unit


def show(name: str, manager: int | None = None) -> Unit:
    """Ask systemd for a unit's properties. NotAService where it has no such name."""
    done = systemctl("show", f"--property={','.join(PROPERTIES)}", "--", name, manager=manager)
    if done.returncode != 0:
        said = done.stderr.strip() or f"exit status {done.returncode}"
        kind = CannotActAs if "bus" in said or "booted" in said else NotAService
        raise kind(f"--unit {name}: systemctl: {said}")
    return parse_unit(name, done.stdout, manager)


def parse_unit(name: str, shown: str, manager: int | None = None) -> Unit:
    """The unit that `systemctl show` printed."""
    properties: dict[str, str] = {}
    files: list[tuple[str, bool]] = []
    for line in shown.splitlines():
        key, _, value = line.partition("=")
        if key == "EnvironmentFiles":  # one line a file, with how a missing one is taken in brackets
            path, _, manner = value.rpartition(" (ignore_errors=")
            files.append((path, manner == "yes)"))
        else:
            properties.setdefault(key, value)  # of several ExecStart= the first is the one that fails first
    if properties.get("RestrictAddressFamilies") == "":  # an empty list of what is allowed; without one: ~
        properties["RestrictAddressFamilies"] = "none"
    return Unit(name, properties, tuple(files), manager)


def words(text: str) -> list[str]:
    """The words of a value, without their quotes."""
    return [_unescape(word[1:-1]) if word.startswith('"') else word for word in _WORD.findall(text)]


def files_of(unit: Unit) -> str:
    """The text of the unit's files, as they are now, in the order in which systemd reads them."""
    done = systemctl("cat", "--", unit.get("Id"), manager=unit.manager)
    if done.returncode != 0:
        raise CannotActAs(f"--unit {unit.name}: its files can't be read: {done.stderr.strip()}")
    return done.stdout


def matching(path: str) -> list[str]:
    """The files of an EnvironmentFile= that may have wildcards, in systemd's order."""
    return sorted(glob.glob(path)) if glob.has_magic(path) else [path]


def systemctl(
    *arguments: str, manager: int | None = None, budget_s: float = _BUDGET_S
) -> subprocess.CompletedProcess[str]:
    """Run systemctl, with the system's manager or that user's. CannotActAs where there is none."""
    try:
        return _run("systemctl", *arguments, manager=manager, budget_s=budget_s)
    except FileNotFoundError:
        raise CannotActAs(
            "--unit needs systemd: there is no systemctl on this machine (--pid takes any process)"
        ) from None
    except subprocess.TimeoutExpired:
        raise CannotActAs(
            f"--unit: systemctl {arguments[0]} did not answer within {budget_s:.0f} s"
        ) from None


def journal_of(unit: str, manager: int | None = None) -> tuple[str, ...]:
    """What systemd itself logged of a unit lately: the path that was the matter is often only there."""
    # a user's manager writes to the system's journal, with fields of its own
    of_unit = [f"--unit={unit}"] if manager is None else [f"USER_UNIT={unit}", f"_UID={manager}"]
    try:
        done = _run("journalctl", "--quiet", "--output=cat", "--lines=20", *of_unit)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ()
    return tuple(line.partition(": ")[2] or line for line in done.stdout.splitlines())


def _run(
    program: str, *arguments: str, manager: int | None = None, budget_s: float = _BUDGET_S
) -> subprocess.CompletedProcess[str]:
    environ: dict[str, str] = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "SYSTEMD_COLORS": "0",
        "SYSTEMD_PAGER": "",
    }
    to_user: tuple[str, ...] = ()
    if manager is not None:  # which answers its user, and not root
        environ["XDG_RUNTIME_DIR"] = f"{_USER_MANAGERS}/{manager}"
        to_user = ("--user",)
    return subprocess.run(  # noqa: S603 - a fixed program, and a name stands after `--`
        [program, *to_user, *arguments],
        env=environ,
        user=manager,
        extra_groups=None if manager is None else [],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=budget_s,
        check=False,
    )


def _refuse_other_names(name: str) -> None:
    """NotAService where systemctl would take the name for something else, or for several units."""
    _, dot, kind = name.rpartition(".")
    if dot and kind in _KINDS:
        service = name.removesuffix(kind) + "service"
        raise NotAService(
            f"--unit {name}: a {kind} is not a service: name the one that it starts ({service}?)"
        )
    if glob.has_magic(name):
        raise NotAService(f"--unit {name}: name one service, without wildcards")
    if not name.strip() or "/" in name:
        raise NotAService(f"--unit {name!r} is not the name of a service, as in --unit web.service")


def _of_a_user(name: str) -> Unit | None:
    """The unit, where one of the users' managers that run knows it."""
    found = []
    for uid in _managers():
        try:
            unit = show(name, uid)
        except CannotActAs:  # a manager that ends, say: it is asked only because the system's has none
            continue
        if unit.get("LoadState") != "not-found":
            found.append(unit)
    if len(found) > 1:
        users = ", ".join(user_name(unit.manager or 0) for unit in found)
        raise NotAService(f"--unit {name}: several users have it ({users}): use --pid")
    return found[0] if found else None


def _managers() -> list[int]:
    try:
        return sorted(int(entry) for entry in os.listdir(_USER_MANAGERS) if entry.isdigit())
    except FileNotFoundError:
        return []


def user_name(uid: int) -> str:
    """A user's name, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _unescape(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        if match[1] or match[2]:
            return chr(int(match[1], 16) if match[1] else int(match[2], 8))
        return _NAMED.get(match[3], match[3])

    return _ESCAPE.sub(one, text)
