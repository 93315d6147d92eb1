"""Known types: what others' types are made of is told in an event, without secrets."""

from __future__ import annotations

import json
from array import array
from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from ipaddress import IPv4Address
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import urlparse, urlsplit

import pydantic
import pytest

from z4j_fastapi.agent.events import EventEncoder
from z4j_fastapi.agent.redaction import REDACTED


def encode(**data: Any) -> Any:
    return json.loads(EventEncoder().encode("task.sent", task_id="t", engine="arq", data=data))["data"]


class Login(NamedTuple):
    user: str
    password: str


@dataclass
class Card:
    holder: str
    number: str = field(repr=False)


@dataclass(repr=False)
class Vault:
    content: str


class Attrs:  # as attrs describes its classes, and below msgspec
    __attrs_attrs__ = (SimpleNamespace(name="user", repr=True), SimpleNamespace(name="pin", repr=False))

    def __init__(self) -> None:
        self.user, self.pin = "u", "hunter2"


class Struct:
    __struct_fields__ = ("user", "api_key")

    def __init__(self) -> None:
        self.user, self.api_key = "u", "hunter2"


@dataclass
class Detached:
    """As a mapper has it: one field is loaded when it is read, and the database is away."""

    id: int
    owner: str = "x"
    api_key: str = "hunter2"

    def __getattribute__(self, name: str) -> Any:
        if name == "owner":
            raise ConnectionError
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Detached(1), {"id": 1, "owner": "<unreadable, ConnectionError>", "api_key": REDACTED}),
        (urlsplit("amqp://u:hunter2@h:1/v?token=hunter2"), "amqp://[redacted]@h:1/v?…"),
        (urlparse("https://h/a"), "https://h/a"),
        (Login("u", "hunter2"), {"user": "u", "password": REDACTED}),
        ([Login("u", "hunter2")], [{"user": "u", "password": REDACTED}]),
        (Card("u", "hunter2"), {"holder": "u", "number": REDACTED}),
        (Vault("hunter2"), "<tests.agent.test_known_types.Vault>"),
        (Attrs(), {"user": "u", "pin": REDACTED}),
        (Struct(), {"user": "u", "api_key": REDACTED}),
        (SimpleNamespace(user="u", token="hunter2"), {"user": "u", "token": REDACTED}),
        ({"token": "hunter2"}.items(), [["token", REDACTED]]),
        (deque([1, 2]), [1, 2]),
        (range(3), [0, 1, 2]),
        ({"a": 1}.values(), [1]),
        (array("i", [1, 2]), [1, 2]),
        (IPv4Address("10.0.0.1"), "10.0.0.1"),
        (Fraction(1, 3), "1/3"),
        (pydantic.HttpUrl("https://u:hunter2@x.example/a?token=hunter2"), "https://[redacted]@x.example/a?…"),
    ],
)
def test_what_others_types_are_made_of_is_told_and_no_secret_in_it(value: object, shown: object) -> None:
    assert encode(result=value) == {"result": shown}
