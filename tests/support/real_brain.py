"""A real brain in a process of its own: where it is installed, starting it, sharing it, ending it.

The brain is the public `z4j` package in its own virtual environment (`make brain`). It is a peer that these
tests talk to over its HTTP interface (`brain_api.py`) and its WebSocket, never a library they import.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tests.support.brain_api import ADMIN_EMAIL, ADMIN_PASSWORD, BrainApi

START_BUDGET_S = 90.0
"""About 3.5 s where nothing else runs; a machine that tests on every core takes several times that."""
STOP_BUDGET_S = 10.0
POLL_INTERVAL_S = 0.05

PROJECT_ROOT = Path(__file__).parents[2]
EXECUTABLE_VARIABLE = "Z4J_TEST_BRAIN"
SHARED_STATE = "brain.json"


def brain_executable() -> Path | None:
    """The installed `z4j` program: the one that `Z4J_TEST_BRAIN` names, else the one of `make brain`."""
    named = os.environ.get(EXECUTABLE_VARIABLE)
    path = Path(named) if named else PROJECT_ROOT / ".brain" / "bin" / "z4j"
    return path if os.access(path, os.X_OK) else None


class BrainProcess:
    """A brain of one's own: it may be killed, restarted on its port with its data, or left down."""

    def __init__(self, executable: Path, home: Path, environ: Mapping[str, str] | None = None) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._environ = environ or {}
        self._executable = executable
        self._home = home
        # Bound, never listening: while the brain is down, nobody else gets its port, and dialling is refused.
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reservation.bind(("127.0.0.1", 0))
        self.port: int = self._reservation.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = home / "brain.log"
        self.pid: int | None = None

    def start(self) -> None:
        """Run the brain, and return when it is healthy."""
        self.pid = self._spawn()
        try:
            self._wait_until_healthy(self.pid)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it as an operator would; agents see close code 1012."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as the OOM killer would; agents see their connection break."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        """End it, and let go of the port."""
        self.stop()
        self._reservation.close()

    def leave_running(self) -> int:
        """Let go of the port alone; whoever gets the pid owns the process now."""
        self._reservation.close()
        assert self.pid is not None
        return self.pid

    def _spawn(self) -> int:
        arguments = ["serve", "--env", "dev", "--host", "127.0.0.1", "--port", str(self.port)]
        arguments += ["--admin-email", ADMIN_EMAIL, "--admin-password", ADMIN_PASSWORD]
        # Of the caller's environment only PATH: a Z4J_* or a proxy variable would change the brain.
        environment = {"HOME": str(self._home), "PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
        environment |= self._environ
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        # Not subprocess.Popen: a shared brain outlives the test process that happened to start it.
        return os.posix_spawn(
            self._executable,
            [str(self._executable), *arguments],
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(self.log), append, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setpgroup=0,
        )

    def _wait_until_healthy(self, pid: int) -> None:
        deadline = time.monotonic() + START_BUDGET_S
        while not _healthy(self.url):
            if _has_ended(pid, within_s=POLL_INTERVAL_S):
                raise RuntimeError(f"the brain ended while it started:\n{self._log_tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the brain was not up within {START_BUDGET_S:.0f} s:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    def _end(self, how: signal.Signals) -> None:
        if self.pid is not None:
            end_process(self.pid, how)
            self.pid = None


def end_process(pid: int, how: signal.Signals) -> None:
    """Signal a process and wait until it is gone, with SIGKILL where it takes longer than its budget."""
    for number in (how, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if _has_ended(pid, within_s=STOP_BUDGET_S):
            break
    with contextlib.suppress(ChildProcessError):  # a brain that another process started is not ours to reap
        os.waitpid(pid, os.WNOHANG)


@contextlib.contextmanager
def running_brain(home: Path, environ: Mapping[str, str] | None = None) -> Iterator[BrainProcess]:
    """A brain of one's own, up, with these variables besides."""
    executable = brain_executable()
    if executable is None:
        raise RuntimeError("the brain is not installed: run `make brain`")
    brain = BrainProcess(executable, home, environ)
    try:
        brain.start()
        yield brain
    finally:
        brain.close()


def shared_brain(directory: Path) -> BrainApi:
    """The brain of this whole test session: whichever test process comes first starts it, all others join.

    Nobody who uses it may stop it: `stop_shared_brain` does, once, when all processes are done.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = directory / SHARED_STATE
        if not state.exists():
            executable = brain_executable()
            if executable is None:
                raise RuntimeError("the brain is not installed: run `make brain`")
            brain = BrainProcess(executable, directory / "home")
            brain.start()
            connect_once(brain.url)
            state.write_text(json.dumps({"pid": brain.leave_running(), "url": brain.url}))
        url: str = json.loads(state.read_text())["url"]
    return BrainApi(url)


def connect_once(url: str) -> None:
    """Have it refuse an agent: on a busy machine its first one waits longer than an ordinary time limit."""
    uri, headers = f"ws{url.removeprefix('http')}/ws/agent", {"Authorization": "Bearer no-token"}
    with (
        contextlib.suppress(WebSocketException),
        connect(uri, additional_headers=headers, open_timeout=START_BUDGET_S, proxy=None) as refused,
    ):
        refused.recv(START_BUDGET_S)


def stop_shared_brain(directory: Path) -> None:
    """End the session's brain, if one was started, and only if the process is still that brain."""
    state = directory / SHARED_STATE
    if not state.exists():
        return
    known = json.loads(state.read_text())
    state.unlink()
    if _healthy(known["url"]):  # a pid that the system has given to another process serves no such port
        end_process(known["pid"], signal.SIGTERM)


def _healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/v1/health", timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _has_ended(pid: int, *, within_s: float) -> bool:
    """Whether the process ends within that time; true for a zombie too, whoever has to reap it."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        readable, _, _ = select.select([descriptor], [], [], within_s)
        return bool(readable)
    finally:
        os.close(descriptor)
