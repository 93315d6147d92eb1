"""A copy of a unit, which systemd starts with a process that only waits: it has what the service would.

systemd itself gives it the user, environment, credentials, mounts, namespaces, capabilities and control
group, or says why it can't. Left out is what would touch more than the copy: its commands, its dependencies,
what it listens on or writes to, and the directories that systemd would create or hand over to its user.

The files and the process are gone afterwards, also where this process is killed: another one, which waits for
its end, removes them.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from z4j_fastapi.as_service.errors import CannotActAs
from z4j_fastapi.as_service.systemctl import Unit, journal_of, show, systemctl

_UNITS = "/run/systemd/system"
# Longer than two climbs take (see `doctor`): after that it ends by itself, whatever has become of the doctor.
_LIFE_S = 600
# To read credentials and set up mounts. `systemctl start` waits a bit longer, for systemd's own answer.
_START_S = 15

_KEPT_OF_UNIT = re.compile(r"Condition|Assert|JoinsNamespaceOf$")
_LEFT_OUT = re.compile(
    r"Exec(?!Paths$|SearchPath$)|Type$|Restart|PIDFile$|BusName$|Sockets$|RemainAfterExit$|GuessMainPID$"
    r"|NotifyAccess$|Watchdog|Standard|TTY|Utmp|FileDescriptor|OpenFile$|USBFunction|LogNamespace$"
    r"|Timeout|RuntimeMaxSec$|RuntimeRandomizedExtraSec$|SuccessExitStatus$|ExitType$|KillMode$|KillSignal$|SendSIG"
    # PAM keeps open by which systemd would see that the copy has started (Type=exec)
    r"|PAMName$"
    r"|FinalKillSignal$|FailureAction$|SuccessAction$|StartLimit|RebootArgument$|OOMPolicy$|ReloadSignal$"
    r"|(State|Cache|Logs|Runtime|Configuration)Directory"
)
# The character before a command that has systemd leave out User=, or the sandbox too (systemd.service(5)).
_PREFIXES = {"privileged": "+", "no-setuid": "!", "ambient": "!!"}
_FLAGS = re.compile(r" ; flags=([a-z -]*) ;")
# What a drop-in for all services (service.d) may have set again.
_FORCED = f"""[Unit]
Description=What the z4j doctor uses to act as a service
DefaultDependencies=no
OnFailure=
OnSuccess=
StartLimitIntervalSec=0
[Service]
Type=exec
ExecCondition=
ExecStartPre=
ExecStart=
ExecStart=%s/bin/sleep {_LIFE_S}
ExecStartPost=
ExecStop=
ExecStopPost=
Restart=no
RemainAfterExit=no
TimeoutStartSec={_START_S}
TimeoutStopSec=2
StandardInput=null
StandardOutput=null
StandardError=null
"""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that systemd has started, or has not: then `pid` is 0, and `unit` and `journal` say why."""

    name: str
    pid: int
    unit: Unit
    journal: tuple[str, ...] = ()


@contextmanager
def copy_of(unit: Unit, files: str) -> Iterator[Copy]:
    """A copy of the system's unit whose files have that text, as long as the context lasts."""
    name = f"z4j-doctor-{secrets.token_hex(4)}"
    writer, guard = _start_guard(name)
    try:
        _write(name, text_of(files, unit), _FORCED % _prefix(unit))
        systemctl("start", "--", f"{name}.service", budget_s=_START_S + 5)
        copy = show(f"{name}.service")
        pid = int(copy.get("MainPID") or 0) if copy.get("ActiveState") == "active" else 0
        yield Copy(name, pid, copy, () if pid else journal_of(f"{name}.service"))
    finally:
        os.close(writer)
        os.waitpid(guard, 0)


def text_of(files: str, unit: Unit) -> str:
    """What of a unit's files its copy has, with the specifiers that depend on the unit's name filled in."""
    kept: dict[str, list[str]] = {"Unit": [], "Service": []}
    section = ""
    for line in _logical_lines(files):
        if line.startswith("["):
            section = line.strip("[]")
            continue
        key = line.partition("=")[0].rstrip()
        if (section == "Unit" and _KEPT_OF_UNIT.match(key)) or (
            section == "Service" and not _LEFT_OUT.match(key)
        ):
            kept[section].append(_fill_in(line, unit.get("Id")))
    if unit.get("DynamicUser") == "yes":  # its name, by which systemd chooses the uid, is made of the unit's
        kept["Service"].append(f"User={unit.get('User')}")
    return "".join(f"[{name}]\n" + "".join(f"{line}\n" for line in lines) for name, lines in kept.items())


def _logical_lines(files: str) -> Iterator[str]:
    """Assignments and headers, each on one line, without comments (systemd.syntax(7))."""
    pending = ""
    for raw in files.splitlines():
        line = raw.lstrip()
        if line.startswith(("#", ";")):
            continue
        if line.endswith("\\"):
            pending += line[:-1] + " "
        elif pending or line:
            yield (pending + line).strip()
            pending = ""
    if pending:
        yield pending.strip()


def _fill_in(line: str, unit: str) -> str:
    name = unit.removesuffix(".service")
    prefix, _, instance = name.partition("@")
    component = prefix.rpartition("-")[2]
    values = {"n": unit, "N": name, "p": prefix, "i": instance, "j": component}
    values |= {"P": _unescape(prefix), "I": _unescape(instance), "J": _unescape(component)}
    # a pair at a time, so that the letter behind %% is none of theirs
    return re.sub(r"%(.)", lambda found: values.get(found[1], found[0]), line)


def _unescape(name: str) -> str:
    """Part of a unit's name, as systemd-escape(1) --unescape has it."""
    return re.sub(r"\\x([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), name.replace("-", "/"))


def _prefix(unit: Unit) -> str:
    """With how many of its privileges the unit's own command is run."""
    flags = (_FLAGS.findall(unit.get("ExecStartEx")) or [""])[-1].split()
    return next((prefix for flag, prefix in _PREFIXES.items() if flag in flags), "")


def _write(name: str, text: str, forced: str) -> None:
    try:
        os.mkdir(f"{_UNITS}/{name}.service.d", 0o755)  # not what is above: it says that systemd runs
        for path, content in (
            (f"{_UNITS}/{name}.service", text),
            (f"{_UNITS}/{name}.service.d/zzzz-z4j.conf", forced),
        ):
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w") as file:
                file.write(content)
    except OSError as exc:
        raise CannotActAs(f"--unit: {exc.filename} can't be written: {exc.strerror}") from exc


def _start_guard(name: str) -> tuple[int, int]:
    """The end of a pipe whose closing makes another process remove the copy, and that process."""
    reader, writer = os.pipe()
    guard = os.fork()
    if guard == 0:
        _guard(name, reader)
    os.close(reader)
    return writer, guard


def _guard(name: str, reader: int) -> NoReturn:
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nowhere, descriptor)
        os.closerange(3, reader)
        os.closerange(reader + 1, os.sysconf("SC_OPEN_MAX"))
        os.read(reader, 1)
        _remove(name)
    finally:
        os._exit(0)


def _remove(name: str) -> None:
    with contextlib.suppress(CannotActAs):
        systemctl("stop", "--", f"{name}.service")
        systemctl("reset-failed", "--", f"{name}.service")
    with contextlib.suppress(OSError):
        os.unlink(f"{_UNITS}/{name}.service")
    shutil.rmtree(f"{_UNITS}/{name}.service.d", ignore_errors=True)
