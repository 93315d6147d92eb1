"""The command line as a person meets it: a process of its own, with an environment of its own."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support import fork_server, schemas
from tests.support.ladders import SECRET

# Far more than any command takes: a test that reaches it has found a hang.
PATIENCE_S = 60.0


def command(*arguments: str) -> list[str]:
    """The command line that runs z4j-fastapi with these arguments."""
    return [sys.executable, "-m", "z4j_fastapi", *arguments]


def environment(home: Path, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """A login's environment with nothing of ours in it but what is given."""
    mine = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm-256color"}
    return mine | dict(given or {})


def unmounted(home: Path) -> dict[str, str]:
    """Settings that may still become complete: a secret's file is not there yet."""
    return {
        "Z4J_BRAIN_URL": "http://127.0.0.1:1",
        "Z4J_TOKEN_FILE": str(home / "not-mounted-yet"),
        "Z4J_HMAC_SECRET": SECRET,
    }


def run(
    *arguments: str, home: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run to the end, with stdout and stderr as pipes."""
    environ = environment(home, env)
    if fork_server.can_run(environ):
        return fork_server.run("z4j_fastapi", *arguments, environ=environ, timeout_s=PATIENCE_S)
    return subprocess.run(
        command(*arguments),
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def document(stdout: str) -> dict[str, Any]:
    """The report on stdout, held to the schema."""
    report: dict[str, Any] = json.loads(stdout)
    check(report)
    return report


def check(report: dict[str, Any]) -> None:
    """Hold a report to the schema."""
    schemas.check(report, "z4j.doctor")


def on_terminal(
    *arguments: str,
    home: Path,
    columns: int,
    env: Mapping[str, str] | None = None,
    interrupt_at: bytes | None = None,
    terminate_at: bytes | None = None,
    prefix: tuple[str, ...] = (),
) -> tuple[int, bytes]:
    """Run on a pseudo-terminal of that width, by `prefix`; the status and all that was written to it.

    `interrupt_at` types Ctrl-C as soon as that text has appeared, `terminate_at` sends SIGTERM then.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen(
        [*prefix, *command(*arguments)],
        env=environment(home, env),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    seen = bytearray()
    deadline_s = time.monotonic() + PATIENCE_S
    try:
        while time.monotonic() < deadline_s:
            if not select.select([master], [], [], 0.1)[0]:
                continue
            try:
                chunk = os.read(master, 65536)
            except OSError:  # EIO: the last process has left the terminal
                break
            if not chunk:
                break
            seen += chunk
            if interrupt_at is not None and interrupt_at in seen:
                os.write(master, b"\x03")
                interrupt_at = None
            if terminate_at is not None and terminate_at in seen:
                process.terminate()
                terminate_at = None
        return process.wait(timeout=PATIENCE_S), bytes(seen)
    finally:
        os.close(master)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()


def install_plugin(directory: Path, name: str, source: str) -> dict[str, str]:
    """Install a package with one probe; the variables under which a process finds it.

    `source` is the module's code; its attribute PROBE is the entry point.
    """
    directory.mkdir(exist_ok=True)
    (directory / f"plugin_{name}.py").write_text(textwrap.dedent(source))
    info = directory / f"plugin_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: plugin-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[z4j_fastapi.probes]\n{name} = plugin_{name}:PROBE\n")
    return {"PYTHONPATH": str(directory)}
