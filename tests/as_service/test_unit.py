"""`doctor --unit`: a systemd service, running or not; systemd is a program that says what it would say."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.as_service.test_process import SETTINGS, USER, diagnose, open_path, row, service
from tests.support import cli
from tests.support.climbs import SECRET
from tests.support.programs import unavailable

__all__ = ["open_path"]

ENVIRONMENT = f"Z4J_BRAIN_URL=http://127.0.0.1:1 Z4J_TOKEN=tok-of-the-unit Z4J_HMAC_SECRET={SECRET}"
STOPPED = {"LoadState": "loaded", "MainPID": "0", "DynamicUser": "no", "PrivateTmp": "no"}


@pytest.fixture(autouse=True)
def _as_root() -> None:
    if os.geteuid() != 0:
        unavailable("standing in for a service needs root")


def diagnose_unit(
    home: Path, properties: dict[str, str], *arguments: str, files: str = "", manager: str = ""
) -> tuple[int, str, str]:
    """The doctor's status, stdout and stderr, where `systemctl show` gives these properties.

    `files` is what `systemctl cat` prints, `manager` what `systemctl show-environment` does.
    """
    shown = "".join(f"{name}={value}\n" for name, value in properties.items())
    (home / "bin").mkdir(exist_ok=True)
    for command, text in (("show", shown), ("cat", files), ("show-environment", manager)):
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
        _, out, _ = diagnose_unit(open_path, STOPPED | {"MainPID": str(pid)}, "--only", "config")
        _, expected = diagnose(open_path, pid, "--only", "config")
    assert report_of(out)["config"] == expected["config"]


def test_one_that_failed_to_start_has_what_systemd_would_give_it(open_path: Path) -> None:
    file = open_path / "web.env"
    file.write_text(f'# settings\nZ4J_TOKEN="tok-of-the-file"\nZ4J_HMAC_SECRET={SECRET}\n')
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


@pytest.fixture
def state() -> Iterator[Path]:
    """A name below /var/lib that nobody has, and nothing of it left behind."""
    path = Path("/var/lib") / f"z4j-test-{os.getpid()}"
    private = path.parent / "private" / path.name
    yield path
    for left in (path, private):
        if left.is_symlink():
            left.unlink()
        elif left.exists():
            shutil.rmtree(left)


def with_state(state: Path, **more: str) -> dict[str, str]:
    """A unit with a StateDirectory=, and the settings that go with it."""
    given = f"{ENVIRONMENT} Z4J_HOME={state}/z4j"
    return STOPPED | {"StateDirectory": state.name, "Environment": given} | more


def buffer_of(home: Path, properties: dict[str, str]) -> dict[str, Any]:
    _, out, err = diagnose_unit(home, properties, "--offline")
    assert err == ""
    return row(report_of(out), "buffer")


@pytest.mark.parametrize("user", [{"DynamicUser": "yes"}, {"User": "65534"}])
def test_a_state_directory_is_there_at_the_first_start(
    open_path: Path, state: Path, user: dict[str, str]
) -> None:
    found = buffer_of(open_path, with_state(state, **user))
    assert found["code"] == "buffer.ok", found["message"]
    assert found["details"]["directory"] == f"{state}/z4j"
    assert not state.exists()


@pytest.mark.parametrize("user", [{"DynamicUser": "yes"}, {"User": "65534"}])
def test_a_state_directory_of_somebody_else_is_made_the_services(
    open_path: Path, state: Path, user: dict[str, str]
) -> None:
    state.mkdir(mode=0o700)
    assert buffer_of(open_path, with_state(state, **user))["code"] == "buffer.ok"
    assert list(state.iterdir()) == []


def test_a_state_directory_of_the_service_is_used_as_it_is(open_path: Path, state: Path) -> None:
    (state / "z4j").mkdir(mode=0o700, parents=True)
    for path in (state, state / "z4j"):
        os.chown(path, 65534, 65534)
    (state / "z4j" / "seen").touch()
    found = buffer_of(open_path, with_state(state, User="65534"))
    assert (found["code"], found["details"]["uid"]) == ("buffer.ok", 65534)
    assert [path.name for path in (state / "z4j").iterdir()] == ["seen"]


def test_a_dynamic_user_gets_its_last_uid_and_its_directory_in_private(open_path: Path, state: Path) -> None:
    private = state.parent / "private"
    made = not private.exists()
    if made:
        private.mkdir(mode=0o700)
    real = private / state.name
    real.mkdir(mode=0o755)
    os.chown(real, 61999, 61999)
    state.symlink_to(f"private/{state.name}")
    try:
        found = buffer_of(open_path, with_state(state, DynamicUser="yes", User="webby", Group="webby"))
        assert (found["code"], found["details"]["uid"]) == ("buffer.ok", 61999), found["message"]
        # what systemd would hand over is the real one: what was written is there
        assert (real / "z4j").stat().st_uid == 61999
    finally:
        shutil.rmtree(real)
        if made:
            private.rmdir()


def test_a_full_disk_is_no_roomier_in_there(open_path: Path, state: Path) -> None:
    here = os.statvfs("/var/lib")
    found = buffer_of(open_path, with_state(state, DynamicUser="yes"))
    assert found["details"]["free_bytes"] <= here.f_bavail * here.f_frsize * 1.05


def test_credentials_are_there_for_the_service_alone(open_path: Path) -> None:
    token = open_path / "token"
    token.write_text("tok-of-the-credential\n")
    token.chmod(0o600)
    properties = STOPPED | {
        "Id": "web.service",
        "User": "65534",
        "Environment": f"Z4J_BRAIN_URL=http://127.0.0.1:1 Z4J_HMAC_SECRET={SECRET} "
        "Z4J_TOKEN_FILE=/run/credentials/web.service/z4j-token",
    }
    files = f"[Service]\nLoadCredential=z4j-token:{token}\n"
    status, out, err = diagnose_unit(open_path, properties, "--only", "config", files=files)
    assert (status, err) == (0, ""), out
    assert report_of(out)["config"]["token"] == "set"
    assert not Path("/run/credentials/web.service").exists()


def test_a_credential_that_is_missing_keeps_it_from_starting(open_path: Path) -> None:
    files = "[Service]\nLoadCredential=z4j-token:/nowhere/token\n"
    status, _, err = diagnose_unit(open_path, STOPPED, files=files)
    assert status == 2
    assert "/nowhere/token: No such file or directory" in err


def test_an_environment_file_is_read_as_systemd_reads_it(open_path: Path) -> None:
    """Not as a shell or dotenv would: `export` makes another name of it, a comment is a part of the value."""
    (open_path / "web.env").write_text("export Z4J_TOKEN=tok\nZ4J_PROJECT_ID=shop # prod\n")
    properties = STOPPED | {
        "Environment": "Z4J_BRAIN_URL=http://127.0.0.1:1",
        "EnvironmentFiles": f"{open_path}/web.env (ignore_errors=no)",
    }
    _, out, _ = diagnose_unit(open_path, properties, "--only", "config")
    config = report_of(out)["config"]
    assert (config["token"], config["project_id"]) == ("missing", "shop # prod")


def test_an_environment_file_that_does_not_answer_is_said_to(open_path: Path) -> None:
    os.mkfifo(open_path / "web.env")
    properties = STOPPED | {"EnvironmentFiles": f"{open_path}/web.env (ignore_errors=no)"}
    status, _, err = diagnose_unit(open_path, properties)
    assert status == 2
    assert f"EnvironmentFile={open_path}/web.env can't be read: it did not answer in 2 s" in err


def test_what_every_service_is_given_is_given(open_path: Path) -> None:
    manager = f"Z4J_TOKEN=$'tok with\\tblanks'\nZ4J_HMAC_SECRET={SECRET}\nZ4J_PROJECT_ID=shared\n"
    properties = STOPPED | {
        "Environment": r'"Z4J_BRAIN_URL=http://127.0.0.1:1" Z4J_HOME=/nowhere "Z4J_AGENT_NAME=a \$ b"',
        "UnsetEnvironment": "Z4J_HOME Z4J_PROJECT_ID=another",
    }
    _, out, _ = diagnose_unit(open_path, properties, "--only", "config", manager=manager)
    config = report_of(out)["config"]
    assert (config["agent_name"], config["project_id"], config["home"]) == ("a $ b", "shared", None)
    assert report_of(out)["first_failure"] == "config.token_malformed"


def test_environment_files_may_have_wildcards(open_path: Path) -> None:
    (open_path / "web.d").mkdir()
    (open_path / "web.d" / "1.env").write_text("Z4J_TOKEN=tok-of-the-first\nZ4J_AGENT_NAME=one\n")
    (open_path / "web.d" / "2.env").write_text("Z4J_AGENT_NAME=two\n")
    properties = STOPPED | {
        "Environment": f"Z4J_BRAIN_URL=http://127.0.0.1:1 Z4J_HMAC_SECRET={SECRET}",
        "EnvironmentFiles": f"{open_path}/web.d/*.env (ignore_errors=no)",
    }
    status, out, _ = diagnose_unit(open_path, properties, "--only", "config")
    assert (status, report_of(out)["config"]["agent_name"]) == (0, "two")


def test_a_main_process_that_has_just_ended_is_no_obstacle(open_path: Path) -> None:
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    properties = STOPPED | {"MainPID": str(gone.pid), "Environment": ENVIRONMENT}
    status, _, err = diagnose_unit(open_path, properties, "--only", "config")
    assert (status, err) == (0, "")


def test_what_to_do_is_done_in_the_unit(open_path: Path) -> None:
    properties = STOPPED | {"Id": "web.service", "User": "65534"}
    _, out, _ = diagnose_unit(open_path, properties, "--only", "config")
    assert "sudo systemctl edit web.service" in row(report_of(out), "config")["hint"]


def test_a_bundle_is_the_units(open_path: Path) -> None:
    properties = STOPPED | {"User": "65534", "Environment": "Z4J_TOKEN=PLANTED-in-the-unit FOREIGN=PLANTED"}
    file = open_path / "b.zip"
    diagnose_unit(open_path, properties, "--offline", "--bundle", str(file))
    with zipfile.ZipFile(file) as bundle:
        texts = [bundle.read(name).decode() for name in bundle.namelist()]
    assert any('"uid": 65534' in text for text in texts)
    assert not any("PLANTED" in text or "FOREIGN" in text for text in texts)


def test_a_dynamic_user_without_one_has_no_home(open_path: Path) -> None:
    properties = STOPPED | {
        "DynamicUser": "yes",
        "Environment": ENVIRONMENT,
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
        (STOPPED | {"EnvironmentFiles": "/nowhere/*.env (ignore_errors=no)"}, "matches no file"),
        (STOPPED | {"WorkingDirectory": "/nowhere"}, "WorkingDirectory=/nowhere does not exist"),
        (STOPPED | {"Environment": "A=b [unprintable]"}, "does not print an Environment= with blanks"),
    ],
)
def test_what_keeps_it_from_starting_is_said(open_path: Path, properties: dict[str, str], word: str) -> None:
    status, out, err = diagnose_unit(open_path, properties)
    assert (status, out) == (2, "")
    assert word in err


def test_a_file_that_may_be_missing_may_be_missing(open_path: Path) -> None:
    files = "/nowhere/web.env (ignore_errors=yes)"
    properties = STOPPED | {"Environment": ENVIRONMENT, "EnvironmentFiles": files}
    status, _, err = diagnose_unit(open_path, properties, "--only", "config")
    assert (status, err) == (0, "")


def test_a_machine_without_systemd_is_told_so(tmp_path: Path) -> None:
    process = cli.run("doctor", "--unit", "web", home=tmp_path, env={"PATH": str(tmp_path)})
    assert process.returncode == 2
    assert "no systemctl" in process.stderr
