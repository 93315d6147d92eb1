"""`doctor --unit`: a systemd service, running or not; systemd is a program that says what it would say."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_pid import SETTINGS, USER, diagnose, open_path, row, service
from tests.support import cli
from tests.support.programs import unavailable

__all__ = ["open_path"]

STOPPED = {"LoadState": "loaded", "MainPID": "0", "DynamicUser": "no", "PrivateTmp": "no"}


@pytest.fixture(autouse=True)
def _as_root() -> None:
    if os.geteuid() != 0:
        unavailable("standing in for a service needs root")


def diagnose_unit(home: Path, properties: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    """The doctor's status, stdout and stderr, where `systemctl show` gives these properties."""
    shown = "".join(f"{name}={value}\n" for name, value in properties.items())
    (home / "bin").mkdir(exist_ok=True)
    (home / "shown").write_text(shown)
    systemctl = home / "bin" / "systemctl"
    systemctl.write_text(f'#!/bin/sh\n[ "$1" = show ] || exit 1\ncat {home}/shown\n')
    systemctl.chmod(0o755)
    env = {"PATH": f"{home}/bin:{os.environ['PATH']}"}
    process = cli.run("doctor", "--unit", "web", "--json", *arguments, home=home, env=env)
    return process.returncode, process.stdout, process.stderr


def report_of(stdout: str) -> dict[str, Any]:
    return cli.document(stdout)


def test_a_running_unit_is_its_main_process(open_path: Path) -> None:
    environ = SETTINGS | {"Z4J_HOME": str(open_path / "s")}
    with service(open_path, environ, f"user={USER}") as pid:
        _, out, _ = diagnose_unit(open_path, STOPPED | {"MainPID": str(pid)}, "--only", "config")
        _, expected = diagnose(open_path, pid, "--only", "config")
    assert report_of(out)["config"] == expected["config"]


def test_one_that_failed_to_start_has_what_systemd_would_give_it(open_path: Path) -> None:
    file = open_path / "web.env"
    file.write_text('# settings\nZ4J_TOKEN="tok-of-the-file"\n')
    file.chmod(0o600)  # systemd reads it as root, before the service is anybody
    state = open_path / "state"
    state.mkdir(mode=0o700)
    os.chown(state, 65534, 65534)
    nobody = pwd.getpwuid(65534).pw_name
    properties = STOPPED | {
        "User": nobody,
        "Environment": f'Z4J_BRAIN_URL=http://127.0.0.1:1 "Z4J_AGENT_NAME=web one" Z4J_HOME={state}',
        "EnvironmentFiles": f"{file} (ignore_errors=no)",
    }
    status, out, err = diagnose_unit(open_path, properties)
    assert err == ""
    report = report_of(out)
    assert (status, report["first_failure"]) == (1, "tcp.refused")
    assert report["config"]["agent_name"] == "web one"
    assert report["config"]["token"] == "set"
    assert nobody in report["config"]["user"]
    assert row(report, "buffer")["code"] == "buffer.ok"


def test_a_dynamic_user_with_a_state_directory_writes_there(open_path: Path) -> None:
    state = Path("/var/lib") / f"z4j-test-{os.getpid()}"
    state.mkdir(mode=0o700)
    try:
        properties = STOPPED | {
            "DynamicUser": "yes",
            "PrivateTmp": "yes",
            "StateDirectory": state.name,
            "Environment": f"Z4J_BRAIN_URL=http://127.0.0.1:1 Z4J_TOKEN=tok-of-the-unit Z4J_HOME={state}",
        }
        _, out, err = diagnose_unit(open_path, properties, "--offline")
        assert err == ""
        assert row(report_of(out), "buffer")["code"] in ("buffer.ok", "buffer.low_space")
        assert report_of(out)["config"]["buffer_dir"] == str(state)
        assert list(state.iterdir()) == []
    finally:
        state.rmdir()


def test_a_dynamic_user_without_one_has_no_home(open_path: Path) -> None:
    properties = STOPPED | {
        "DynamicUser": "yes",
        "Environment": "Z4J_BRAIN_URL=http://127.0.0.1:1 Z4J_TOKEN=tok-of-the-unit",
    }
    _, out, _ = diagnose_unit(open_path, properties, "--offline")
    assert row(report_of(out), "buffer")["code"] == "buffer.relocated"
    assert "home" in row(report_of(out), "buffer")["message"]


@pytest.mark.parametrize(
    ("properties", "word"),
    [
        ({"LoadState": "not-found", "MainPID": "0"}, "no unit of that name"),
        (STOPPED | {"User": "no-such-user-here"}, "User=no-such-user-here does not exist"),
        (STOPPED | {"Group": "no-such-group-here"}, "group no-such-group-here does not exist"),
        (STOPPED | {"EnvironmentFiles": "/nowhere/web.env (ignore_errors=no)"}, "/nowhere/web.env"),
    ],
)
def test_what_keeps_it_from_starting_is_said(open_path: Path, properties: dict[str, str], word: str) -> None:
    status, out, err = diagnose_unit(open_path, properties)
    assert (status, out) == (2, "")
    assert word in err


def test_a_file_that_may_be_missing_may_be_missing(open_path: Path) -> None:
    environment = "Z4J_BRAIN_URL=http://127.0.0.1:1 Z4J_TOKEN=tok-of-the-unit"
    files = "/nowhere/web.env (ignore_errors=yes)"
    properties = STOPPED | {"Environment": environment, "EnvironmentFiles": files}
    status, _, err = diagnose_unit(open_path, properties, "--only", "config")
    assert (status, err) == (0, "")


def test_a_machine_without_systemd_is_told_so(tmp_path: Path) -> None:
    process = cli.run("doctor", "--unit", "web", home=tmp_path, env={"PATH": str(tmp_path)})
    assert process.returncode == 2
    assert "no systemctl" in process.stderr
