"""stdout and stderr that are closed, full or without a reader: the report is what counts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.cli import PATIENCE_S, command, document, environment

pytestmark = pytest.mark.component


def in_shell(redirection: str, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run with what a shell makes of stdout and stderr."""
    return subprocess.run(
        ["/bin/bash", "-c", f'"$@" {redirection}', "sh", *command(*arguments)],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full", "2> >(exec true)", "<&- 2>&-"])
def test_a_stderr_that_takes_nothing_changes_nothing(tmp_path: Path, stderr: str) -> None:
    arguments = ("doctor", "--json", "--only", "config", "--wait", "0.05")
    done = in_shell(stderr, *arguments, home=tmp_path)
    assert done.returncode == 1
    assert document(done.stdout)["first_failure"] == "config.missing"


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full"])
@pytest.mark.parametrize("arguments", [("--nonsense",), ("--format", "yaml"), ("--token", "x")])
def test_a_wrong_command_line_keeps_its_status(
    tmp_path: Path, stderr: str, arguments: tuple[str, ...]
) -> None:
    assert in_shell(stderr, "doctor", *arguments, home=tmp_path).returncode == 2


def test_a_closed_stderr_is_no_file_of_ours(tmp_path: Path) -> None:
    """The report's file would otherwise be given its number, and the note behind it be written there."""
    target = tmp_path / "report.json"
    done = in_shell("2>&-", "doctor", "--json", "--output", str(target), home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    document(target.read_text())


@pytest.mark.parametrize("arguments", [("--help",), ("doctor", "--help"), ("explain",), ("--version",)])
def test_a_full_disk_is_no_bug(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = in_shell(">/dev/full", *arguments, home=tmp_path)
    assert done.returncode == 70
    assert "write" in done.stderr
    assert "No space left" in done.stderr
    assert "bug" not in done.stderr


@pytest.mark.parametrize("form", ["table", "json"])
def test_watching_ends_when_nobody_looks_any_more(tmp_path: Path, form: str) -> None:
    arguments = ("doctor", "--only", "config", "--format", form, "--watch", "0.01")
    done = in_shell('| head -1; exit "${PIPESTATUS[0]}"', *arguments, home=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert len(done.stdout.splitlines()) == 1
