"""`doctor --worker`: what a process with the worker's interpreter finds out about the worker.

The worker's module is foreign code: it is imported in a process of its own, with a time limit, and what it
prints is kept from the report. That process has the variables of `--env-file`, which are the service's. As a
service (`--pid`, `--unit`) it has the service's user, environment and directory, and the interpreter of the
process that was named.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from z4j_fastapi.workers.examination.finding import Asked, Finding
from z4j_probes import ProbeResult, Settings
from z4j_probes.codes import lookup, outcome
from z4j_probes.env_file import parse_envfile
from z4j_probes.portable import processes, shell
from z4j_probes.read_file import read_small_file
from z4j_probes.result import Step
from z4j_probes.storage import identity

WITHIN_S = 30.0
"""How long the module may take to be imported, and its Redis to be asked."""
REDIS_WITHIN_S = 5.0
MODULE = "z4j_fastapi.workers.examination"


def examine(
    target: str,
    settings: Settings,
    directory: str,
    interpreter: str,
    timeout_s: float | None,
    *,
    within_s: float = WITHIN_S,
    env_file: str | None = None,
    is_service: bool = False,
) -> ProbeResult:
    """The row about a worker. `directory` is the state directory, empty where none is known.

    `is_service` says that this process has become the service (`--pid`, `--unit`).
    """
    began_s = time.monotonic()
    service = identity(settings.brain_url or "", settings.project_id, settings.agent_name)
    own = str(Path(directory) / service) if directory else ""
    asked = Asked(target, settings.agent_name, own, timeout_s or REDIS_WITHIN_S)
    found = _ask(interpreter, asked, within_s, _variables_of(env_file))
    message = settings.redactor().excerpt(found.message)
    details = {"worker": target, "interpreter": interpreter, **found.details}
    headline = "no agent is set up in this worker" if found.code == "worker.not_wired" else ""
    row = outcome(
        found.code,
        message,
        hint=_hint(found, target, interpreter, is_service=is_service),
        details=details,
        headline=headline,
    )
    return ProbeResult(
        row.name,
        row.status,
        row.code,
        row.message,
        row.steps,
        round((time.monotonic() - began_s) * 1000, 3),
        row.details,
        headline=row.headline,
    )


def _hint(found: Finding, target: str, interpreter: str, *, is_service: bool) -> Sequence[Step] | None:
    """What to do; None where it is what the catalogue says. A service's Python and directory are its own."""
    if found.remedy:
        return [Step(found.remedy)]
    if not found.is_raised:
        is_named_wrong = is_service and found.code == "worker.import_failed"
        return [Step("Name the worker as the service does")] if is_named_wrong else None
    module = target.rpartition(":" if ":" in target else ".")[0]
    see = f"{shell.quote(interpreter)} -c {shell.quote(f'import {module}')}"
    see_all = Step("See the whole error", see)
    return [see_all] if is_service else [see_all, *lookup(found.code).steps]


def _variables_of(env_file: str | None) -> dict[str, str]:
    """What an env file gives a service. Of one that can't be read the config row tells."""
    if env_file is None:
        return {}
    try:
        return parse_envfile(read_small_file(env_file).decode())
    except (OSError, RuntimeError, ValueError):
        return {}


def interpreter_of(pid: int) -> str:
    """The Python that a process was started with, as it named it; this one where that does not show."""
    with contextlib.suppress(OSError):
        first = os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0])
        if first.startswith("/") and Path(first).name.startswith("python"):
            return first
    return sys.executable


def _ask(interpreter: str, asked: Asked, within_s: float, variables: Mapping[str, str]) -> Finding:
    """Have another process find out. Whatever becomes of it is a finding."""
    given = {"target": asked.target, "agent_name": asked.agent_name, "directory": asked.directory}
    text = json.dumps({**given, "timeout_s": asked.timeout_s})
    try:
        process = subprocess.Popen(  # noqa: S603 - the interpreter of this program or of the service
            [interpreter, "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            env={**os.environ, **variables, "PYTHONDONTWRITEBYTECODE": "1"},
        )
    except OSError as exc:
        return _failed(f"can't start {interpreter}: {exc.strerror}")
    with process:
        try:
            answer, _ = process.communicate(text, timeout=within_s)
        except subprocess.TimeoutExpired:
            processes.kill_group(process)
            process.communicate()
            return Finding(
                "worker.import_failed",
                f"importing {asked.target} did not end within {within_s:.2g} s",
                remedy="Move what waits out of the top level of its modules",
            )
    with contextlib.suppress(ValueError, TypeError):
        return Finding(**json.loads(answer))
    how = f"status {process.returncode}" if process.returncode >= 0 else f"signal {-process.returncode}"
    return _failed(f"importing {asked.target} ended the process with {how}")


def _failed(message: str) -> Finding:
    return Finding("worker.import_failed", message)
