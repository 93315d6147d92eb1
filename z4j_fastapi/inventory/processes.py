"""Processes that have settings for an agent, by /proc: what they run, and which of them has no agent.

An arq or taskiq worker, or a web service, that has `Z4J_*` in its environment and holds no slot was in all
likelihood never given an agent in its code: the commonest fault of all.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from z4j_probes import Step
from z4j_probes.invocation import MODULE, as_started
from z4j_probes.portable import processes
from z4j_probes.systemd_unit import unit_in
from z4j_probes.variables import has_required, is_true

# Any of these is a sign that someone means the process to have an agent.
_SIGNS = ("Z4J_BRAIN_URL", "Z4J_TOKEN", "Z4J_TOKEN_FILE", "Z4J_HMAC_SECRET", "Z4J_HMAC_SECRET_FILE")
# Importing an application takes seconds, and its agent comes last.
STARTING_S = 10.0

_ASGI = ("uvicorn", "gunicorn", "hypercorn", "granian", "fastapi")
PROGRAMS = ("arq", "taskiq", *_ASGI)
_PYTHON = re.compile(r"(python|pypy)[\d.]*")
# What is shown of a command line, and nothing else: an argument may be a secret.
_MODULE = re.compile(r"[A-Za-z_][\w.]*\.\w+")
_OBJECT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(?:\(\))?")
_FILE = re.compile(r"[\w./-]+\.py")
# Options without a value. What follows any other one may be a header's or a variable's value.
_FLAGS = frozenset(
    {"--reload", "--factory", "--proxy-headers", "--no-access-log", "--no-server-header", "--preload"}
    | {"--burst", "-v", "--verbose", "--fs-discover", "-fsd", "-r", "--no-reload", "--access-log"}
)


@dataclass(frozen=True, slots=True)
class Program:
    """What a process runs: one of PROGRAMS, and the settings class, broker or application that it names."""

    name: str
    target: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.target}".strip()


@dataclass(frozen=True, slots=True)
class Process:
    """A process with signs of settings. `inside` is its number in its own pid namespace."""

    pid: int
    inside: int
    uid: int
    parent: int
    age_s: float
    program: Program | None
    environ: Mapping[str, str] = field(repr=False)
    unit: str
    world: str
    """Which mount and pid namespace it lives in; equal where they are the same."""

    @property
    def is_disabled(self) -> bool:
        """Whether its agent is switched off on purpose."""
        return is_true(self.environ.get("Z4J_DISABLED"))


@dataclass(frozen=True, slots=True)
class Unwired:
    """A process that should have an agent and has none; `steps` say what to do."""

    pid: int
    uid: int
    program: Program
    unit: str
    steps: tuple[Step, ...]


def find_processes() -> list[Process]:
    """Those that this user may look at, without this one. Empty where there is no /proc."""
    try:
        numbers = sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())
    except OSError:
        return []
    found = []
    for pid in numbers:
        if pid != os.getpid():
            with contextlib.suppress(OSError, ValueError, LookupError):  # gone, or not ours
                process = _examine(pid)
                if process is not None:
                    found.append(process)
    return found


def owner_of(pid: int) -> int | None:
    """The user whose process that is; None where it is gone, or this system does not say."""
    with contextlib.suppress(OSError, LookupError, ValueError):
        return _owner(_status(Path(f"/proc/{pid}")))
    return None


def find_unwired(processes: Sequence[Process], agent_pids: Collection[int]) -> list[Unwired]:
    """The processes without an agent, each once for all that it started to do the same work.

    `agent_pids` are those of the agents that were found.
    """
    by_pid = {process.pid: process for process in processes}
    workers: dict[int, set[int]] = {}
    for process in processes:
        if process.program is not None:
            workers.setdefault(_first_of(process, by_pid).pid, set()).add(process.pid)
    # what a server starts to do its work need not show what it runs: a spawned Python
    for pid in {*by_pid, *agent_pids}:
        above = _nearest_program(pid, by_pid)
        if above is not None:
            workers[_first_of(above, by_pid).pid].add(pid)
    first = [by_pid[pid] for pid, group in workers.items() if group.isdisjoint(agent_pids)]
    return [
        Unwired(process.pid, process.uid, process.program, process.unit, _steps(process))
        for process in sorted(first, key=lambda process: process.pid)
        if process.program and process.age_s >= STARTING_S and not process.is_disabled
    ]


def program_of(argv: Sequence[str]) -> Program | None:
    """What that command line runs, if it is something that has agents."""
    words = list(argv)
    if words and _PYTHON.fullmatch(os.path.basename(words[0])):
        del words[0]
        while words and words[0].startswith("-") and words[0] != "-m":
            del words[: 2 if words[0] in ("-W", "-X") else 1]
        if words[:1] == ["-m"]:
            del words[0]
    if not words:
        return None
    # a server that renames itself: "gunicorn: master [app:app]"
    renamed = re.fullmatch(r"(\w+): .*?\[([\w.:]+)\]?.*", words[0])
    name = renamed[1] if renamed else Path(words[0]).name.removesuffix(".py").partition(".")[0]
    if name not in PROGRAMS:
        return None
    if renamed:
        return Program(name, renamed[2] if _OBJECT.fullmatch(renamed[2]) else "")
    arguments = words[1:]
    if name == "taskiq" and arguments[:1] != ["worker"]:  # its scheduler runs no tasks
        return None
    shape = {"arq": _MODULE, "fastapi": _FILE}.get(name, _OBJECT)
    pairs = pairwise(words)
    named = (word for before, word in pairs if not _takes_value(before) and shape.fullmatch(word))
    return Program(name, next(named, ""))


def _takes_value(word: str) -> bool:
    return word.startswith("-") and "=" not in word and word not in _FLAGS


def _steps(process: Process) -> tuple[Step, ...]:
    program = process.program
    if not has_required(process.environ):
        command = as_started(f"{MODULE} doctor --pid {process.pid}")
        return (Step("Complete its settings. See which are missing, as root", command),)
    if program is None or program.name in _ASGI:
        where = f"the application {program.target}" if program and program.target else "the application"
        return (
            Step(f"Add the agent's lifespan to {where}", "from z4j_fastapi import z4j_lifespan"),
            Step("", "app = FastAPI(lifespan=z4j_lifespan())"),
        )
    if program.name == "arq":
        return (
            Step(
                f"Add the decorator to the class {program.target or 'WorkerSettings'}",
                "from z4j_fastapi.workers.arq import z4j_worker",
            ),
            Step("", "@z4j_worker"),
        )
    broker = program.target.rpartition(":")[2] or "broker"
    return (
        Step(
            f"Add the agent's middleware to the broker {program.target}".rstrip(),
            "from z4j_fastapi.workers.taskiq import Z4JMiddleware",
        ),
        Step("", f"{broker} = {broker}.with_middlewares(Z4JMiddleware())"),
    )


def _first_of(process: Process, by_pid: Mapping[int, Process]) -> Process:
    """The first of those that do the same work: a server that has started others."""
    while (parent := by_pid.get(process.parent)) is not None and parent.program == process.program:
        process = parent
    return process


def _nearest_program(pid: int, by_pid: Mapping[int, Process]) -> Process | None:
    for above in _line_of(pid):
        process = by_pid.get(above)
        if process is not None and process.program is not None:
            return process
    return None


def _line_of(pid: int) -> Iterator[int]:
    """A process and those that it descends from."""
    while pid > 1:
        yield pid
        try:
            pid = _parent(pid)
        except (OSError, ValueError, LookupError):
            return


def _parent(pid: int) -> int:
    # the name in parentheses may hold anything (proc(5))
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])


def _examine(pid: int) -> Process | None:
    environ = dict(_pairs(Path(f"/proc/{pid}/environ").read_bytes()))
    if not any(environ.get(name) for name in _SIGNS):
        return None
    place = Path(f"/proc/{pid}")
    status = _status(place)
    argv = [os.fsdecode(word) for word in (place / "cmdline").read_bytes().split(b"\0") if word]
    started_ticks = int((place / "stat").read_bytes().rpartition(b")")[2].split()[19])
    return Process(
        pid=pid,
        inside=int(status.get("NSpid", str(pid)).split()[-1]),
        uid=_owner(status),
        parent=int(status["PPid"]),
        age_s=processes.age_s(started_ticks),
        program=program_of(argv),
        environ=environ,
        unit=unit_in((place / "cgroup").read_text()) or "",
        world=f"{os.readlink(place / 'ns/mnt')} {os.readlink(place / 'ns/pid')}",
    )


def _status(place: Path) -> dict[str, str]:
    lines = (place / "status").read_text(errors="replace").splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def _owner(status: Mapping[str, str]) -> int:
    return int(status["Uid"].split()[1])  # the effective one


def _pairs(data: bytes) -> Iterator[tuple[str, str]]:
    for entry in data.split(b"\0"):
        name, _, value = entry.partition(b"=")
        yield os.fsdecode(name), os.fsdecode(value)
