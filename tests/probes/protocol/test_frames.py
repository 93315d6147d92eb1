"""What makes a message a frame, a hello and a hello_ack."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from z4j_probes.errors import ProtocolError
from z4j_probes.protocol import Hello, HelloAck, parse, parse_timestamp, timestamp, unsigned_frame

STARTED = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)
HELLO = Hello(
    agent_version="0.1.0",
    worker_id="web-1.web.0.0a1b2c3d",
    worker_role="web",
    worker_pid=4711,
    worker_started_at=STARTED,
    engines=("arq", "taskiq"),
    schedulers=("arq",),
    capabilities={"arq": ("retry", "cancel")},
    host_name="web-1",
    runtime_features=("buffer",),
    project="default",
)
ENVELOPE: dict[str, Any] = {"v": 2, "type": "hello", "id": "a", "ts": "2026-11-23T20:00:00Z", "payload": {}}
ACK: dict[str, Any] = {
    "protocol_version": "2",
    "brain_version": "1.13.0",
    "agent_id": "11111111-2222-4333-8444-555555555555",
    "project_id": "66666666-7777-4888-9999-aaaaaaaaaaaa",
    "session_id": "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff",
    "heartbeat_interval_seconds": 10,
    "max_frame_size_bytes": 1048576,
}


def test_a_hello_survives_the_wire() -> None:
    frame = parse(HELLO.frame(frame_id="h-1", now=STARTED))
    assert (frame["v"], frame["type"], frame["id"], frame["ts"]) == (
        2,
        "hello",
        "h-1",
        "2026-11-23T20:00:00.000000Z",
    )
    assert frame["payload"]["protocol_version"] == "2"
    assert Hello.from_payload(frame["payload"]) == HELLO


def test_a_hello_without_a_host_name_sends_no_host() -> None:
    payload = HELLO._replace(host_name=None, worker_id=None, project=None).payload()
    assert not {"host", "worker_id", "project"} & payload.keys()
    assert Hello.from_payload(payload).host_name is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("agent_version", None),
        ("framework", 7),
        ("engines", "arq"),
        ("schedulers", [1]),
        ("capabilities", []),
        ("capabilities", {"arq": "retry"}),
        ("worker_id", ""),
        ("worker_id", "x" * 129),
        ("worker_pid", "4711"),
        ("worker_pid", True),
        ("worker_started_at", "yesterday"),
        ("worker_started_at", "2026-11-23T20:00:00"),
        ("runtime_features", None),
    ],
)
def test_a_hello_with_a_wrong_field_is_refused(field: str, value: object) -> None:
    with pytest.raises(ProtocolError):
        Hello.from_payload({**HELLO.payload(), field: value})


def test_a_hello_ack_states_the_terms_of_the_session_and_the_brains_clock() -> None:
    ack = HelloAck.from_frame(parse(unsigned_frame("hello_ack", ACK, now=STARTED)).copy())
    assert ack.project_id == ACK["project_id"]
    assert (ack.heartbeat_interval_seconds, ack.max_frame_size_bytes) == (10, 1048576)
    assert ack.ts == STARTED
    assert ack.ts.tzinfo is not None


def test_a_hello_ack_may_have_fields_that_nobody_knows_yet() -> None:
    HelloAck.from_frame(parse(unsigned_frame("hello_ack", {**ACK, "region": "eu"})))


@pytest.mark.parametrize("field", sorted(ACK))
@pytest.mark.parametrize("value", [None, "", [], True])
def test_a_hello_ack_with_a_wrong_field_is_refused(field: str, value: object) -> None:
    with pytest.raises(ProtocolError, match=field):
        HelloAck.from_frame(parse(unsigned_frame("hello_ack", {**ACK, field: value})))


@pytest.mark.parametrize("interval", ["0", "-1", "1e400", "-1e400"])
def test_a_heartbeat_interval_that_is_no_interval_is_refused(interval: str) -> None:
    raw = unsigned_frame("hello_ack", ACK).replace(
        '"heartbeat_interval_seconds":10', f'"heartbeat_interval_seconds":{interval}'
    )
    with pytest.raises(ProtocolError, match="heartbeat_interval_seconds"):
        HelloAck.from_frame(parse(raw))


@pytest.mark.parametrize(("asked_s", "kept_s"), [(1e-6, 0.05), (0.2, 0.2), (60, 60), (3600, 60), (2**52, 60)])
def test_a_heartbeat_is_no_busy_loop_and_within_the_brains_patience(asked_s: float, kept_s: float) -> None:
    raw = unsigned_frame("hello_ack", {**ACK, "heartbeat_interval_seconds": asked_s})
    assert HelloAck.from_frame(parse(raw)).heartbeat_interval_seconds == kept_s


def test_another_frame_is_no_answer_to_hello() -> None:
    with pytest.raises(ProtocolError, match="not a hello_ack"):
        HelloAck.from_frame(parse(unsigned_frame("error", {})))


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "hello",
        "null",
        "[]",
        b"\xff\xfe{}",
        "{" * 10,
        "[" * 100_000,
        json.dumps({**ENVELOPE, "v": 1}),
        json.dumps({**ENVELOPE, "v": True}),
        json.dumps({**ENVELOPE, "type": ""}),
        json.dumps({**ENVELOPE, "id": ""}),
        json.dumps({**ENVELOPE, "id": "x" * 65}),
        json.dumps({**ENVELOPE, "id": 7}),
        json.dumps({**ENVELOPE, "ts": None}),
        json.dumps({**ENVELOPE, "payload": []}),
        json.dumps({**ENVELOPE, "payload": {"x": float("nan")}}),
        json.dumps({**ENVELOPE, "payload": {"x": float("inf")}}),
        json.dumps(ENVELOPE).replace("{}", '{"x":' + "1" * 5_000 + "}"),
    ],
)
def test_what_is_no_frame_is_refused(raw: str | bytes) -> None:
    with pytest.raises(ProtocolError):
        parse(raw)


def test_a_refusal_never_repeats_what_was_sent() -> None:
    with pytest.raises(ProtocolError) as caught:
        parse('{"v":2,"type":"hello","payload":{"token":"hunter2"}')
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_text_and_binary_messages_are_the_same_frame() -> None:
    raw = unsigned_frame("hello", {"name": "café ☕"})
    assert parse(raw) == parse(raw.encode())


def test_moments_are_sent_in_utc() -> None:
    moment = datetime(2026, 11, 23, 21, 30, tzinfo=timezone(timedelta(hours=1, minutes=30)))
    assert timestamp(moment) == "2026-11-23T20:00:00.000000Z"
    assert parse_timestamp(timestamp(moment)) == moment


def test_a_moment_without_a_zone_is_not_sent() -> None:
    with pytest.raises(ValueError, match="zone"):
        timestamp(STARTED.replace(tzinfo=None))
