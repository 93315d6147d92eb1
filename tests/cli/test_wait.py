"""`doctor --wait` on a terminal: a line that counts down, and nothing of it left behind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.cli import document, on_terminal, run, unmounted

pytestmark = pytest.mark.component

COUNTING = rb"next attempt in \d s, \d+ s left"
WIPE = b"\r\x1b[K"


def test_a_terminal_sees_the_time_run_out(tmp_path: Path) -> None:
    status, seen = on_terminal(
        "doctor", "--only", "config", "--wait", "1.5", home=tmp_path, columns=80, env=unmounted(tmp_path)
    )

    assert status == 1
    assert re.search(COUNTING, seen)
    last = [match.end() for match in re.finditer(rb"retrying \.\.\.", seen)][-1]
    assert seen[last:].startswith(WIPE), "the counting line is wiped before the report"
    assert b"not ready (config.secret_unreadable)" in seen


def test_ctrl_c_ends_the_wait_with_the_last_report(tmp_path: Path) -> None:
    status, seen = on_terminal(
        "doctor",
        "--only",
        "config",
        "--wait",
        "60",
        home=tmp_path,
        columns=80,
        env=unmounted(tmp_path),
        interrupt_at=b"next attempt in",
    )

    assert status == 130
    assert b"Interrupted" in seen
    assert b"config.secret_unreadable" in seen


def test_a_terminal_without_escape_codes_gets_lines(tmp_path: Path) -> None:
    _, seen = on_terminal(
        *("doctor", "--only", "config", "--wait", "1"),
        home=tmp_path,
        columns=80,
        env=unmounted(tmp_path) | {"TERM": "dumb"},
    )

    assert b"\x1b" not in seen
    assert b"not ready (config.secret_unreadable)" in seen
    assert b"next attempt in" not in seen


def test_a_log_gets_lines_that_stay(tmp_path: Path) -> None:
    done = run("doctor", "--only", "config", "--wait", "2", home=tmp_path, env=unmounted(tmp_path))

    assert "not ready (config.secret_unreadable)" in done.stderr
    assert "\r" not in done.stderr
    assert "next attempt" not in done.stderr


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"Z4J_TOKEN": ""}, "config.missing"),
        ({"Z4J_BRAIN_URL": "ftp://brain.example"}, "config.unsupported_scheme"),
        ({"Z4J_HMAC_SECRET": "short"}, "config.secret_malformed"),
        ({"Z4J_LABELS": "nonsense"}, "config.invalid_value"),
    ],
)
def test_what_is_wrong_in_the_environment_is_not_waited_for(
    tmp_path: Path, changed: dict[str, str], code: str
) -> None:
    env = unmounted(tmp_path) | {"Z4J_TOKEN_FILE": "", "Z4J_TOKEN": "some-token-of-a-brain"} | changed
    done = run("doctor", "--only", "config", "--wait", "25", "--json", home=tmp_path, env=env)

    assert (done.returncode, document(done.stdout)["first_failure"]) == (1, code)
    assert f"not retrying ({code})" in done.stderr


def test_what_is_missing_in_an_env_file_may_still_come(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("Z4J_TOKEN=bad token\n")
    env = unmounted(tmp_path) | {"Z4J_TOKEN_FILE": ""}
    arguments = ("--only", "config", "--wait", "2", "--env-file", str(tmp_path / "env"))
    done = run("doctor", *arguments, home=tmp_path, env=env)

    assert "not ready (config.token_malformed)" in done.stderr


def test_a_deadline_ends_a_wait(tmp_path: Path) -> None:
    arguments = ("--only", "config", "--wait", "600", "--deadline", "1.5")
    done = run("doctor", *arguments, home=tmp_path, env=unmounted(tmp_path))

    assert done.returncode == 1
    assert "error[config.secret_unreadable]" in done.stdout
