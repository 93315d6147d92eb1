"""`doctor --pid`: the diagnosis that a running process would have made itself."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import cli
from tests.support.agents import closed_port
from tests.support.ladders import SECRET
from tests.support.namespaces import ROOT, python_environ
from tests.support.programs import unavailable
from z4j_fastapi.devbrain import DevBrain

pytestmark = pytest.mark.component

USER = 4242
SETTINGS = {
    "Z4J_BRAIN_URL": "http://127.0.0.1:1",
    "Z4J_TOKEN": "tok-of-the-service",
    "Z4J_HMAC_SECRET": SECRET,
}

# Says that it is there once it has become what the test wants, and lives until its stdin ends.
SERVICE = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for step in sys.argv[1:]:
    kind, _, value = step.partition("=")
    if kind == "unshare" and libc.unshare(int(value, 16)) != 0:
        sys.exit(f"unshare: {os.strerror(ctypes.get_errno())}")
    if kind == "tmpfs" and libc.mount(b"none", value.encode(), b"tmpfs", 0, b"mode=0700,uid=4242") != 0:
        sys.exit(f"mount: {os.strerror(ctypes.get_errno())}")
    if kind == "user":
        os.setgroups([4300]); os.setresgid(int(value), int(value), int(value))
        os.setresuid(int(value), int(value), int(value))
print("there", flush=True)
sys.stdin.read()
"""

HANGING = """
    import asyncio
    from z4j_probes import Code, Probe

    async def run(climb):
        await asyncio.Event().wait()

    PROBE = Probe("waiting", "Does it ever end?", ("buffer",), run, "waiting.timeout", network=False,
                  codes=(Code("waiting.timeout", "it takes too long"),))
"""


@contextmanager
def service(directory: Path, environ: dict[str, str], *steps: str) -> Iterator[int]:
    """A process with that environment and directory; its pid."""
    if os.geteuid() != 0:
        unavailable("standing in for another process needs root")
    process = subprocess.Popen(
        [sys.executable, "-c", SERVICE, *steps],
        env=environ,
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "there\n":
            assert process.stderr is not None
            unavailable(f"this machine does not permit it: {process.stderr.read()}")
        yield process.pid
    finally:
        process.communicate()


def diagnose(home: Path, pid: int, *arguments: str) -> tuple[int, dict[str, Any]]:
    process = cli.run("doctor", "--pid", str(pid), "--json", *arguments, home=home)
    assert process.stderr == ""
    return process.returncode, cli.document(process.stdout)


def row(report: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(probe for probe in report["probes"] if probe["name"] == name)
    return found


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that every user can get to: pytest closes its own whenever another pytest starts."""
    with tempfile.TemporaryDirectory(prefix="z4j-open-") as directory:
        path = Path(directory)
        path.chmod(0o755)
        yield path


async def test_a_service_with_good_settings_is_green(open_path: Path) -> None:
    state = open_path / "state"
    state.mkdir(mode=0o700)
    async with DevBrain() as brain:
        environ = brain.environment(brain.mint("web")) | {"Z4J_HOME": str(state)}
        if os.geteuid() == 0:
            os.chown(state, USER, USER)
        with service(open_path, environ, f"user={USER}") as pid:
            status, report = await asyncio.to_thread(diagnose, open_path, pid)
    assert (status, report["first_failure"]) == (0, None)
    assert report["config"]["buffer_dir"] == str(state)
    assert str(USER) in report["config"]["user"]
    assert list(state.iterdir()) == []


def test_what_the_service_cant_read_is_not_read(open_path: Path) -> None:
    secret = open_path / "token"
    secret.write_text("tok-for-root-alone")
    secret.chmod(0o600)
    environ = {name: SETTINGS[name] for name in ("Z4J_BRAIN_URL", "Z4J_HMAC_SECRET")}
    environ["Z4J_TOKEN_FILE"] = str(secret)
    with service(open_path, environ, f"user={USER}") as pid:
        status, report = diagnose(open_path, pid, "--offline")
    assert (status, report["first_failure"]) == (1, "config.secret_unreadable")
    assert str(secret) in row(report, "config")["message"]


def test_what_the_service_cant_write_is_not_written(open_path: Path) -> None:
    state = open_path / "state"
    state.mkdir(mode=0o700)
    environ = SETTINGS | {"Z4J_HOME": str(state), "TMPDIR": str(open_path)}
    with service(open_path, environ, f"user={USER}") as pid:
        _, report = diagnose(open_path, pid, "--offline")
    assert row(report, "buffer")["code"] in ("buffer.relocated", "buffer.unwritable")
    assert list(state.iterdir()) == []


def test_relative_paths_are_the_services(open_path: Path) -> None:
    (open_path / "token").write_text("tok-in-its-directory")
    environ = SETTINGS | {"Z4J_TOKEN_FILE": "token", "Z4J_HOME": str(open_path)}
    del environ["Z4J_TOKEN"]
    with service(open_path, environ) as pid:
        _, report = diagnose(open_path, pid, "--only", "config")
    assert row(report, "config")["code"] == "config.ok"


def test_this_shells_own_settings_play_no_part(open_path: Path) -> None:
    with service(open_path, {"Z4J_BRAIN_URL": "http://127.0.0.1:1"}) as pid:
        process = cli.run("doctor", "--pid", str(pid), "--json", home=open_path, env=SETTINGS)
    assert cli.document(process.stdout)["first_failure"] == "config.missing"


async def test_the_network_is_the_services(open_path: Path) -> None:
    async with DevBrain() as brain:
        environ = brain.environment(brain.mint("web")) | {"Z4J_HOME": str(open_path / "state")}
        with service(open_path, environ, "unshare=40000000") as pid:  # CLONE_NEWNET, with its lo down
            status, report = await asyncio.to_thread(diagnose, open_path, pid)
        assert status == 1
        assert report["first_failure"] in ("tcp.unreachable", "tcp.refused")
        assert brain.seen.connections == 0


def test_the_file_system_is_the_services(open_path: Path) -> None:
    state = open_path / "state"
    state.mkdir(mode=0o700)
    environ = SETTINGS | {"Z4J_HOME": str(state)}
    steps = ("unshare=20000", f"tmpfs={state}", f"user={USER}")
    with service(open_path, environ, *steps) as pid:
        _, report = diagnose(open_path, pid, "--offline")
    # outside, that directory is root's and nobody else's
    assert row(report, "buffer")["code"] in ("buffer.ok", "buffer.low_space")


def test_a_process_that_is_gone_is_a_usage_error(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    process = cli.run("doctor", "--pid", str(gone.pid), home=tmp_path)
    assert process.returncode == 2
    assert "no such process" in process.stderr or "root" in process.stderr


def test_without_root_it_says_so(tmp_path: Path) -> None:
    handicap = ["user=65534"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.handicap", *handicap, "z4j_fastapi", "doctor", "--pid", "1"],
        env=python_environ(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert f"needs root, to become the service's user: sudo {sys.executable} -m z4j_fastapi" in done.stderr


def test_every_right_is_given_up(open_path: Path) -> None:
    """Groups, capabilities and the way back: nothing of root's is left in the child."""
    if os.geteuid() != 0:
        unavailable("giving up root needs root")
    code = f"""
import os
from z4j_fastapi.as_service.child import Service, run_as
run_as(Service("x", {USER}, {USER}, (4300,), {{}}))
fields = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
print(os.getresuid(), os.getresgid(), os.getgroups())
print({{name: int(fields[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}})
print("NoNewPrivs", fields["NoNewPrivs"].strip())
print("environ is root's to read:", os.stat("/proc/self/environ").st_uid == 0)
try:
    os.setuid(0)
except PermissionError:
    print("no way back")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        f"({USER}, {USER}, {USER}) ({USER}, {USER}, {USER}) [4300]",
        "{'CapInh': 0, 'CapPrm': 0, 'CapEff': 0, 'CapBnd': 0, 'CapAmb': 0}",
        "NoNewPrivs 1",
        "environ is root's to read: True",
        "no way back",
    ]


def test_nothing_of_roots_is_open_in_there(open_path: Path) -> None:
    """Not its terminal, and not what it had opened: code of the service's file system may run (NSS)."""
    if os.geteuid() != 0:
        unavailable("giving up root needs root")
    code = """
import json, os
from z4j_fastapi.as_service.child import Service, act_as
opened = open("/etc/shadow")
def act():
    paths = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    files = {os.readlink(path) for path in paths if os.path.exists(path)}
    return {"files": sorted(files), "leads": os.getsid(0) == os.getpid()}
print(json.dumps(act_as(Service("x", 0, 0, (), {}), act, budget_s=5)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["leads"]
    kinds = {name.partition(":")[0] for name in found["files"] if not name.startswith("/proc/")}
    assert kinds <= {"/dev/null", "pipe"}, found["files"]


def test_one_that_hangs_is_ended(open_path: Path) -> None:
    if os.geteuid() != 0:
        unavailable("giving up root needs root")
    code = f"""
import signal
from z4j_fastapi.as_service import child
child._GRACE_S = 0
try:
    child.act_as(child.Service("x", {USER}, {USER}, (), {{}}), signal.pause, budget_s=0.05)
except child.CannotActAs as exc:
    print(exc)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("can't act as x: it did not answer: timed out\n", "")


def test_ctrl_c_gives_what_the_service_knew_by_then(open_path: Path) -> None:
    state = open_path / "state"
    environ = SETTINGS | {"Z4J_HOME": str(state)}
    plugin = cli.install_plugin(open_path / "site", "waiting", HANGING)
    with service(open_path, environ) as pid:
        process = subprocess.Popen(
            cli.command(*("doctor", "--pid", str(pid), "--json", "--timeout", "60", "--no-websocket")),
            env=cli.environment(open_path, plugin),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not state.exists() and process.poll() is None:
            os.sched_yield()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=cli.PATIENCE_S)
    assert (process.returncode, err) == (130, "")
    report = cli.document(out)
    assert report["interrupted"]
    assert row(report, "config")["code"] == "config.ok"


def test_a_process_that_was_given_no_settings_may_read_them_from_a_file(open_path: Path) -> None:
    file = open_path / "web.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in SETTINGS.items()))
    with service(open_path, {"HOME": str(open_path)}) as pid:
        arguments = ("doctor", "--pid", str(pid), "--json", "--only", "config")
        bare = cli.run(*arguments, home=open_path)
        with_file = cli.run(*arguments, "--env-file", str(file), home=open_path)
    assert bare.returncode == 1
    assert "without all of its settings" in bare.stderr
    assert "--env-file" in bare.stderr
    assert (with_file.returncode, with_file.stderr) == (0, "")


def test_a_wrapper_names_the_process_that_it_started_with_the_settings(open_path: Path) -> None:
    if os.geteuid() != 0:
        unavailable("acting as another process needs root")
    settings = " ".join(f"{name}={value}" for name, value in SETTINGS.items())
    script = f"env {settings} sh -c 'echo $$; exec cat'; :"
    process = subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        done = cli.run("doctor", "--pid", str(process.pid), "--only", "config", home=open_path)
    finally:
        process.communicate()
    assert f"process {child}, which it started, has them: --pid {child}" in done.stderr


def test_a_file_beside_the_program_is_pointed_at(open_path: Path) -> None:
    (open_path / ".env").touch()
    with service(open_path, {"Z4J_AGENT_NAME": "web"}) as pid:
        done = cli.run("doctor", "--pid", str(pid), "--only", "config", home=open_path)
    assert f"--env-file {open_path}/.env" in done.stderr


def test_a_directory_that_is_gone_is_still_where_it_works(open_path: Path) -> None:
    place = open_path / "release-1"
    place.mkdir()
    with service(place, SETTINGS | {"Z4J_HOME": str(open_path / "s")}) as pid:
        place.rmdir()
        status, report = diagnose(open_path, pid, "--only", "config")
    assert (status, report["first_failure"]) == (0, None)


def test_a_directory_that_its_user_may_not_enter_again_is_where_it_works(open_path: Path) -> None:
    """Started there by root, before it became somebody else."""
    place = open_path / "closed"
    place.mkdir(mode=0o700)
    (place / "token").write_text("tok-in-a-closed-place")
    environ = {name: SETTINGS[name] for name in ("Z4J_BRAIN_URL", "Z4J_HMAC_SECRET")}
    environ["Z4J_TOKEN_FILE"] = "token"
    with service(place, environ, f"user={USER}") as pid:
        _, report = diagnose(open_path, pid, "--only", "config")
    assert report["first_failure"] == "config.secret_unreadable"


def test_closed_ports_are_told_apart_by_whose_they_are(open_path: Path) -> None:
    with closed_port() as port:
        environ = SETTINGS | {"Z4J_BRAIN_URL": f"http://127.0.0.1:{port}", "Z4J_HOME": str(open_path / "s")}
        with service(open_path, environ) as pid:
            _, report = diagnose(open_path, pid)
    assert report["first_failure"] == "tcp.refused"
