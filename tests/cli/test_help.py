"""Help: each command's, at 80 columns, with examples that can be pasted; and what a shell completes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import PATIENCE_S, environment, run

pytestmark = pytest.mark.component

COMMANDS = ("doctor", "explain", "probes", "init", "info", "status", "dev-brain")
BELOW = ("report merge", "aside list", "aside retry", "aside delete")


@pytest.mark.parametrize("command", [*COMMANDS, *BELOW])
def test_each_command_has_help_of_80_columns_with_examples(tmp_path: Path, command: str) -> None:
    done = run(*command.split(), "--help", home=tmp_path, env={"COLUMNS": "80"})

    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    example = f"  python -m z4j_fastapi {command}"
    assert f"{example}\n" in done.stdout or f"{example} " in done.stdout
    assert "\n  Links: docs/" in done.stdout
    assert "Arguments:" not in done.stdout  # typer's list of them has Python types


def test_no_command_at_all_shows_what_there_is(tmp_path: Path) -> None:
    done = run(home=tmp_path, env={"COLUMNS": "80"})

    shown = done.stdout + done.stderr
    assert done.returncode in {0, 2}  # 0 with click before 8.2
    assert all(f"\n  {command} " in shown for command in COMMANDS)
    assert "python -m z4j_fastapi doctor" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_the_list_of_probes_fits(tmp_path: Path) -> None:
    done = run("probes", home=tmp_path, env={"COLUMNS": "80"})

    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("option", ["--install-completion", "--show-completion"])
def test_a_module_has_no_completion_to_install(tmp_path: Path, option: str) -> None:
    done = run(option, home=tmp_path, env={"SHELL": "/bin/bash"})

    assert done.returncode == 2
    assert f"use `z4j-fastapi {option}`" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("do", ["doctor"]),
        ("doctor --hmac", ["--hmac-secret-file"]),
        ("doctor --format j", ["json", "junit"]),
        ("doctor --only b", ["buffer"]),
        ("explain tls.exp", ["tls.expired", "tls.expiring_soon"]),
    ],
)
def test_a_shell_completes(tmp_path: Path, typed: str, completed: list[str]) -> None:
    # as bash asks: https://click.palletsprojects.com/en/stable/shell-completion/
    words = ["z4j-fastapi", *typed.split()]
    asked = {
        "_Z4J_FASTAPI_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    script = Path(sys.executable).with_name("z4j-fastapi")
    done = subprocess.run(
        [script], env=environment(tmp_path, asked), capture_output=True, text=True, timeout=PATIENCE_S
    )

    assert sorted(done.stdout.split()) == completed
