"""Events: whatever a host hands over becomes canonical, bounded JSON without secrets."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import json
import time
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from z4j_fastapi.agent.events import MAX_EVENT_BYTES, EventEncoder, EventKind
from z4j_fastapi.agent.host_values import MAX_CHARACTERS, MAX_VALUES
from z4j_fastapi.agent.redaction import REDACTED
from z4j_probes.protocol import FrameSigner, FrameVerifier, render, timestamp

IDS = ("a", "p", "s")


def encode(encoder: EventEncoder | None = None, /, **data: Any) -> Any:
    text = (encoder or EventEncoder()).encode(EventKind.TASK_SENT, task_id="t", engine="arq", data=data)
    return json.loads(text)["data"]


def test_an_event_has_the_fields_of_the_wire_protocol() -> None:
    moment = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)
    text = EventEncoder().encode(
        "task.failed", task_id="t-1", engine="arq", data={"task_name": "mail"}, occurred_at=moment
    )
    event = json.loads(text)
    event_id = uuid.UUID(event.pop("id"))
    assert (event_id.version, event_id.variant) == (4, uuid.RFC_4122)
    assert event == {
        "engine": "arq",
        "task_id": "t-1",
        "kind": "task.failed",
        "occurred_at": "2026-11-23T20:00:00.000000Z",
        "data": {"task_name": "mail"},
    }


LOOK_LIKE_SECRETS = """password PASSWORD user_password apiKey api_key API-KEY Authorization Set-Cookie
accessToken client_secret x-csrf-token private_key sessionId credentials PGPASSWORD_pwd
tokens secrets passwords apiKeys accesstoken clientsecret jwt bearer dsn db_pass"""


@pytest.mark.parametrize("key", LOOK_LIKE_SECRETS.split())
def test_a_value_whose_key_looks_like_a_secret_is_redacted(key: str) -> None:
    assert encode(kwargs={key: "hunter2"}) == {"kwargs": {key: REDACTED}}
    assert encode(**{key: {"nested": "hunter2"}}) == {key: REDACTED}


@pytest.mark.parametrize("key", ["max_tokens", "tokenizer", "secretary", "cookiecutter", "author", "keynote"])
def test_a_word_that_only_resembles_one_is_not(key: str) -> None:
    assert encode(**{key: "plain"}) == {key: "plain"}


def test_a_host_can_name_more_secrets() -> None:
    encoder = EventEncoder(("iban", "tax_id"))
    assert encode(encoder, iban="DE…", taxId="1", tax_id="2") == dict.fromkeys(
        ("iban", "taxId", "tax_id"), REDACTED
    )


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class User:
    password: str = "hunter2"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00+00:00"),
        (timedelta(minutes=1), 60.0),
        (Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Path("/srv/x"), "/srv/x"),
        (b"\x00\xff", "<2 bytes>"),
        (Colour.RED, "red"),
        (ValueError("no"), "ValueError: no"),
        ({1: "a", (2, 3): "b"}, {"1": "a", "(2, 3)": "b"}),
        ({"x"}, ["x"]),
        ("\udcff", "?"),
        (2**2000, "<int of 2001 bits>"),
        (True, True),
        (None, None),
    ],
)
def test_a_value_that_json_has_no_form_for_is_told(value: Any, expected: Any) -> None:
    assert encode(v=value) == {"v": expected}


def test_an_object_is_named_and_never_shown() -> None:
    class Plain:
        password = "hunter2"

    assert encode(user=Plain())["user"].endswith("Plain>")


class Level(enum.IntEnum):
    HIGH = 3


class Preset(enum.Enum):
    NUMBER = 3
    LOGIN = {"user": "u", "dsn": "x"}  # noqa: RUF012 - as hosts write it


def test_what_has_a_meaning_keeps_it() -> None:
    assert encode(user=User(), level=Level.HIGH) == {"user": {"password": REDACTED}, "level": 3}
    assert encode(args=[Preset.NUMBER, Preset.LOGIN]) == {"args": [3, {"user": "u", "dsn": REDACTED}]}


class Panic(BaseException):
    """What PyO3 raises where Rust panics."""


@pytest.mark.parametrize("raised", [ValueError, asyncio.CancelledError, MemoryError, Panic])
def test_one_unreadable_value_costs_that_value_only(raised: type[BaseException]) -> None:
    class Unreadable(dict[str, int]):
        def items(self) -> Any:
            raise raised

    found = encode(task_name="mail", kwargs=Unreadable(a=1), queue="q")
    assert found == {
        "task_name": "mail",
        "kwargs": f"<Unreadable: unreadable, {raised.__name__}>",
        "queue": "q",
    }


class Lazy(Mapping[str, int]):
    """A mapping of things that are loaded when they are read; the second is not there."""

    def __getitem__(self, key: str) -> int:
        if key == "b":
            raise ConnectionError
        return 1

    def __iter__(self) -> Iterator[str]:
        return iter("abc")

    def __len__(self) -> int:
        return 3


class Cut(list[int]):
    def __iter__(self) -> Iterator[int]:
        yield 1
        raise ConnectionError


class Strange(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise ConnectionError


class OfStrangeType(metaclass=Strange):
    pass


class NoZone(tzinfo):
    def utcoffset(self, _: datetime | None) -> timedelta:
        raise ConnectionError

    dst = tzname = utcoffset  # type: ignore[assignment]


AT_THE_BEGINNING_OF_TIME = datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Lazy(), {"a": 1, "…": "<unreadable from here on, ConnectionError>"}),
        (Cut(), [1, "<unreadable from here on, ConnectionError>"]),
        (range(10**30), [*range(200), "… more"]),
        (OfStrangeType(), "<OfStrangeType: unreadable, ConnectionError>"),
    ],
)
def test_what_was_read_before_an_error_is_kept(value: Any, shown: Any) -> None:
    assert encode(value=value, queue="q") == {"value": shown, "queue": "q"}


@pytest.mark.parametrize(
    "moment",
    [datetime(2026, 1, 1, tzinfo=NoZone()), datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))],
)
def test_a_moment_that_can_not_be_told_is_now(moment: datetime) -> None:
    encoded = EventEncoder().encode("task.sent", task_id="t", engine="arq", data={}, occurred_at=moment)
    assert datetime.now(UTC) - datetime.fromisoformat(json.loads(encoded)["occurred_at"]) < timedelta(
        minutes=1
    )


@pytest.mark.parametrize("kind", [OrderedDict, defaultdict, Counter, set, deque])
def test_what_another_thread_changes_meanwhile_is_read_all_the_same(kind: Any) -> None:
    changing = kind()

    class Changes:
        """Whose text is asked for while it is walked."""

        def __init__(self, n: int) -> None:
            self.n = n

        def __fspath__(self) -> str:
            return self.__str__()

        def __str__(self) -> str:
            more = Changes(-self.n - 1)
            if isinstance(changing, dict):
                changing[f"new {self.n}"] = more
            else:
                (changing.add if isinstance(changing, set) else changing.append)(more)
            return f"value {self.n}"

    for n in range(3):
        if isinstance(changing, dict):
            changing[f"k{n}"] = Changes(n)
        else:
            (changing.add if isinstance(changing, set) else changing.append)(Changes(n))
    shown = encode(value=changing)["value"]
    assert sorted(shown.values() if isinstance(shown, dict) else shown) == ["value 0", "value 1", "value 2"]


def test_a_name_in_a_hosts_mapping_may_be_a_secret_and_those_of_an_event_are_none() -> None:
    found = encode(EventEncoder((), ("task|secret",)), task_name="mail", result={"postgres://u:p@h/db": "ok"})
    assert found == {"task_name": "mail", "result": {"postgres://[redacted]@h/db": "ok"}}
    assert encode(result={"x" * 99 + " postgres://u:p@h/db": 1})["result"].keys() == {
        "x" * 99 + " postgres://[redacted]@h/db"
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-DEF_1", "[redacted]"),
        ("Authorization: Bearer abcdefghijklmnop", "Authorization: [redacted]"),
        ("postgres://u:p@h/db", "postgres://[redacted]@h/db"),
        ("key AKIAABCDEFGHIJKLMNOP.", "key [redacted]."),
        ("ghp_" + "a" * 36, "[redacted]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY-----", "[redacted]"),
        ("a basic idea, and https://example.com/a:b@c", "a basic idea, and https://example.com/a:b@c"),
    ],
)
def test_a_secret_in_a_value_is_redacted_by_its_pattern(text: str, shown: str) -> None:
    assert encode(args=[text], error=ValueError(text)) == {"args": [shown], "error": f"ValueError: {shown}"}


@pytest.mark.parametrize("kind", [tuple, list])
def test_a_header_as_asgi_has_it_is_redacted_by_its_name(kind: Callable[[Any], Any]) -> None:
    headers = [kind((b"authorization", b"Basic x")), kind(("Cookie", "a=b")), kind(("accept", "*/*"))]
    found = encode(scope={"headers": headers}, args=("password", "of the second argument"))
    assert found["scope"] == {
        "headers": [["authorization", REDACTED], ["Cookie", REDACTED], ["accept", "*/*"]]
    }
    assert found["args"] == ["password", "of the second argument"]


def test_a_model_of_pydantic_keeps_its_fields_and_no_secret() -> None:
    class Order(pydantic.BaseModel):
        id: int
        api_key: pydantic.SecretStr

    order = Order(id=1, api_key=pydantic.SecretStr("hunter2"))
    assert encode(args=[order]) == {"args": [{"id": 1, "api_key": REDACTED}]}


def test_a_number_of_numpy_is_a_number() -> None:
    numpy = pytest.importorskip("numpy")
    found = encode(args=[numpy.int64(3), numpy.float64(0.5), numpy.bool_(True), numpy.float32("nan")])
    assert found["args"] == [3, 0.5, True, "nan"]
    assert encode(args=[numpy.zeros(10)]) == {"args": ["<numpy.ndarray>"]}


def test_a_host_can_add_patterns() -> None:
    assert encode(EventEncoder((), (r"ACME-\d+",)), args=["see ACME-123"]) == {"args": ["see [redacted]"]}


def test_a_cycle_ends() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    assert "nested too deeply" in json.dumps(encode(cycle=cycle))


def test_a_large_structure_is_not_walked_to_its_end() -> None:
    class Counted(list[int]):
        walked = 0

        def __iter__(self) -> Any:
            for value in super().__iter__():
                Counted.walked += 1
                yield value

    shown = encode(result=[[Counted(range(200)) for _ in range(200)] for _ in range(200)])
    assert Counted.walked <= 2 * MAX_VALUES
    assert "more" in json.dumps(shown, ensure_ascii=False)


@pytest.mark.parametrize("filler", ["x", "€", "😀"])
def test_an_event_of_any_size_is_bounded_and_keeps_what_matters(filler: str) -> None:
    text = EventEncoder().encode(
        "task.failed",
        task_id="t" * 10_000,
        engine="arq",
        data={"task_name": "mail", **{f"arg{n}": [filler * 9_000] * 40 for n in range(20)}},
    )
    assert len(text.encode()) <= MAX_EVENT_BYTES
    assert json.loads(text)["data"]["task_name"] == "mail"
    assert "left out" in text


@pytest.mark.parametrize("filler", ["k", "\x01", "😀"])
def test_names_of_any_size_are_bounded_too(filler: str) -> None:
    text = EventEncoder().encode(
        "task.sent",
        task_id=filler * 10_000,
        engine="arq",
        data={
            "kwargs": {
                f"{n}{filler * 9_000}": {f"{m}{filler * 600}": 1 for m in range(50)} for n in range(200)
            }
        }
        | {f"{n}{filler * 600}": n for n in range(190)},
    )
    assert len(text.encode()) <= MAX_EVENT_BYTES
    assert json.loads(text)["data"]


def test_many_long_texts_are_not_walked_to_their_end() -> None:
    class Counted(str):
        asked = 0

        def isascii(self) -> bool:
            Counted.asked += 1
            return super().isascii()

    encode(args=[Counted("x" * 8_000) for _ in range(150)], kwargs={"texts": ["y" * 8_000] * 150})
    assert Counted.asked <= 2 * MAX_CHARACTERS / 8_000


@pytest.mark.parametrize("given", [datetime(2026, 11, 24), "2026-11-24T10:00:00Z", 1.5])  # noqa: DTZ001
def test_a_moment_that_is_none_is_now_and_costs_no_more(given: Any) -> None:
    before = datetime.now(UTC)
    text = EventEncoder().encode(
        "task.sent", task_id="1", engine="arq", data={"queue": "q"}, occurred_at=given
    )
    event = json.loads(text)
    assert event["data"] == {"queue": "q"}
    assert before <= datetime.fromisoformat(event["occurred_at"]) + timedelta(milliseconds=1)


@pytest.mark.parametrize("nanoseconds", [0, 999, 1_000, 999_999_999, 1_000_000_000, 10**18 + 123_456_789])
def test_now_is_rendered_as_any_other_moment(nanoseconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: nanoseconds)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1000)
    for _ in range(2):  # of a new second, and of one that was rendered before
        event = json.loads(EventEncoder().encode("task.sent", task_id="1", engine="arq", data={}))
        assert event["occurred_at"] == timestamp(moment)


def test_an_exception_that_has_no_text_has_a_name() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert encode(exception=Mute(), queue="q") == {"exception": "Mute: <Mute>", "queue": "q"}


def test_what_can_not_even_be_named_is_an_event_all_the_same() -> None:
    class Nameless:
        def __str__(self) -> str:
            raise RuntimeError("no")

    text = EventEncoder().encode("task.sent", task_id=Nameless(), engine="arq", data={})  # type: ignore[arg-type]
    assert json.loads(text)["task_id"] == "<Nameless>"


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(st.characters(categories=["Cs", "Lu"]))
    | st.binary()
    | st.decimals()
    | st.datetimes(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.none(), inner) | st.tuples(inner)
    ),
    max_leaves=25,
)


@pytest.mark.waits
@settings(deadline=None)
@given(st.dictionaries(st.text(), anything))
def test_every_event_is_canonical_and_survives_signing(data: dict[str, Any]) -> None:
    text = EventEncoder().encode("task.sent", task_id="t", engine="arq", data=data)
    assert render(json.loads(text)) == text
    frame = FrameSigner(b"k" * 32, *IDS).sign_rendered("event_batch", f'{{"events":[{text}]}}')
    assert FrameVerifier(b"k" * 32, *IDS).verify(frame)["payload"]["events"] == [json.loads(text)]
