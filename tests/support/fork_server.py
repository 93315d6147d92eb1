"""A process that has loaded the package once, and forks for each run: `python -m` without its start.

Tests start the command line by the hundred, and most of what each start costs is imports. A run here is a
process of its own, with an environment, a directory, and streams of its own. What a run imports, and how an
interpreter ends, it does not show: tests of that start one.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import json
import multiprocessing.connection
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkProcess
from typing import Any

from tests.support import handicap
from tests.support.namespaces import ROOT, enter
from z4j_fastapi.cli import doctor

_REQUEST_BYTES = 1 << 20
_READY = b"ready"
# Read by the interpreter as it starts, when this server has long started.
_LOCALE = ("LANG", "LC_ALL", "LC_CTYPE")


def can_run(environ: Mapping[str, str]) -> bool:
    """Whether nothing in there changes how an interpreter starts."""
    own = _environ()
    given = {name: value for name, value in environ.items() if name.startswith("PYTHON") or name in _LOCALE}
    return all(own.get(name) == value for name, value in given.items())


def run(
    module: str,
    *arguments: str,
    environ: Mapping[str, str],
    directory: str | os.PathLike[str] = ".",
    handicaps: Sequence[str] = (),
    beside: int | None = None,
    timeout_s: float,
) -> subprocess.CompletedProcess[str]:
    """Run a module to its end, as `subprocess.run([sys.executable, "-m", module, ...])` does.

    `beside` is a process whose network and mounts it gets; `handicaps` are those of `tests.support.handicap`.
    Raises TimeoutExpired, once the process was killed.
    """
    command = [sys.executable, "-m", module, *arguments]
    sys.audit("subprocess.Popen", sys.executable, command, None, None)  # what conftest.py watches
    request = {
        "module": module,
        "arguments": arguments,
        "environ": dict(environ),
        "directory": os.path.abspath(directory),
        "handicaps": list(handicaps),
        "beside": beside,
    }
    ends = [os.pipe() for _ in range(3)]
    try:
        socket.send_fds(_server(), [json.dumps(request).encode()], [write for _, write in ends])
    finally:
        for _, write in ends:
            os.close(write)
    out, err, fate = _read([read for read, _ in ends], command, timeout_s)
    status = int(fate.split()[1])
    return subprocess.CompletedProcess(command, status, out.decode(), err.decode())


def _read(ends: list[int], command: list[str], timeout_s: float) -> list[bytes]:
    """All that comes out of these; the last tells the process's id, and then its exit status."""
    read = dict.fromkeys(ends, b"")
    deadline_s = time.monotonic() + timeout_s
    with selectors.DefaultSelector() as selector:
        for end in ends:
            selector.register(end, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(deadline_s - time.monotonic())
            if not ready and time.monotonic() > deadline_s:
                os.kill(int(read[ends[-1]].split()[0]), signal.SIGKILL)
                raise subprocess.TimeoutExpired(command, timeout_s, read[ends[0]], read[ends[1]])
            for key, _ in ready:
                chunk = os.read(key.fd, 65536)
                read[key.fd] += chunk
                if not chunk:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    return list(read.values())


@functools.cache
def _server() -> socket.socket:
    """This process's server; it ends with the connection."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _REQUEST_BYTES)
    command = [sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno())]
    process = subprocess.Popen(
        command, pass_fds=[theirs.fileno()], env=_environ(), cwd=ROOT, stdin=subprocess.DEVNULL
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    assert ours.recv(len(_READY)) == _READY, "the fork server ended while it started"
    return ours


def _environ() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "probes")])
    names = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    return {**names, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def main() -> None:
    """Serve until the connection ends."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    handicap.load_everything()
    gc.freeze()
    connection.send(_READY)
    running: dict[int, tuple[ForkProcess, int]] = {}
    while True:
        for ready in multiprocessing.connection.wait([connection, *running]):
            if isinstance(ready, int):
                process, fate = running.pop(ready)
                process.join()
                with contextlib.suppress(BrokenPipeError):  # nobody waits any longer
                    os.write(fate, str(process.exitcode).encode())
                os.close(fate)
                process.close()
                continue
            message, descriptors, *_ = socket.recv_fds(connection, _REQUEST_BYTES, 3)
            if not message:
                return
            out, err, fate = descriptors
            ours = [connection.fileno(), *descriptors, *(other for _, other in running.values())]
            process = ForkProcess(target=_run, args=(json.loads(message), out, err, ours))
            process.start()
            os.write(fate, f"{process.pid} ".encode())
            os.close(out)
            os.close(err)
            running[process.sentinel] = process, fate


def _run(request: dict[str, Any], out: int, err: int, servers: list[int]) -> None:
    """Become the process that was asked for."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    for descriptor in servers:
        os.close(descriptor)
    # as at the start of an interpreter, which keeps them by these names, too
    sys.stdout = open(1, "w", -1, "utf-8", "surrogateescape", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc]
    vars(doctor)["STARTED_S"] = time.monotonic()  # from which a deadline counts
    os.environ.clear()
    os.environ.update(request["environ"])
    time.tzset()
    if (process := request["beside"]) is not None:
        enter(process, "net", "mnt")
    os.chdir(request["directory"])
    sys.path[0] = os.getcwd()
    handicap.run(request["module"], request["arguments"], request["handicaps"])


if __name__ == "__main__":
    main()
