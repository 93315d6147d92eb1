"""How hints repeat the command line of the run that they belong to."""

from __future__ import annotations

import sys

import pytest

from z4j_probes.invocation import MODULE, as_started, can_type

MAIN = "/opt/app/lib/python3.11/site-packages/z4j_fastapi/__main__.py"


@pytest.fixture(autouse=True)
def no_marks_of_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "KUBERNETES_SERVICE_HOST", "JOURNAL_STREAM", "SUDO_UID"):
        monkeypatch.delenv(name, raising=False)


def start(monkeypatch: pytest.MonkeyPatch, *argv: str, python: str = "/opt/app/bin/python") -> None:
    """As if this process had been started so."""
    monkeypatch.setattr(sys, "argv", list(argv))
    monkeypatch.setattr(sys, "orig_argv", [python, *argv])


@pytest.mark.parametrize(
    ("argv", "python", "shown"),
    [
        ([MAIN], "/opt/app/bin/python", "/opt/app/bin/python -m z4j_fastapi explain dns"),
        ([MAIN], "/opt/my app/python", "'/opt/my app/python' -m z4j_fastapi explain dns"),
        ([MAIN], "python3", "python3 -m z4j_fastapi explain dns"),
        (["/opt/app/bin/z4j-fastapi"], "/opt/app/bin/python", "/opt/app/bin/z4j-fastapi explain dns"),
        (["/opt/app/bin/uvicorn", "app:app"], "/opt/app/bin/python", f"{MODULE} explain dns"),
        ([], "", f"{MODULE} explain dns"),
    ],
)
def test_a_command_has_the_form_in_which_the_program_was_started(
    monkeypatch: pytest.MonkeyPatch, argv: list[str], python: str, shown: str
) -> None:
    start(monkeypatch, *argv, python=python)
    assert as_started(f"{MODULE} explain dns") == shown


def test_a_command_with_the_path_of_its_python_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    start(monkeypatch, MAIN, "doctor", "--env-file", "/etc/app.env", python="python")
    command = "sudo -u app /opt/app/bin/python -m z4j_fastapi doctor"
    assert as_started(command) == f"{command} --env-file /etc/app.env"


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (["--env-file", "/etc/my app.env", "--json"], "--env-file '/etc/my app.env'"),
        (["--env-file=/etc/app.env"], "--env-file /etc/app.env"),
        (["--pid", "4711", "--strict"], "--pid 4711"),
        (["--unit", "web"], "--unit web"),
        (["--verbose"], ""),
    ],
)
def test_a_doctor_in_a_hint_looks_at_the_same_settings(
    monkeypatch: pytest.MonkeyPatch, options: list[str], kept: str
) -> None:
    start(monkeypatch, MAIN, "doctor", *options, python="python")
    words = ["python -m z4j_fastapi doctor", kept, "--wait 60"]
    assert as_started(f"{MODULE} doctor --wait 60") == " ".join(filter(None, words))


def test_sudo_is_kept_where_the_option_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    start(monkeypatch, MAIN, "doctor", "--unit", "web", python="python")
    monkeypatch.setenv("SUDO_UID", "1000")
    assert (
        as_started(f"{MODULE} doctor --verbose") == "sudo python -m z4j_fastapi doctor --unit web --verbose"
    )


def test_a_unit_in_a_hint_replaces_the_file_that_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    start(monkeypatch, MAIN, "doctor", "--env-file", "/etc/web.env", python="python")
    assert as_started(f"sudo {MODULE} doctor --unit UNIT") == "sudo python -m z4j_fastapi doctor --unit UNIT"


def test_what_stands_before_and_other_programs_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    start(monkeypatch, MAIN, "doctor", python="python")
    assert as_started(f"sudo -u www-data {MODULE} doctor") == "sudo -u www-data python -m z4j_fastapi doctor"
    assert as_started("dig +cd brain.example") == "dig +cd brain.example"


@pytest.mark.parametrize(
    ("argv", "environ", "expected"),
    [
        ([MAIN, "doctor"], {}, True),
        ([MAIN, "doctor", "--format", "junit"], {}, False),
        ([MAIN, "doctor", "--format=nagios"], {}, False),
        ([MAIN, "doctor"], {"CI": "true"}, False),
        ([MAIN, "doctor"], {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, False),
        (["/opt/app/bin/uvicorn"], {}, False),
    ],
)
def test_no_interactive_command_where_no_one_can_type(
    monkeypatch: pytest.MonkeyPatch, argv: list[str], environ: dict[str, str], expected: bool
) -> None:
    start(monkeypatch, *argv)
    assert can_type(environ) is expected
