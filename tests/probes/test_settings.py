"""Settings: explicit over environment over default, each with its source, and nothing judged."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from z4j_probes import Settings
from z4j_probes.variables import VARIABLES, Variable


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.load(environ={})
    assert settings.brain_url is None
    assert settings.token is None
    assert settings.project_id == "default"
    assert settings.agent_name == socket.gethostname()
    assert settings.preflight == "warn"
    assert {name: str(source) for name, source in settings.sources.items()} == {
        "project_id": "default",
        "preflight": "default",
        "commands": "default",
        "agent_name": "default (host name)",
    }


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda v: v.name)
def test_every_setting_has_its_variable(variable: Variable) -> None:
    name, attribute = variable.name, variable.attribute
    settings = Settings.load(environ={name: "value"})
    value = getattr(settings, attribute)
    assert (value.reveal() if hasattr(value, "reveal") else value) == "value"
    assert str(settings.sources[attribute]) == f"env {name}"


def test_an_explicit_value_wins_over_the_environment() -> None:
    settings = Settings.load(environ={"Z4J_PROJECT_ID": "env"}, project_id="argument")
    assert settings.project_id == "argument"
    assert str(settings.sources["project_id"]) == "argument"


def test_none_is_no_explicit_value() -> None:
    settings = Settings.load(environ={"Z4J_PROJECT_ID": "env"}, project_id=None)
    assert settings.project_id == "env"


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert Settings.load(environ={"Z4J_PROJECT_ID": ""}).project_id == "default"


def test_a_setting_that_does_not_exist_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="unknown setting: projekt"):
        Settings.load(environ={}, projekt="x")


def test_a_secret_is_read_from_its_file_without_the_final_newline(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(" s3cr3t\n")
    settings = Settings.load(environ={"Z4J_TOKEN_FILE": str(file)})
    assert settings.token is not None
    assert settings.token.reveal() == " s3cr3t"
    assert str(settings.sources["token"]) == f"env Z4J_TOKEN_FILE ({file})"


def test_an_explicit_secret_file_wins_over_the_variable(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-file")
    settings = Settings.load(environ={"Z4J_TOKEN": "from-env"}, token_file=str(file))
    assert settings.token is not None
    assert settings.token.reveal() == "from-file"
    assert str(settings.sources["token"]) == f"argument ({file})"


def test_a_variable_wins_over_the_variable_that_names_a_file(tmp_path: Path) -> None:
    settings = Settings.load(environ={"Z4J_TOKEN": "direct", "Z4J_TOKEN_FILE": str(tmp_path / "absent")})
    assert str(settings.sources["token"]) == "env Z4J_TOKEN"
    assert settings.unreadable == ()


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file or directory"), (b"\xff\xfe", "not UTF-8 text")]
)
def test_a_file_that_can_not_be_read_is_noted_and_raises_nothing(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    settings = Settings.load(environ={"Z4J_HMAC_SECRET_FILE": str(file)})
    assert settings.hmac_secret is None
    (lost,) = settings.unreadable
    assert (lost.attribute, lost.variable) == ("hmac_secret", "Z4J_HMAC_SECRET_FILE")
    assert (lost.path, lost.reason) == (str(file), reason)


def test_a_file_that_does_not_answer_is_noted_with_what_it_may_be(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    settings = Settings.load(environ={}, token_file=str(tmp_path / "fifo"))
    (lost,) = settings.unreadable
    assert lost.reason == "it did not answer within 2 s"
    assert f"`findmnt -T {tmp_path}/fifo`" in str(lost.steps[0])


def test_a_file_that_is_no_secret_is_not_read_to_its_end() -> None:
    (lost,) = Settings.load(environ={"Z4J_TOKEN_FILE": "/dev/zero"}).unreadable
    assert lost.reason == "larger than 64 KiB"


def test_a_file_name_with_a_nul_in_it_raises_nothing() -> None:
    settings = Settings.load(environ={}, token_file="a\x00b")
    assert len(settings.unreadable) == 1


def test_an_env_file_goes_above_the_environment_and_is_named(tmp_path: Path) -> None:
    file = tmp_path / "web.env"
    file.write_text("Z4J_PROJECT_ID=file\nHTTPS_PROXY=http://proxy.example\nPATH=/nowhere\n")
    settings = Settings.load(environ={"Z4J_PROJECT_ID": "env", "PATH": "/bin"}, env_file=file)
    assert settings.project_id == "file"
    assert str(settings.sources["project_id"]) == f"file {file} Z4J_PROJECT_ID"
    assert settings.environ["HTTPS_PROXY"] == "http://proxy.example"
    assert settings.environ["PATH"] == "/bin"


def test_an_argument_goes_above_an_env_file(tmp_path: Path) -> None:
    file = tmp_path / "web.env"
    file.write_text("Z4J_PROJECT_ID=file\n")
    assert Settings.load(environ={}, env_file=file, project_id="argument").project_id == "argument"


def test_what_systemd_would_read_otherwise_in_an_env_file_is_remarked_upon(tmp_path: Path) -> None:
    file = tmp_path / "web.env"
    file.write_text("export Z4J_TOKEN=hidden\nZ4J_PROJECT_ID=shop\nexport OTHER=1\n")
    settings = Settings.load(environ={}, env_file=file)
    (remark,) = settings.describe()["remarks"]
    assert remark.startswith(f"systemd (EnvironmentFile={file}) reads Z4J_TOKEN differently: ")
    assert settings.token is not None


def test_an_env_file_that_is_not_there_is_noted(tmp_path: Path) -> None:
    settings = Settings.load(environ={}, env_file=tmp_path / "absent")
    assert settings.unreadable[0].variable == "--env-file"


def test_loading_does_not_touch_the_processs_environment(tmp_path: Path) -> None:
    file = tmp_path / "web.env"
    file.write_text("Z4J_PROJECT_ID=file\n")
    before = dict(os.environ)
    Settings.load(env_file=file)
    assert dict(os.environ) == before


def test_host_and_pid_are_filled_into_the_name() -> None:
    settings = Settings.load(environ={"Z4J_AGENT_NAME": "{host}-{pid}-{x}"})
    assert settings.filled_agent_name == f"{socket.gethostname()}-{os.getpid()}-{{x}}"
    assert settings.agent_name == "{host}-{pid}-{x}"


@pytest.mark.parametrize(("value", "disabled"), [("1", True), (" YES ", True), ("0", False), (None, False)])
def test_what_disables_the_agent(value: str | None, disabled: bool) -> None:
    assert Settings(disabled=value).is_disabled is disabled


def test_settings_show_no_secret_when_they_are_printed_or_described() -> None:
    settings = Settings.load(
        environ={
            "Z4J_BRAIN_URL": "https://user:hidden-in-url@brain.example/z4j",
            "Z4J_TOKEN": "hidden-token",
            "Z4J_HMAC_SECRET": "hidden-secret",
            "HTTPS_PROXY": "http://user:hidden-proxy@proxy.example",
        }
    )
    described = settings.describe()
    assert "hidden" not in json.dumps(described)
    assert described["brain_url"] == "https://brain.example/z4j"
    assert described["token"] == described["hmac_secret"] == "set"
    for secret in ("hidden-token", "hidden-secret", "hidden-proxy"):
        assert secret not in repr(settings)
        assert secret not in settings.redactor().text(f"it is {secret}!")
    assert "hidden" not in settings.redactor().text("https://user:hidden-in-url@brain.example")


def test_a_repr_hides_what_a_brain_url_carries() -> None:
    assert "hidden" not in repr(Settings.load(environ={"Z4J_BRAIN_URL": "https://u:hidden@brain.example"}))


@pytest.mark.parametrize("token", [None, "", " \n"])
def test_a_blank_secret_is_described_as_missing(token: str | None) -> None:
    assert Settings.load(environ={}, token=token).describe()["token"] == "missing"


@pytest.mark.parametrize("mark", "/?#")
def test_a_password_that_ends_the_host_early_is_not_shown_by_half(mark: str) -> None:
    settings = Settings.load(environ={"Z4J_BRAIN_URL": f"https://user:2024{mark}hidden@brain.example/z4j"})
    shown = str(settings.describe()["brain_url"])
    assert "2024" not in shown
    assert "hidden" not in shown
