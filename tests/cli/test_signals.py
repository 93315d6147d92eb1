"""SIGTERM ends a run as Ctrl-C does: with the report so far, and whatever the process is."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.as_service.test_process import HANGING as HANGING_BEHIND_THE_BUFFER
from tests.as_service.test_process import SETTINGS, open_path, service
from tests.cli.test_doctor_command import HANGING
from tests.support.cli import (
    PATIENCE_S,
    command,
    document,
    environment,
    install_plugin,
    on_terminal,
    run,
    unmounted,
)
from tests.support.namespaces import run_python
from tests.support.programs import program, unavailable

pytestmark = pytest.mark.component

__all__ = ["open_path"]


@pytest.fixture(autouse=True)
def hears_of_hangups() -> Iterator[None]:
    """Also where the tests run under nohup, which programs inherit."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def waiting(*prefix: str, home: Path, ignoring: str = "") -> subprocess.Popen[str]:
    """A `doctor --wait` that has made its first attempt, and pauses."""
    shell = [program("sh"), "-c", f'{ignoring} exec "$@"', "sh"] if ignoring else []
    process = subprocess.Popen(
        [*prefix, *shell, *command("doctor", "--only", "config", "--wait", "60", "--json")],
        env=environment(home, unmounted(home)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "not ready (config.secret_unreadable)" in process.stderr.readline()
    return process


@pytest.mark.parametrize("ignoring", ["", "trap '' INT;"], ids=["", "in the background of a shell"])
def test_sigterm_leaves_the_report_so_far(tmp_path: Path, ignoring: str) -> None:
    process = waiting(home=tmp_path, ignoring=ignoring)
    process.terminate()
    out, _ = process.communicate(timeout=PATIENCE_S)
    report = document(out)
    assert (process.returncode, report["exit_code"], report["interrupted"]) == (143, 143, True)


@pytest.mark.parametrize("ignoring", ["", "trap '' INT;"], ids=["", "in the background of a shell"])
def test_sigterm_ends_a_climb(tmp_path: Path, ignoring: str) -> None:
    plugin = install_plugin(tmp_path / "site", "waiting", HANGING)
    arguments = ("doctor", "--json", "--only", "buffer", "--only", "waiting", "--timeout", "60")
    process = subprocess.Popen(
        [program("sh"), "-c", f'{ignoring} exec "$@"', "sh", *command(*arguments)],
        env=environment(tmp_path, SETTINGS | plugin | {"Z4J_HMAC_SECRET": "A" * 43}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / ".z4j").exists() and process.poll() is None:
        os.sched_yield()
    process.terminate()
    out, err = process.communicate(timeout=PATIENCE_S)
    report = document(out)
    assert (process.returncode, report["exit_code"], err) == (143, 143, "")
    assert report["probes"][0]["code"] == "config.ok"


def test_a_containers_first_process_hears_sigterm(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        unavailable("a pid namespace needs root")
    namespace = (program("unshare"), "--pid", "--fork", "--mount-proc", "--kill-child")
    process = waiting(*namespace, home=tmp_path)
    (first,) = children(process.pid)
    os.kill(first, signal.SIGTERM)
    out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143
    assert document(out)["first_failure"] == "config.secret_unreadable"


def test_a_terminal_gets_its_cursor_back(tmp_path: Path) -> None:
    plugin = install_plugin(tmp_path / "site", "waiting", HANGING)
    status, seen = on_terminal(
        *("doctor", "--timeout", "60"),
        home=tmp_path,
        columns=80,
        env=plugin,
        terminate_at=b"Does it ever end?",
    )
    assert status == 143
    assert seen.rfind(b"\x1b[?25h") > seen.rfind(b"\x1b[?25l")
    assert b"Interrupted" in seen


def test_a_reader_that_has_stopped_reading_keeps_nobody(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)  # full with the second report
    process = subprocess.Popen(
        command("doctor", "--only", "config", "--json", "--watch", "0.001"),
        env=environment(tmp_path),
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    full = select.poll()
    full.register(writing, select.POLLOUT)
    while full.poll(0) and process.poll() is None:
        os.sched_yield()
    process.terminate()
    _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (143, b"")
    os.close(writing)
    os.close(reading)


HELD_BACK = """
import os, signal, sys
from z4j_fastapi import signals
signals.block_signals()
os.kill(os.getpid(), int(sys.argv[1]))
assert signals.has_come()
try:
    with signals.interruptible():
        print("nothing inside was done")
except KeyboardInterrupt:
    print("ended", signals.has_come())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_was_held_back_has_come_once_it_is_let_through(number: int) -> None:
    """What is written behind it must not wait for its reader for ever."""
    assert run_python(HELD_BACK, str(int(number))).stdout == "ended True\n"


# Sends the signal when the first module of the probes is looked for: before anything can answer it.
EARLY = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "z4j_probes":
            sys.meta_path.remove(self)
            os.kill(os.getpid(), int(os.environ["TEST_SIGNAL"]))
sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_comes_while_the_program_is_imported_leaves_a_report(
    tmp_path: Path, number: int, status: int
) -> None:
    (tmp_path / "sitecustomize.py").write_text(EARLY)
    env = {"PYTHONPATH": str(tmp_path), "TEST_SIGNAL": str(int(number))}
    done = subprocess.run(
        command("doctor", "--offline", "--json"),
        env=environment(tmp_path, env),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    report = document(done.stdout)
    assert (done.returncode, report["exit_code"], done.stderr) == (status, status, "")
    assert report["interrupted"] is True


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_that_makes_no_report_says_what_ended_it(tmp_path: Path, number: int, status: int) -> None:
    file = tmp_path / "reports.jsonl"
    os.mkfifo(file)
    process = subprocess.Popen(
        command("report", "merge", str(file)),
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with file.open("w"):  # once it reads, and waits
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out, err) == (status, "", "")


def stood_in(open_path: Path, pid: int) -> tuple[subprocess.Popen[str], int]:
    """A `doctor --pid` whose child hangs in the service's place, and the child."""
    plugin = install_plugin(open_path / "site", "waiting", HANGING_BEHIND_THE_BUFFER)
    process = subprocess.Popen(
        command("doctor", "--pid", str(pid), "--json", "--timeout", "60", "--no-websocket"),
        env=environment(open_path, plugin),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (open_path / "state").exists() and process.poll() is None:
        os.sched_yield()
    (child,) = children(process.pid)
    return process, child


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_gives_what_the_service_knew_by_then(open_path: Path, number: int, status: int) -> None:
    environ = SETTINGS | {"Z4J_HOME": str(open_path / "state"), "Z4J_HMAC_SECRET": "A" * 43}
    with service(open_path, environ) as pid:
        process, child = stood_in(open_path, pid)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_S)
    report = document(out)
    assert (process.returncode, report["exit_code"], err) == (status, status, "")
    assert report["interrupted"] is True
    assert not Path(f"/proc/{child}").exists()


def test_no_child_outlives_a_doctor_that_was_killed(open_path: Path) -> None:
    environ = SETTINGS | {"Z4J_HOME": str(open_path / "state"), "Z4J_HMAC_SECRET": "A" * 43}
    open_path.chmod(0o777)
    with service(open_path, environ, "user=4242") as pid:
        process, child = stood_in(open_path, pid)
        watched = os.pidfd_open(child)
        process.kill()
        process.communicate(timeout=PATIENCE_S)
        ended, _, _ = select.select([watched], [], [], PATIENCE_S)
        os.close(watched)
    assert ended


PENDING = """
import os, signal
from z4j_fastapi.signals import block_signals
from z4j_fastapi.cli.streams import write_stdout
block_signals()
os.kill(os.getpid(), signal.SIGTERM)
write_stdout("the report")
os._exit(0)
"""


def test_what_comes_while_a_report_is_made_does_not_cost_it() -> None:
    assert run_python(PENDING).stdout == "the report"


STUCK = """
import fcntl, os, signal, sys
from z4j_fastapi.signals import block_signals
from z4j_fastapi.cli.streams import write_stdout
reading, writing = os.pipe()
os.dup2(writing, 1)
block_signals()
os.kill(os.getpid(), signal.{signal})
try:
    write_stdout("x" * (fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ) + 1))
except KeyboardInterrupt:
    os._exit(7)
"""


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_what_comes_while_a_report_is_made_ends_it_where_nobody_reads(number: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", STUCK.format(signal=number)], capture_output=True, timeout=PATIENCE_S
    )
    assert (result.returncode, result.stderr) == (7, b"")


LATE = """
import os, signal
from z4j_fastapi import signals
from z4j_fastapi.cli.streams import write_stdout
reading, writing = os.pipe()
os.dup2(writing, 1)
signals.block_signals()
signals.end_after(0.01)
signal.sigwait({signal.SIGALRM})
os.kill(os.getpid(), signal.SIGALRM)
os.kill(os.getpid(), signal.SIGINT)
try:
    write_stdout("x" * 2**20)
except KeyboardInterrupt:
    os._exit(7 if signals.is_over() else 8)
"""


def test_a_deadline_has_passed_whatever_else_came_behind_a_reader_that_reads_nothing() -> None:
    """So the exit status is 1 and not 130: a script waits for its deadline, and has no Ctrl-C."""
    assert subprocess.run([sys.executable, "-c", LATE], timeout=PATIENCE_S).returncode == 7


DEADLINE_BEHIND_A_REPORT = """
import os, signal, time
from z4j_fastapi import signals
from z4j_fastapi.cli.streams import write_stdout
signals.block_signals()
signals.end_after({deadline_s})
os.kill(os.getpid(), signal.SIGINT)
with signals.last_word(60):
    time.sleep({report_s})
try:
    with signals.interruptible():
        pass
except KeyboardInterrupt:
    print("the report is written", signals.is_over())
try:
    with signals.interruptible():
        time.sleep(60)
except KeyboardInterrupt:
    print("its bundle is not", signals.is_over())
"""


@pytest.mark.parametrize(("deadline_s", "report_s"), [(0.5, 0), (0.05, 0.2)], ids=["to come", "passed"])
def test_a_deadline_goes_on_behind_a_report_that_a_signal_came_upon(
    deadline_s: float, report_s: float
) -> None:
    done = run_python(DEADLINE_BEHIND_A_REPORT.format(deadline_s=deadline_s, report_s=report_s))
    assert done.stdout.splitlines()[-1] == "its bundle is not True"


# Starts a doctor from a thread that ends at once, and says its pid when it has made its first attempt.
PARENT = """
import subprocess, sys, threading
started = []
def start():
    started.append(subprocess.Popen(sys.argv[1:], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL))
thread = threading.Thread(target=start)
thread.start()
thread.join()
started[0].stderr.readline()
print(started[0].pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("nohup", [False, True])
def test_a_doctor_ends_with_the_process_that_started_it_unless_it_was_told_to_go_on(
    tmp_path: Path, nohup: bool
) -> None:
    doctor = command("doctor", "--only", "config", "--wait", "60", "--json")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *((program("nohup"),) if nohup else ()), *doctor],
        env=environment(tmp_path, unmounted(tmp_path)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    watched = os.pidfd_open(pid)
    assert not select.select([watched], [], [], 0.5)[0], "the thread that started it is gone, its process not"
    parent.kill()
    parent.communicate()
    gone, _, _ = select.select([watched], [], [], 0.5 if nohup else PATIENCE_S)
    os.close(watched)
    assert bool(gone) is not nohup
    if nohup:
        os.kill(pid, signal.SIGTERM)


def test_a_status_that_is_watched_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    watching = command("status", "--watch", "0.1", "--json")
    shell = subprocess.Popen(
        [program("sh"), "-c", '"$@" & echo $!; wait', "sh", *watching],
        env=environment(tmp_path, {"Z4J_HOME": str(tmp_path)}),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert shell.stdout is not None
    pid = int(shell.stdout.readline())
    assert shell.stdout.readline(), "it has begun"
    watched = os.pidfd_open(pid)
    shell.kill()
    gone, _, _ = select.select([watched], [], [], PATIENCE_S)
    os.close(watched)
    shell.stdout.close()
    shell.wait()
    assert gone


def test_an_interrupted_run_says_what_it_was_waiting_for(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    telling = HANGING_BEHIND_THE_BUFFER.replace("await ", f"open({str(begun)!r}, 'x').close(); await ")
    plugin = install_plugin(tmp_path / "site", "waiting", telling)
    env = SETTINGS | plugin | {"Z4J_HMAC_SECRET": "A" * 43, "Z4J_TOKEM": "a warning of a bystander"}
    process = subprocess.Popen(
        command("doctor", "--format", "nagios", "--only", "buffer", "--only", "waiting", "--timeout", "60"),
        env=environment(tmp_path, env),
        stdout=subprocess.PIPE,
        text=True,
    )
    while not begun.exists() and process.poll() is None:
        os.sched_yield()
    process.terminate()
    out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 3
    assert re.match(r"Z4J UNKNOWN - Interrupted after [\d.]+ s while waiting was waiting", out)


def test_a_deadline_ends_a_climb_and_names_what_it_waited_for(tmp_path: Path) -> None:
    plugin = install_plugin(tmp_path / "site", "waiting", HANGING)
    env = SETTINGS | plugin | {"Z4J_HMAC_SECRET": "A" * 43}
    arguments = ("--only", "waiting", "--timeout", "60", "--deadline", "2", "--json")
    done = run("doctor", *arguments, home=tmp_path, env=env)
    report = document(done.stdout)
    assert (done.returncode, report["exit_code"]) == (1, 1)
    assert report["first_failure"] == "waiting.timeout"
    assert report["duration_ms"] < 3000


def test_a_deadline_ends_what_comes_before_a_climb(tmp_path: Path) -> None:
    plugin = install_plugin(tmp_path / "site", "waiting", "import time; time.sleep(60)")
    done = run("doctor", "--deadline", "0.5", "--json", home=tmp_path, env=plugin)
    report = document(done.stdout)
    assert (done.returncode, report["exit_code"], report["interrupted"]) == (1, 1, True)
