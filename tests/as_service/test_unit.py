"""`doctor --unit` where no systemd runs: systemctl is a program that prints what a real one did.

What a unit has that does not run is asked of a booted systemd: test_booted_systemd.py.
"""

from __future__ import annotations

import os
import subprocess
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.as_service.test_process import SETTINGS, USER, diagnose, open_path, row, service
from tests.support import cli
from tests.support.programs import unavailable

pytestmark = pytest.mark.component

__all__ = ["open_path"]

RUNNING = {"Id": "web.service", "LoadState": "loaded", "ActiveState": "active"}


@pytest.fixture(autouse=True)
def _as_root() -> None:
    if os.geteuid() != 0:
        unavailable("acting as a service needs root")


def diagnose_unit(
    home: Path, properties: dict[str, str], *arguments: str, files: str = ""
) -> tuple[int, str, str]:
    """The doctor's status, stdout and stderr, where `systemctl show` gives these properties.

    `files` is what `systemctl cat` prints.
    """
    shown = "".join(f"{name}={value}\n" for name, value in properties.items())
    (home / "bin").mkdir(exist_ok=True)
    for command, text in (("show", shown), ("cat", files)):
        (home / f"systemctl-{command}").write_text(text)
    systemctl = home / "bin" / "systemctl"
    systemctl.write_text(f'#!/bin/sh\ncat "{home}/systemctl-$1"\n')
    systemctl.chmod(0o755)
    env = {"PATH": f"{home}/bin:{os.environ['PATH']}"}
    process = cli.run("doctor", "--unit", "web", "--json", *arguments, home=home, env=env)
    return process.returncode, process.stdout, process.stderr


def report_of(stdout: str) -> dict[str, Any]:
    return cli.document(stdout)


def test_a_running_unit_is_its_main_process(open_path: Path) -> None:
    environ = SETTINGS | {"Z4J_HOME": str(open_path / "s")}
    with service(open_path, environ, f"user={USER}") as pid:
        _, out, _ = diagnose_unit(open_path, RUNNING | {"MainPID": str(pid)}, "--only", "config")
        _, expected = diagnose(open_path, pid, "--only", "config")
    found = report_of(out)["config"]
    assert found.pop("settings_from") == "the environment of web.service"
    assert found == {key: value for key, value in expected["config"].items() if key != "settings_from"}


def test_what_to_do_is_done_in_the_unit(open_path: Path) -> None:
    file = open_path / "web.env"
    file.write_text("Z4J_TOKEN=' tok '\n")
    properties = {"EnvironmentFiles": f"{file} (ignore_errors=no)"}
    with service(open_path, SETTINGS | {"Z4J_TOKEN": " tok "}) as pid:
        _, out, _ = diagnose_unit(open_path, RUNNING | properties | {"MainPID": str(pid)}, "--only", "config")
    report = report_of(out)
    assert [probe["name"] for probe in report["probes"]][:2] == ["unit", "config"]
    assert (
        f"Z4J_TOKEN=… without quotes or spaces into {file}: `sudoedit {file}`"
        in row(report, "config")["hint"]
    )
    assert row(report, "config")["hint"].endswith("`sudo systemctl restart web.service`")


def test_values_that_were_corrected_since_are_told_by_name(open_path: Path) -> None:
    file = open_path / "web.env"
    file.write_text("Z4J_TOKEN=PLANTED-new\n")
    properties = {"EnvironmentFiles": f"{file} (ignore_errors=no)", "Environment": "Z4J_PROJECT_ID=shop"}
    with service(open_path, SETTINGS) as pid:
        _, out, _ = diagnose_unit(open_path, RUNNING | properties | {"MainPID": str(pid)}, "--only", "config")
    found = row(report_of(out), "unit")
    assert found["code"] == "unit.outdated"
    assert "Z4J_PROJECT_ID, Z4J_TOKEN" in found["message"]
    assert "PLANTED" not in out


def test_values_that_a_wrapper_sets_are_not_said_to_be_outdated(open_path: Path) -> None:
    """No file is younger than the process; and what env(1) assigns is the unit's own."""
    file = open_path / "web.env"
    file.write_text("Z4J_PROJECT_ID=shop\n")
    wrapper = (
        "{ path=/usr/bin/env ; argv[]=/usr/bin/env Z4J_AGENT_NAME=other web ; ignore_errors=no ; pid=0 }"
    )
    properties = {"EnvironmentFiles": f"{file} (ignore_errors=no)"}
    started_us = str(round((time.monotonic() + 60) * 1e6))  # a minute behind the file
    with service(open_path, SETTINGS | {"Z4J_AGENT_NAME": "other"}) as pid:
        unit = RUNNING | properties | {"MainPID": str(pid), "ExecStart": wrapper}
        _, young, _ = diagnose_unit(
            open_path, unit | {"ExecMainStartTimestampMonotonic": started_us}, "--only", "config"
        )
        _, old, _ = diagnose_unit(open_path, unit, "--only", "config")
    assert row(report_of(young), "unit")["code"] == "unit.ok"
    assert row(report_of(old), "unit")["details"]["outdated"] == ["Z4J_PROJECT_ID"]


@pytest.mark.parametrize("before", [b"export ", b"\xef\xbb\xbf"])
def test_a_line_that_systemd_ignores_is_corrected_as_the_hint_says(open_path: Path, before: bytes) -> None:
    file = open_path / "web.env"
    file.write_bytes(before + f"Z4J_TOKEN={SETTINGS['Z4J_TOKEN']}\n".encode())
    properties = {"EnvironmentFiles": f"{file} (ignore_errors=no)"}
    environ = {name: value for name, value in SETTINGS.items() if name != "Z4J_TOKEN"}
    with service(open_path, environ) as pid:
        _, out, _ = diagnose_unit(open_path, RUNNING | properties | {"MainPID": str(pid)}, "--only", "config")
    found = row(report_of(out), "config")
    assert f"Z4J_TOKEN is not set: systemd ignores its line in {file}" in found["message"]
    correct, restart = found["steps"]
    subprocess.run(correct["command"].removeprefix("sudo "), shell=True, check=True)
    assert file.read_text() == f"Z4J_TOKEN={SETTINGS['Z4J_TOKEN']}\n"
    assert restart["command"] == "sudo systemctl restart web.service"


def test_what_a_unit_unsets_is_not_asked_for_where_it_stands_already(open_path: Path) -> None:
    file = open_path / "web.env"
    file.write_text(f"Z4J_TOKEN={SETTINGS['Z4J_TOKEN']}\n")
    properties = {"EnvironmentFiles": f"{file} (ignore_errors=no)", "UnsetEnvironment": "Z4J_TOKEN"}
    environ = {name: value for name, value in SETTINGS.items() if name != "Z4J_TOKEN"}
    with service(open_path, environ) as pid:
        _, out, _ = diagnose_unit(open_path, RUNNING | properties | {"MainPID": str(pid)}, "--only", "config")
    report = report_of(out)
    assert row(report, "unit")["code"] == "unit.ok"
    assert row(report, "config")["code"] == "config.missing"
    assert str(file) not in row(report, "config")["hint"]
    assert "LoadCredential=" in row(report, "config")["hint"]


def test_what_is_not_taken_over_is_named_and_warned_of_where_it_decides(open_path: Path) -> None:
    with service(open_path, SETTINGS) as pid:
        unit = RUNNING | {"MainPID": str(pid)}
        _, harmless, said = diagnose_unit(
            open_path,
            unit | {"SystemCallFilter": "~clock_settime", "AppArmorProfile": "web"},
            "--only",
            "config",
        )
        _, decisive, _ = diagnose_unit(
            open_path, unit | {"SystemCallFilter": "~connect bind"}, "--only", "config"
        )
    assert row(report_of(harmless), "unit")["code"] == "unit.ok"
    assert "AppArmorProfile=web, SystemCallFilter=" in said
    found = row(report_of(decisive), "unit")
    assert (found["code"], found["status"]) == ("unit.not_taken_over", "warn")
    assert "SystemCallFilter= (it refuses connect)" in found["message"]


def test_kinds_of_socket_that_the_service_may_not_open_are_not_opened(open_path: Path) -> None:
    with service(open_path, SETTINGS | {"Z4J_HOME": str(open_path / "s")}) as pid:
        unit = RUNNING | {"MainPID": str(pid), "RestrictAddressFamilies": "AF_UNIX AF_NETLINK"}
        status, out, _ = diagnose_unit(open_path, unit)
    report = report_of(out)
    assert (status, report["first_failure"]) == (1, "tcp.unreachable")
    assert "this process may open no such socket" in row(report, "tcp")["message"]
    first, restart, *_ = row(report, "tcp")["steps"]
    assert "below [Service] it has RestrictAddressFamilies=AF_UNIX AF_NETLINK" in first["text"]
    assert first["command"] == "sudo systemctl edit web.service"
    assert restart["command"] == "sudo systemctl restart web.service"


def test_a_limit_that_is_not_the_cause_is_not_named(open_path: Path) -> None:
    with service(open_path, SETTINGS | {"Z4J_HOME": str(open_path / "s")}) as pid:
        unit = RUNNING | {"MainPID": str(pid), "RestrictAddressFamilies": "AF_INET AF_UNIX AF_NETLINK"}
        _, out, _ = diagnose_unit(open_path, unit)
    assert row(report_of(out), "tcp")["code"] == "tcp.refused"
    assert "RestrictAddressFamilies" not in row(report_of(out), "tcp")["hint"]


def test_an_empty_list_of_kinds_of_socket_allows_none(open_path: Path) -> None:
    """As systemctl shows RestrictAddressFamilies=none; without a restriction it shows a tilde."""
    with service(open_path, SETTINGS | {"Z4J_HOME": str(open_path / "s")}) as pid:
        unit = RUNNING | {"MainPID": str(pid), "RestrictAddressFamilies": ""}
        status, out, _ = diagnose_unit(open_path, unit)
    assert (status, report_of(out)["first_failure"]) == (1, "tcp.unreachable")


def test_a_unit_whose_environment_file_is_missing_is_not_tried_out(open_path: Path) -> None:
    unit = RUNNING | {"ActiveState": "inactive", "EnvironmentFiles": "/nowhere/web.env (ignore_errors=no)"}
    status, out, _ = diagnose_unit(open_path, unit)
    report = report_of(out)
    assert (status, report["first_failure"]) == (1, "unit.cannot_start")
    assert "EnvironmentFile=/nowhere/web.env is not there" in row(report, "unit")["message"]
    assert {probe["status"] for probe in report["probes"][1:]} == {"skip"}


def test_an_environment_file_that_does_not_answer_is_not_given_to_systemd(open_path: Path) -> None:
    os.mkfifo(open_path / "web.env")
    unit = RUNNING | {
        "ActiveState": "inactive",
        "EnvironmentFiles": f"{open_path}/web.env (ignore_errors=no)",
    }
    _, out, _ = diagnose_unit(open_path, unit)
    assert "does not answer within 2 s" in row(report_of(out), "unit")["message"]


def test_a_bundle_is_the_units(open_path: Path) -> None:
    file = open_path / "b.zip"
    environ = SETTINGS | {"Z4J_TOKEN": "PLANTED-in-the-unit", "FOREIGN": "PLANTED"}
    with service(open_path, environ, f"user={USER}") as pid:
        diagnose_unit(open_path, RUNNING | {"MainPID": str(pid)}, "--offline", "--bundle", str(file))
    with zipfile.ZipFile(file) as bundle:
        texts = [bundle.read(name).decode() for name in bundle.namelist()]
    assert any(f'"uid": {USER}' in text for text in texts)
    assert not any("PLANTED" in text or "FOREIGN" in text for text in texts)


@pytest.mark.parametrize(
    ("properties", "word"),
    [
        ({"LoadState": "not-found", "Id": "web.service"}, "no unit of that name"),
        (RUNNING | {"LoadState": "masked"}, "masked"),
        (RUNNING | {"Id": "web.mount"}, "not a service"),
    ],
)
def test_what_is_not_a_service_is_a_usage_error(
    open_path: Path, properties: dict[str, str], word: str
) -> None:
    status, out, err = diagnose_unit(open_path, properties)
    assert (status, out) == (2, "")
    assert word in err


def test_a_machine_without_systemd_is_told_so(tmp_path: Path) -> None:
    process = cli.run("doctor", "--unit", "web", home=tmp_path, env={"PATH": str(tmp_path)})
    assert process.returncode == 2
    assert "no systemctl" in process.stderr
