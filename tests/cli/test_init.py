"""`init`: three answers become an env file that every way of starting a service reads."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.support.brain_thread import brain_elsewhere
from tests.support.cli import PATIENCE_S, command, environment, run
from tests.support.ladders import SECRET
from z4j_probes.env_file import parse_envfile

pytestmark = pytest.mark.component

TOKEN = "z4j_agent_token_for_tests_0123456789abcdef"


def piped(answers: str, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run `init` with these lines on stdin."""
    return subprocess.run(
        command("init", *arguments),
        input=answers,
        env=environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_what_was_checked_is_written_for_its_owner_only(tmp_path: Path) -> None:
    with brain_elsewhere() as brain:
        settings = brain.environment(brain.mint("web-1"))
        answers = [settings[name] for name in ("Z4J_BRAIN_URL", "Z4J_TOKEN", "Z4J_HMAC_SECRET")]
        done = piped("\n".join(answers), home=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        file = tmp_path / "z4j.env"
        checked = run("doctor", "--env-file", str(file), home=tmp_path)

    assert "The agent can connect." in done.stdout
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(parse_envfile(file.read_text()).values()) == answers
    for way in (
        "uvicorn main:app --env-file z4j.env",
        f"EnvironmentFile={file}",
        "docker run --env-file",
        "kubectl",
    ):
        assert way in done.stdout
    assert answers[1] not in done.stdout + done.stderr
    assert checked.returncode == 0


def test_nothing_is_written_where_a_check_fails(tmp_path: Path) -> None:
    done = piped(f"https://brain.invalid\n'{TOKEN}'\n{SECRET}\n", home=tmp_path)

    assert done.returncode in (1, 2)
    assert not (tmp_path / "z4j.env").exists()
    assert TOKEN not in done.stdout + done.stderr


def test_a_failed_check_says_so_and_how_to_write_anyway(tmp_path: Path) -> None:
    done = piped(f"ftp://brain.invalid\n{TOKEN}\n{SECRET}\n", home=tmp_path)

    assert done.returncode == 1
    assert "error[config.unsupported_scheme]" in done.stdout
    assert "--no-check" in done.stderr
    assert not (tmp_path / "z4j.env").exists()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_exists_is_replaced_only_by_force(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "z4j.env"
    target.write_text("mine") if kind == "file" else target.symlink_to("nowhere")
    answers = f"https://brain.example\n{TOKEN}\n{SECRET}\n"
    refused = piped(answers, "--no-check", home=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "exists (use --force to replace it)" in refused.stderr
    if kind == "file":
        assert target.read_text() == "mine"
        forced = piped(answers, "--no-check", "--force", home=tmp_path)
        assert forced.returncode == 0, forced.stderr
        assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_shell_reads_the_file_as_it_was_answered(tmp_path: Path) -> None:
    done = piped(f"https://brain.example\n{TOKEN}\n{SECRET}\n", "--no-check", home=tmp_path)
    assert done.returncode == 0, done.stderr
    script = f'. {shlex.quote(str(tmp_path / "z4j.env"))}; printf %s "$Z4J_TOKEN"'
    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout == TOKEN


def test_too_few_lines_are_a_usage_error(tmp_path: Path) -> None:
    done = piped("https://brain.example\n", home=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "expected three" in done.stderr


def test_at_a_terminal_token_and_secret_are_not_echoed(tmp_path: Path) -> None:
    pid, master = os.forkpty()
    if pid == 0:  # pragma: no cover - the child
        os.chdir(tmp_path)
        os.execvpe(command()[0], command("init", "--no-check"), environment(tmp_path))
    seen = b""
    for prompt, answer in (
        (b"Brain URL", "https://brain.example"),
        (b"Token: ", TOKEN),
        (b"HMAC secret: ", SECRET),
        (b"Check it at any time", ""),
    ):
        while prompt not in seen:
            seen += os.read(master, 4096)
        os.write(master, f"{answer}\n".encode())
    _, status = os.waitpid(pid, 0)
    os.close(master)
    assert os.waitstatus_to_exitcode(status) == 0
    assert TOKEN.encode() not in seen
    assert SECRET.encode() not in seen
    assert f"Z4J_TOKEN={TOKEN}\n" in (tmp_path / "z4j.env").read_text()


def test_ctrl_c_at_a_secret_leaves_the_terminal_with_its_echo_and_no_file(tmp_path: Path) -> None:
    pid, master = os.forkpty()
    if pid == 0:  # pragma: no cover - the child
        os.chdir(tmp_path)
        os.execvpe(command()[0], command("init"), environment(tmp_path))
    seen = b""
    for prompt, answer in ((b"Brain URL", b"https://brain.example\n"), (b"Token: ", b"\x03")):
        while prompt not in seen:
            seen += os.read(master, 4096)
        while prompt == b"Token: " and termios.tcgetattr(master)[3] & termios.ECHO:
            time.sleep(0.01)  # the prompt is written before the echo is off
        os.write(master, answer)
    while b"Nothing was written." not in seen:
        seen += os.read(master, 4096)
    _, status = os.waitpid(pid, 0)
    assert termios.tcgetattr(master)[3] & termios.ECHO
    os.close(master)
    assert os.waitstatus_to_exitcode(status) == 130
    assert seen.splitlines()[-1] == b"Nothing was written."
    assert not list(tmp_path.glob("*.env"))


def test_a_rejected_token_is_asked_for_again_and_not_exported(tmp_path: Path) -> None:
    with brain_elsewhere() as brain:
        done = piped(f"{brain.url}\n{TOKEN}\n{SECRET}\n", home=tmp_path)
    said = " ".join(done.stdout.split())
    assert done.returncode == 1
    assert "settings from your answers" in said
    assert "Run this command again, and paste it without quotes or spaces." in said
    assert "export" not in said


def test_what_the_check_used_of_the_environment_is_written_too(tmp_path: Path) -> None:
    others = {
        "Z4J_AGENT_NAME": "web",
        "Z4J_HOME": str(tmp_path / "z4j"),
        "Z4J_LABELS": "a b",
        "Z4J_TOKEN": "x",
    }
    done = subprocess.run(
        command("init", "--no-check"),
        input=f"https://brain.example\n{TOKEN}\n{SECRET}\n",
        env=environment(tmp_path, others),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert "Also written, from this shell's environment: Z4J_AGENT_NAME, Z4J_HOME." in done.stderr
    written = parse_envfile((tmp_path / "z4j.env").read_text())
    assert written == {
        "Z4J_BRAIN_URL": "https://brain.example",
        "Z4J_TOKEN": TOKEN,
        "Z4J_HMAC_SECRET": SECRET,
        "Z4J_AGENT_NAME": "web",
        "Z4J_HOME": str(tmp_path / "z4j"),
    }


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can become another user")
def test_a_directory_that_can_not_be_written_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    as_another = ("-m", "tests.support.handicap", "user=4242", "z4j_fastapi")
    done = subprocess.run(
        [sys.executable, *as_another, "init", "--output", "/z4j.env"],
        stdin=subprocess.DEVNULL,
        env=environment(tmp_path, {"PYTHONPATH": os.pathsep.join(sys.path)}),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: can't write /z4j.env: permission denied\n"
