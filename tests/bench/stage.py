"""Where benchmarks run: both interpreters, the brain, and programs started one at a time."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from tests.support.brain_api import BrainApi, Credentials
from tests.support.real_brain import PROJECT_ROOT, connect_once, running_brain

Side = Literal["ours", "peer", "bare"]
NONE: Mapping[str, str | None] = MappingProxyType({})

PROGRAMS = Path(__file__).parent / "programs"
WARM_WITHIN_S = 60.0
PEER_PYTHON = PROJECT_ROOT / ".peer" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class Run:
    """A process from its start to its end."""

    wall_s: float
    said: Any
    """Its last line of output, if that was JSON; on a terminal, all of it as it came."""


@dataclass(frozen=True, slots=True)
class Stage:
    """`smoke` asks for the smallest size that proves that a benchmark still works."""

    brain: BrainApi
    agents: Mapping[Side, Credentials]
    directory: Path
    rounds: int
    smoke: bool

    def size(self, full: int, smoke: int) -> int:
        """How much work to do."""
        return smoke if self.smoke else full

    def run(
        self,
        side: Side,
        *arguments: str,
        home: Path | None = None,
        env: Mapping[str, str | None] = NONE,
        status: int = 0,
        on_terminal: bool = False,
    ) -> Run:
        """Run that side's Python; RuntimeError with what it said where its exit status is another.

        A variable whose value is None is taken away.
        """
        command = [str(PEER_PYTHON) if side == "peer" else sys.executable, *arguments]
        settings = self.environment(side, home) | dict(env)
        environment = {name: value for name, value in settings.items() if value is not None}
        reading, writing = pty.openpty() if on_terminal else os.pipe()
        with tempfile.TemporaryFile("w+") as errors:
            started_s = time.perf_counter()
            process = subprocess.Popen(
                command, env=environment, stdout=writing, stderr=errors, cwd=self.directory
            )
            os.close(writing)
            output = _read_all(reading)
            process.wait()
            wall_s = time.perf_counter() - started_s
            if process.returncode != status:
                errors.seek(0)
                raise RuntimeError(f"{side} {arguments}: {process.returncode}\n{output}\n{errors.read()}")
        return Run(wall_s, output if on_terminal else _last_document(output))

    def program(
        self,
        side: Side,
        name: str,
        *arguments: str,
        home: Path | None = None,
        env: Mapping[str, str | None] = NONE,
    ) -> Run:
        """Run one of `programs`, by its name without the side."""
        path = PROGRAMS / f"{name}_{side}.py"
        return self.run(side, str(path), *arguments, home=home, env=env)

    def environment(self, side: Side, home: Path | None = None) -> dict[str, str]:
        """The settings of that side's agent, with a home that no one has used yet unless one is named."""
        agent = self.agents[side]
        home = home or self.fresh_home()
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "Z4J_BRAIN_URL": self.brain.url,
            "Z4J_TOKEN": agent.token,
            "Z4J_HMAC_SECRET": agent.hmac_secret,
            "Z4J_PROJECT_ID": agent.project,
            "Z4J_AGENT_NAME": agent.name,
        }

    def fresh_home(self) -> Path:
        """A home directory."""
        return Path(tempfile.mkdtemp(prefix="home-", dir=self.directory))


@contextmanager
def stage(*, rounds: int, smoke: bool) -> Iterator[Stage]:
    """A stage with a brain of its own."""
    if not PEER_PYTHON.exists():
        raise RuntimeError("upstream's adapter is not installed: run `make peer`")
    with (
        tempfile.TemporaryDirectory(prefix="z4j-bench-") as directory,
        running_brain(Path(directory, "brain")) as process,
    ):
        connect_once(process.url)
        brain = BrainApi(process.url)
        agents: dict[Side, Credentials] = {side: brain.mint(side) for side in get_args(Side)}
        try:
            ready = Stage(brain, agents, Path(directory), rounds, smoke)
            _warm(ready)
            yield ready
        finally:
            brain.close()


def _read_all(descriptor: int) -> str:
    parts = []
    with os.fdopen(descriptor, "rb", buffering=0) as reader, contextlib.suppress(OSError):  # a terminal's end
        while part := reader.read(65536):
            parts.append(part)
    return b"".join(parts).decode()


def _warm(ready: Stage) -> None:
    """Have a first session: it takes a brain longer than others, and longer than a start waits."""
    deadline_s = time.monotonic() + WARM_WITHIN_S
    while True:
        try:
            ready.program("bare", "deliver", "1")
        except RuntimeError:
            if time.monotonic() > deadline_s:
                raise
        else:
            return


def _last_document(output: str) -> Any:
    try:
        return json.loads(output) if output.startswith("{\n") else json.loads(output.splitlines()[-1])
    except (ValueError, IndexError):
        return None
