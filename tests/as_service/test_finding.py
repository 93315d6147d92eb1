"""The row about a unit, from what `systemctl show` of systemd 252 printed of real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from z4j_fastapi.as_service import finding
from z4j_fastapi.as_service.systemctl import Unit, parse_unit

RECORDED = Path(__file__).parent / "recorded"


def recorded(name: str) -> Unit:
    """A unit as it was shown."""
    return parse_unit(name, (RECORDED / f"{name}.txt").read_text())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("stopped", "is not running (stopped, or never started)"),
        ("never", "is not running (stopped, or never started)"),
        ("exec", "is not running: it failed: 203/EXEC"),
        ("user", "is not running: it failed: 217/USER"),
        ("killed", "is not running: it failed: killed by SIGKILL"),
        ("pre", "is not running: it failed: exit-code, in a command before or after the main one"),
        ("again", "is not running: systemd will start it again after it failed: exit status 4"),
        ("oneshot", "is active, but has no process (exited)"),
    ],
)
def test_a_unit_that_does_not_run_is_said_to_and_why(name: str, said: str) -> None:
    row = finding.not_running(recorded(name))
    assert (row.code, row.message) == ("unit.not_running", f"{name}.service {said}")


@pytest.mark.parametrize(
    ("name", "journal", "reason"),
    [
        ("user", (), "217/USER: there is no user 4242"),
        ("chdir", (), "200/CHDIR: www-data can't enter WorkingDirectory=/root"),
        (
            "namespace",
            ("Failed to set up mount namespacing: /run/systemd/unit-root/nowhere: No such file",),
            "226/NAMESPACE: Failed to set up mount namespacing: /run/systemd/unit-root/nowhere: No such file",
        ),
        ("namespace", (), "226/NAMESPACE: see its journal"),
        (
            "condition",
            ("x was skipped because of an unmet condition check (ConditionPathExists=/nowhere).",),
            "ConditionPathExists=/nowhere is not met",
        ),
        ("condition", ("Starting requested but asserts failed.",), "an assertion (Assert…=) is not met"),
        ("condition", (), "a condition is not met"),
    ],
)
def test_why_systemd_did_not_start_its_copy(name: str, journal: tuple[str, ...], reason: str) -> None:
    unit = recorded(name)
    assert finding.reason_of(unit, unit, journal) == reason


def test_settings_that_systemd_refuses_are_told_in_its_words() -> None:
    unit = recorded("bad_setting")
    assert finding.is_refused(unit)
    assert not finding.is_refused(recorded("running"))
    said = "Service has no ExecStart=, ExecStop=, or SuccessAction=. Refusing."
    assert finding.refusal(unit, (said,)) == "Service has no ExecStart=, ExecStop=, or SuccessAction="
    assert finding.refusal(unit, ()) == "Unit bad_setting.service has a bad unit file setting."


def test_a_users_unit_is_not_started_with_sudo() -> None:
    unit = parse_unit("web", "Id=web.service\n", manager=1000)
    assert [step.command for step in finding.not_running(unit).steps] == [
        "systemctl --user start web.service"
    ]


def test_what_is_active_without_a_process_is_started_again() -> None:
    """`systemctl start` does nothing then."""
    assert "sudo systemctl restart" in finding.not_running(recorded("oneshot")).hint
    assert "sudo systemctl start" in finding.not_running(recorded("stopped")).hint
