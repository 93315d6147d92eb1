"""`doctor --wait` on a terminal: a line that counts down, and nothing of it left behind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.cli import on_terminal, run

pytestmark = pytest.mark.component

COUNTING = rb"next attempt in \d s, \d+ s left"
WIPE = b"\r\x1b[K"


def test_a_terminal_sees_the_time_run_out(tmp_path: Path) -> None:
    status, seen = on_terminal("doctor", "--only", "config", "--wait", "1.5", home=tmp_path, columns=80)

    assert status == 1
    assert re.search(COUNTING, seen)
    last = [match.end() for match in re.finditer(rb"retrying \.\.\.", seen)][-1]
    assert seen[last:].startswith(WIPE), "the counting line is wiped before the report"
    assert b"not ready (config.missing)" in seen


def test_ctrl_c_ends_the_wait_with_the_last_report(tmp_path: Path) -> None:
    status, seen = on_terminal(
        "doctor",
        "--only",
        "config",
        "--wait",
        "60",
        home=tmp_path,
        columns=80,
        interrupt_at=b"next attempt in",
    )

    assert status == 130
    assert b"Interrupted" in seen
    assert b"config.missing" in seen


def test_a_terminal_without_escape_codes_gets_lines(tmp_path: Path) -> None:
    _, seen = on_terminal(
        *("doctor", "--only", "config", "--wait", "1"), home=tmp_path, columns=80, env={"TERM": "dumb"}
    )

    assert b"\x1b" not in seen
    assert b"not ready (config.missing)" in seen
    assert b"next attempt in" not in seen


def test_a_log_gets_lines_that_stay(tmp_path: Path) -> None:
    done = run("doctor", "--only", "config", "--wait", "0.1", home=tmp_path)

    assert "not ready (config.missing)" in done.stderr
    assert "\r" not in done.stderr
    assert "next attempt" not in done.stderr
