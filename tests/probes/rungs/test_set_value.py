"""A corrected value is proposed for the place that it has to be in: anything else would change nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from z4j_probes import Settings
from z4j_probes.acting_as import ActingAs
from z4j_probes.rungs.hints import set_url, set_value
from z4j_probes.systemd_unit import ServiceUnit

URL = "https://brain.example"


@pytest.fixture
def at_a_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "KUBERNETES_SERVICE_HOST", "JOURNAL_STREAM", "INVOCATION_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "argv", ["/opt/z4j_fastapi/__main__.py", "doctor"])


def env_file(directory: Path, text: str) -> str:
    file = directory / "web.env"
    file.write_text(text)
    return str(file)


@pytest.mark.usefixtures("at_a_prompt")
def test_what_a_shell_exports_is_exported() -> None:
    (step,) = set_url(Settings.load(environ={"Z4J_BRAIN_URL": "http://brain.example"}), URL)
    assert (step.text, step.command) == ("Set the brain's URL", f"export Z4J_BRAIN_URL={URL}")
    (step,) = set_value(Settings.load(environ={}), "ca_file", "/x.pem", "Trust it", typed='"$PWD/x.pem"')
    assert step.command == 'export Z4J_CA_FILE="$PWD/x.pem"'


@pytest.mark.usefixtures("at_a_prompt")
def test_what_an_env_file_has_is_written_there(tmp_path: Path) -> None:
    file = env_file(tmp_path, "Z4J_BRAIN_URL=http://brain.example\n")
    settings = Settings.load(environ={"Z4J_CA_FILE": "/old.pem"}, env_file=file)
    (step,) = set_url(settings, URL)
    assert (step.text, step.command) == (f"Write Z4J_BRAIN_URL={URL} into {file}", "")
    # what is set nowhere goes to the others; what the environment has stays there
    (step,) = set_value(settings, "project_id", "shop", "Set it")
    assert step.text == f"Write Z4J_PROJECT_ID=shop into {file}"
    (step,) = set_value(settings, "ca_file", "/new.pem", "Set it")
    assert step.command == "export Z4J_CA_FILE=/new.pem"


@pytest.mark.usefixtures("at_a_prompt")
def test_an_argument_is_passed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.load(environ={}, ca_file="/old.pem")
    (step,) = set_value(settings, "ca_file", "/new.pem", "Set it")
    assert step.text == "Pass ca_file='/new.pem', or remove it and set Z4J_CA_FILE"
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--ca-file", "/old.pem"])
    (step,) = set_value(settings, "ca_file", "/new.pem", "Set it")
    assert step.text == "Pass --ca-file /new.pem"


@pytest.mark.usefixtures("at_a_prompt")
def test_what_a_unit_has_is_set_in_the_unit() -> None:
    settings = Settings(acting_as=ActingAs(ServiceUnit("web.service"), "", ""))
    change, restart = set_url(settings, URL)
    assert change.text == f"Add Environment=Z4J_BRAIN_URL={URL} below [Service]"
    assert restart.command == "sudo systemctl restart web.service"


def test_a_log_proposes_no_shell() -> None:
    (step,) = set_url(Settings.load(environ={"Z4J_BRAIN_URL": "http://brain.example"}), URL)
    assert step.text == f"Set Z4J_BRAIN_URL={URL} where the service gets its environment"
