"""Running the doctor as a person does, as a process, and reading what it said."""

from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import dataclass
from typing import Any

from tests.faults.scenario import Case
from tests.faults.stage import Stage
from tests.support import fork_server
from tests.support.cli import document
from tests.support.namespaces import python_environ
from tests.support.netlab import lab_entered_by
from tests.support.programs import unavailable

# Far above any budget that the doctor has: it has to end by itself.
_HUNG_S = 60.0


@dataclass(frozen=True, repr=False)
class Said:
    """One run of the doctor: its exit status, its report, and both streams as they were."""

    status: int
    report: dict[str, Any]
    stdout: str
    stderr: str

    def probe(self, name: str) -> dict[str, Any]:
        """One probe's row."""
        return next(row for row in self.report["probes"] if row["name"] == name)

    @property
    def codes(self) -> list[str]:
        """Every probe's code."""
        return [row["code"] for row in self.report["probes"]]

    def __repr__(self) -> str:
        rows = [f"{r['code']} ({r['duration_ms']:.0f} ms): {r['message']}" for r in self.report["probes"]]
        return "\n".join([f"exit status {self.status}", *rows, self.stderr])


def environ_of(stage: Stage, case: Case) -> dict[str, str]:
    """The environment of the case's process: nothing of this one's but the way to the interpreter."""
    if os.geteuid() != 0 and any(
        part.startswith(("user=", "dead_mount=", "closed=")) for part in case.handicap
    ):
        unavailable("another user's process, and one with mounts of its own, need root")
    return python_environ({"HOME": str(stage.home), **case.environ})


async def run_in(stage: Stage, case: Case, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module of Python in this case, to its end."""
    environ = environ_of(stage, case)
    lab = lab_entered_by(case.prefix)
    if (lab or not case.prefix) and fork_server.can_run(environ):
        return await asyncio.to_thread(
            fork_server.run,
            module,
            *arguments,
            environ=environ,
            directory=stage.directory,
            handicaps=case.handicap,
            beside=lab,
            timeout_s=_HUNG_S,
        )
    return await asyncio.to_thread(
        subprocess.run,
        case.run(module, *arguments),
        env=environ,
        cwd=stage.directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_HUNG_S,
        check=False,
    )


async def ask_doctor(stage: Stage, case: Case, *, timeout_s: float = 5.0) -> Said:
    """Run the doctor in this case."""
    process = await run_in(
        stage, case, "z4j_fastapi", "doctor", *case.arguments, "--json", "--timeout", f"{timeout_s:g}"
    )
    try:
        report = document(process.stdout)
    except ValueError:
        raise AssertionError(f"no JSON: {process}") from None
    return Said(process.returncode, report, process.stdout, process.stderr)
