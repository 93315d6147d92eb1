"""Processes with a user or a mount table of their own, so that a test can take away what root always has."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
_BUDGET_S = 120


# The interpreter and the project may lie where only root can read: they are loaded before root's rights go.
_BECOME = """
import dataclasses, json, os, pathlib, pwd, sqlite3, sys, tempfile, traceback
import z4j_probes.storage
os.setgroups([])
os.setresgid({user}, {user}, {user})
os.setresuid({user}, {user}, {user})
"""


def run_python(
    script: str, *arguments: object, user: int | None = None, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `script` with the project importable, as `user` where one is named (skips unless root)."""
    if user is not None and os.geteuid() != 0:
        pytest.skip("only root can become another user")
    return subprocess.run(
        [
            sys.executable,
            "-c",
            script if user is None else _BECOME.format(user=user) + script,
            *map(str, arguments),
        ],
        cwd=ROOT,
        env=python_environ(environ),
        capture_output=True,
        text=True,
        timeout=_BUDGET_S,
        check=False,
    )


def run_python_with_mount(
    script: str, mount_point: Path, options: str, *arguments: object
) -> subprocess.CompletedProcess[str]:
    """The same with a tmpfs of its own on `mount_point`; skips where mounting is not permitted."""
    unshare, mount = shutil.which("unshare"), shutil.which("mount")
    if unshare is None or mount is None:
        pytest.skip("unshare or mount is not installed")
    namespace = [unshare, "--mount", "--propagation", "private"]
    mounting = f'"{mount}" -t tmpfs -o "$0" none "$1" || exit 125; shift; exec "$@"'
    command = [*namespace, "sh", "-c", mounting, options, str(mount_point)]
    permitted = subprocess.run(
        [*command, "true"], capture_output=True, text=True, timeout=_BUDGET_S, check=False
    )
    if permitted.returncode != 0:
        pytest.skip(f"no mount namespace: {permitted.stderr.strip()}")
    return subprocess.run(
        [*command, sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        env=python_environ(),
        capture_output=True,
        text=True,
        timeout=_BUDGET_S,
        check=False,
    )


def enter(process: int, *kinds: str) -> None:
    """Have this thread in the namespaces of another process: setns(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    for kind in kinds:
        with open(f"/proc/{process}/ns/{kind}", "rb") as namespace:
            if libc.setns(namespace.fileno(), 0) != 0:
                raise OSError(ctypes.get_errno(), f"setns {kind}")


def python_environ(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment in which the project can be imported, with `environ` on top."""
    base = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    path = os.pathsep.join([str(ROOT), str(ROOT / "probes")])
    return {**base, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **(environ or {})}
