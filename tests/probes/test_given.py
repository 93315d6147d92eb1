"""Settings in whatever type a program keeps them: text where that is obvious, else the type is named."""

from __future__ import annotations

import enum
import uuid
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import AnyUrl, HttpUrl, SecretBytes, SecretStr
from starlette import datastructures as starlette

from z4j_probes import Settings
from z4j_probes.given import Unusable, as_count, as_seconds
from z4j_probes.redact import Secret
from z4j_probes.rungs.config.problems import find_problems
from z4j_probes.source import ARGUMENT


class Name(enum.Enum):
    WEB = "web"


class Mode(enum.StrEnum):
    STRICT = "strict"


class Hostile(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("no")


class HostileUrl:
    def __str__(self) -> str:
        raise RuntimeError("no")


TOKEN = "tok-aaaa1111"
UUID = uuid.UUID("6b1f0e6e-5f0c-4a52-9d3c-0d6d3b7e6a11")


@pytest.mark.parametrize(
    "token",
    [
        TOKEN,
        TOKEN.encode(),
        bytearray(TOKEN.encode()),
        SecretStr(TOKEN),
        SecretBytes(TOKEN.encode()),
        starlette.Secret(TOKEN),
        Secret(TOKEN),
        Hostile(TOKEN),
    ],
    ids=lambda value: f"{type(value).__module__}.{type(value).__name__}",
)
def test_a_token_may_be_kept_as(token: object) -> None:
    settings = Settings.load(environ={}, token=token)
    assert settings.token == Secret(TOKEN)
    assert settings.sources["token"] == ARGUMENT
    assert settings.unusable == ()


@pytest.mark.parametrize(
    "url",
    [
        HttpUrl("https://brain.example/z4j"),
        AnyUrl("https://brain.example/z4j"),
        starlette.URL("https://brain.example/z4j"),
        httpx.URL("https://brain.example/z4j"),
        b"https://brain.example/z4j",
    ],
    ids=lambda value: f"{type(value).__module__}.{type(value).__name__}",
)
def test_a_url_may_be_kept_as(url: object) -> None:
    assert Settings.load(environ={}, brain_url=url).brain_url == "https://brain.example/z4j"


@pytest.mark.parametrize(
    ("attribute", "value", "text"),
    [
        ("project_id", UUID, str(UUID)),
        ("agent_name", 7, "7"),
        ("agent_name", Name.WEB, "web"),
        ("preflight", Mode.STRICT, "strict"),
        ("home", Path("/var/lib/z4j"), "/var/lib/z4j"),
        ("ca_file", Path("/etc/ca.pem"), "/etc/ca.pem"),
        ("ca_file", b"/etc/ca.pem", "/etc/ca.pem"),
    ],
)
def test_other_settings_may_be_kept_as(attribute: str, value: Any, text: str) -> None:
    assert getattr(Settings.load(environ={}, **{attribute: value}), attribute) == text


@pytest.mark.parametrize(
    ("attribute", "value", "type_name"),
    [
        ("token", {"token": TOKEN}, "dict"),
        ("token", True, "bool"),
        ("hmac_secret", lambda: TOKEN, "function"),
        ("brain_url", HostileUrl(), "HostileUrl"),
        ("project_id", ["default"], "list"),
        ("home", 1.5, "float"),
        ("agent_name", object(), "object"),
    ],
)
def test_what_has_no_obvious_text_is_named_with_its_type(attribute: str, value: Any, type_name: str) -> None:
    settings = Settings.load(environ={"Z4J_TOKEN": "from-the-environment"}, **{attribute: value})
    problem = next(p for p in find_problems(settings) if p.setting == attribute)
    assert problem.code == "config.invalid_value"
    assert problem.message == f"the argument {attribute} is of type {type_name}, expected text"
    assert TOKEN not in repr(find_problems(settings))


def test_durations_and_counts() -> None:
    def seconds(value: Any) -> object:
        return as_seconds("preflight_budget_s", value)

    assert [seconds(value) for value in (3, "1.5", Decimal(2), timedelta(seconds=4))] == [3.0, 1.5, 2.0, 4.0]
    wrong: list[Any] = ["soon", None, [], float("nan"), True]
    for value in wrong:
        assert seconds(value) == Unusable("preflight_budget_s", type(value).__name__, "a number of seconds")
    assert [as_count("max_buffered_events", value) for value in (None, 3, "4")] == [None, 3, 4]
    assert isinstance(as_count("max_buffered_events", 1.5), Unusable)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Z4J_TOKEN", "config.token_malformed"),
        ("Z4J_HMAC_SECRET", "config.secret_malformed"),
        ("Z4J_BRAIN_URL", "config.invalid_url"),
        ("HTTPS_PROXY", "config.invalid_value"),
        ("Z4J_PROJECT_ID", "config.invalid_value"),
        ("Z4J_AGENT_NAME", "config.invalid_value"),
    ],
)
def test_bytes_that_are_not_utf_8_are_a_problem_and_no_traceback(name: str, code: str) -> None:
    url = "http" if "PROXY" in name else "https"
    value = f"{url}://u:PLANTED\udcff@10.0.0.1:3128" if "URL" in name or "PROXY" in name else "PLANTED\udcff"
    sound = {"Z4J_BRAIN_URL": "https://brain.example", "Z4J_TOKEN": "t" * 32, "Z4J_HMAC_SECRET": "A" * 44}
    settings = Settings.load(environ={**sound, name: value})
    problems = find_problems(settings)
    assert [problem.code for problem in problems] == [code]
    if name in {"Z4J_TOKEN", "Z4J_HMAC_SECRET", "Z4J_BRAIN_URL", "HTTPS_PROXY"}:
        assert "PLANTED" not in repr(problems)
        assert "PLANTED" not in settings.redactor().text(f"it said {value}")
