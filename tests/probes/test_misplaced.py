"""Secrets in the wrong place: what is taken for one, and what is a name."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from z4j_probes import Settings
from z4j_probes.redact import REDACTED, is_secret_as_file_name, is_secret_as_url

TOKEN = "mQ7-k2Zt_0aXv4Rb9LwYc1"
SLASHED = base64.b64encode(b"\xff\xff\xff" * 10 + b"ab").decode()


@pytest.mark.parametrize("text", [TOKEN, SLASHED, "0123456789abcdef"])
def test_what_has_no_directory_and_no_suffix_is_a_secret(text: str) -> None:
    assert is_secret_as_file_name(text)


@pytest.mark.parametrize(
    "text",
    [
        "credential-for-z4j",
        "/run/secrets/z4j-production-token=",
        "token",
        "/run/secrets/z4j_token",
        "secrets/z4j-agent-token",
        "z4j-agent-token.txt",
        "~/z4jtokenfile",
    ],
)
def test_what_looks_like_a_path_is_one(text: str) -> None:
    assert not is_secret_as_file_name(text)


@pytest.mark.parametrize("text", [TOKEN, SLASHED])
def test_what_looks_like_no_address_is_a_secret(text: str) -> None:
    assert is_secret_as_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "brain-production-internal",
        "",
        "localhost",
        "brain",
        "brain.production.example",
        "brain-production-eu:8443",
    ],
)
def test_an_address_without_its_scheme_is_an_address(text: str) -> None:
    assert not is_secret_as_url(text)


def test_settings_do_not_show_it() -> None:
    settings = Settings.load(environ={"Z4J_TOKEN_FILE": TOKEN, "Z4J_BRAIN_URL": SLASHED})
    described = settings.describe()
    assert described["brain_url"] == REDACTED
    assert described["sources"]["token"] == "env Z4J_TOKEN_FILE"
    for text in (repr(settings), str(described), settings.redactor().text(f"{TOKEN} {SLASHED}")):
        assert TOKEN not in text
        assert SLASHED not in text


def test_what_is_there_and_can_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / TOKEN).mkdir()
    settings = Settings.load(environ={"Z4J_TOKEN_FILE": TOKEN})
    (unreadable,) = settings.unreadable
    assert unreadable.path == TOKEN
    assert settings.misplaced == ()


def test_a_file_of_such_a_name_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open(TOKEN, "w") as file:
        file.write("tok-in-a-file")
    settings = Settings.load(environ={"Z4J_TOKEN_FILE": TOKEN})
    assert settings.token is not None
    assert settings.token.reveal() == "tok-in-a-file"
    assert settings.misplaced == ()
