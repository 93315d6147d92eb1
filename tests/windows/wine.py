"""Programs of Windows' CPython, in the root directory that .ci/windows-root makes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

HERE = Path(__file__).parents[2]
ROOT = HERE / ".windows" / "root"
_PYTHON = "/win/python/python.exe"
# Mounts in a namespace of their own: nothing of this is left behind.
_ENTER = """
mount --bind "$1" "$2/z4j" && mount --bind /proc "$2/proc" && mount --bind /dev "$2/dev" || exit 99
root=$2; shift 2; exec chroot "$root" "$@"
"""
Done = subprocess.CompletedProcess[str]
_QUIET = "error: XDG_RUNTIME_DIR is invalid or not set in the environment."


def start(*arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start python.exe with these arguments."""
    command = [*_enter(environ or {}), "wine", _PYTHON, *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)


def _enter(environ: Mapping[str, str]) -> list[str]:
    given = {"HOME": "/root", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "WINEDEBUG": "-all", **environ}
    return [
        "unshare", "--mount", "--propagation", "private", "sh", "-c", _ENTER, "enter", str(HERE), str(ROOT),
        "env", "-i", *(f"{name}={value}" for name, value in given.items()),
    ]  # fmt: skip


def run(
    *arguments: str, environ: Mapping[str, str] | None = None, given: str = "", timeout_s: float = 90.0
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, with `given` on stdin."""
    # into files: Wine's own services keep what they inherit open, and a pipe would never end
    with _text_file() as stdin, _text_file() as out, _text_file() as err:
        stdin.write(given)
        stdin.seek(0)
        command = [*_enter(environ or {}), "wine", _PYTHON, *arguments]
        done = subprocess.run(command, stdin=stdin, stdout=out, stderr=err, timeout=timeout_s, check=False)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().replace(f"{_QUIET}\n", ""))
    return subprocess.CompletedProcess(arguments, done.returncode, *texts)


def _text_file() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # Windows writes its code page


def version() -> str:
    """Wine's, such as 10.0."""
    done = subprocess.run([*_enter({}), "wine", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[0].removeprefix("wine-")


@contextlib.contextmanager
def server() -> Iterator[None]:
    """Keep Wine's server while this is entered: else each program would start it anew."""
    _wineserver("-p600")
    try:
        yield
    finally:
        _wineserver("-k")


def _wineserver(option: str) -> None:
    command = [*_enter({}), "wineserver", option]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def kill(process: subprocess.Popen[str]) -> None:
    """End it at once, as the task manager does: Wine gives TerminateProcess for SIGKILL."""
    os.kill(process.pid, signal.SIGKILL)
    process.wait(30)
