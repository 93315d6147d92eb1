"""Everything that a service imports, and every command, on a Python without what only Unix has."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from z4j_fastapi.devbrain import DevBrain

pytestmark = pytest.mark.component

# A stand-in for Windows as far as modules and names go: what is not ours is loaded before.
_HIDE = """
import asyncio, concurrent.futures, ctypes, getpass, importlib.metadata, logging, mimetypes, os
import multiprocessing, pathlib, platform, select, shutil, signal, socket, sqlite3, ssl, subprocess, sys
import tempfile, zipfile
import dns.asyncquery, fastapi, httpx, rich, typer, uvicorn
import websockets.asyncio.client, websockets.asyncio.server
for name in ("fcntl", "pwd", "grp", "resource", "termios", "tty", "pty"):
    sys.modules[name] = None
for module, names in {
    os: ("register_at_fork", "geteuid", "getegid", "getuid", "getgid", "getgroups", "fchmod", "chown", "fork",
         "pread", "fdatasync", "O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_DIRECTORY"),
    signal: ("pthread_sigmask", "sigpending", "SIGHUP", "SIGKILL", "SIG_BLOCK"),
    select: ("poll",),
    socket: ("TCP_INFO", "TCP_KEEPIDLE"),
}.items():
    for name in names:
        delattr(module, name)
"""
_COMMAND = """
import runpy, sys
sys.argv = ["z4j-fastapi", *sys.argv[1:]]
from z4j_fastapi.cli.main import main
main()
"""
_AGENT = """
import asyncio
from z4j_fastapi import Z4JAgent
async def live():
    async with Z4JAgent(preflight="strict") as agent:
        for number in range(20):
            assert agent.emit("task.received", task_id=str(number), task_name="t")
        print(agent.status.state.value)
asyncio.run(live())
"""


def run(
    code: str, *arguments: str, environ: dict[str, str] | None = None, given: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _HIDE + code, *arguments],
        input=given, capture_output=True, text=True, timeout=60, check=False, env=environ,
    )  # fmt: skip


def test_a_service_starts_with_every_public_name() -> None:
    done = run("import z4j_fastapi\nfor name in z4j_fastapi.__all__: getattr(z4j_fastapi, name)")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["--help", "explain tcp.refused", "probes", "info"])
def test_a_command_that_needs_no_brain_works(command: str) -> None:
    done = run(_COMMAND, *command.split())
    assert (done.returncode, done.stderr) == (0, "")


async def test_the_doctor_and_the_agent_work_against_a_brain(tmp_path: Path) -> None:
    async with DevBrain() as brain:
        environ = {"HOME": str(tmp_path), "PATH": "", **brain.environment(brain.mint("web"))}
        found = await asyncio.to_thread(run, _COMMAND, "doctor", environ=environ)
        assert (found.returncode, found.stderr) == (0, ""), found.stdout
        lived = await asyncio.to_thread(run, _AGENT, environ=environ)
        assert lived.stdout.strip() == "online", lived.stderr
        assert len(brain.seen.events) == 20


async def test_init_writes_what_it_has_checked(tmp_path: Path) -> None:
    env_file = tmp_path / "z4j.env"
    async with DevBrain() as brain:
        minted = brain.environment(brain.mint("web"))
        given = "".join(f"{minted[f'Z4J_{name}']}\n" for name in ("BRAIN_URL", "TOKEN", "HMAC_SECRET"))
        command = (_COMMAND, "init", "--output", str(env_file))
        environ = {"HOME": str(tmp_path), "PATH": ""}
        done = await asyncio.to_thread(run, *command, environ=environ, given=given)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert minted["Z4J_TOKEN"] in env_file.read_text()


def test_status_looks_at_the_directories_of_the_settings(tmp_path: Path) -> None:
    done = run(_COMMAND, "status", environ={"HOME": str(tmp_path), "PATH": ""})
    assert (done.returncode, done.stderr) == (1, "")
    assert "No agent runs here." in done.stdout


def test_a_missing_setting_is_named_and_not_a_traceback() -> None:
    done = run(_COMMAND, "doctor", "--json", environ={"HOME": "/nonexistent", "PATH": ""})
    assert done.returncode == 1
    assert '"first_failure": "config.missing"' in done.stdout
