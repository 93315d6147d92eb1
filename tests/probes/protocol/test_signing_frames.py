"""Signatures, secrets and the replay guard, against recorded vectors and by property."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from z4j_probes.errors import FrameRejected, ProtocolError
from z4j_probes.protocol import (
    FrameSigner,
    FrameVerifier,
    canonical,
    decode_secret,
    derive_project_secret,
    encode_secret,
    parse,
)

VECTORS = json.loads((Path(__file__).parent / "wire_vectors.json").read_text(encoding="utf-8"))
SECRET = decode_secret(VECTORS["secret_base64url"])
IDS: dict[str, str] = {name: VECTORS[name] for name in ("agent_id", "project_id", "session_id")}
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
        | st.dictionaries(st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)
payloads = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), json_values, max_size=5)


def signer(secret: bytes = SECRET, at: datetime = NOON, ids: dict[str, str] = IDS) -> FrameSigner:
    return FrameSigner(secret, **ids, clock=lambda: at)


def verifier(at: datetime = NOON, monotonic: Callable[[], float] = lambda: 0.0) -> FrameVerifier:
    return FrameVerifier(SECRET, **IDS, clock=lambda: at, monotonic=monotonic)


def refused(receiver: FrameVerifier, raw: str | bytes) -> str:
    with pytest.raises(FrameRejected) as caught:
        receiver.verify(raw)
    return caught.value.reason


def signed_by_hand(**changes: Any) -> str:
    """A frame whose signature is right whatever else is wrong with it; None leaves a field out."""
    frame = parse(signer().sign("heartbeat", {})) | changes
    frame = {name: value for name, value in frame.items() if value is not None and name != "hmac"}
    return json.dumps(frame | {"hmac": hmac_of(frame)})


def hmac_of(frame: dict[str, Any]) -> str:
    return hmac.new(SECRET, canonical(frame, **IDS), "sha256").hexdigest()


@pytest.mark.parametrize("vector", VECTORS["signed"], ids=lambda vector: vector["frame"]["id"])
def test_canonical_bytes_and_signature_match_the_vectors(vector: dict[str, Any]) -> None:
    assert canonical(vector["frame"], **IDS) == vector["canonical_utf8"].encode()
    assert hmac_of(vector["frame"]) == vector["hmac"]


def test_the_vectors_verify_as_one_session() -> None:
    receiver = verifier(at=datetime(2026, 11, 23, 20, 0, tzinfo=UTC))
    for vector in VECTORS["signed"]:
        frame = {**vector["frame"], "hmac": vector["hmac"]}
        assert receiver.verify(json.dumps(frame)) == frame


def test_a_projects_secret_is_derived_from_the_master() -> None:
    derive = VECTORS["derive"]
    secret = derive_project_secret(derive["master_utf8"].encode(), derive["project_id"])
    assert encode_secret(secret) == derive["secret_base64url"]


@given(payloads)
def test_what_one_side_signs_the_other_accepts(payload: dict[str, Any]) -> None:
    sender, receiver = signer(), verifier()
    for seq in (1, 2):
        raw = sender.sign("event_batch", payload, frame_id=f"b-{seq}")
        frame = receiver.verify(raw.encode())
        assert (frame["type"], frame["id"], frame["seq"]) == ("event_batch", f"b-{seq}", seq)
        assert json.dumps(frame["payload"], sort_keys=True) == json.dumps(
            json.loads(json.dumps(payload)), sort_keys=True
        )


@given(st.text(), st.text(), payloads)
def test_whatever_can_be_signed_is_accepted(kind: str, frame_id: str, payload: dict[str, Any]) -> None:
    try:
        raw = signer().sign(kind, payload, frame_id)
    except ValueError:
        return
    assert verifier().verify(raw.encode())["id"] == frame_id


@given(payloads)
def test_the_signed_bytes_are_the_canonical_ones(payload: dict[str, Any]) -> None:
    frame = parse(signer().sign("event_batch", payload))
    assert frame["hmac"] == hmac_of(frame)


@given(
    payloads, st.sampled_from(["type", "id", "ts", "nonce", "seq", "hmac", "payload", "extra"]), json_values
)
def test_a_frame_with_any_field_changed_is_refused(
    payload: dict[str, Any], field: str, value: object
) -> None:
    frame = json.loads(signer().sign("event_batch", payload))
    tampered = {**frame, field: json.loads(json.dumps(value))}
    if json.dumps(tampered, sort_keys=True) == json.dumps(frame, sort_keys=True):
        return
    with pytest.raises(ProtocolError):
        verifier().verify(json.dumps(tampered))


@pytest.mark.parametrize("name", sorted(IDS))
def test_a_frame_of_another_agent_project_or_session_is_refused(name: str) -> None:
    assert refused(verifier(), signer(ids={**IDS, name: "another"}).sign("heartbeat", {})) == "signature"


def test_a_frame_signed_with_another_secret_is_refused() -> None:
    assert refused(verifier(), signer(secret=b"x" * 32).sign("heartbeat", {})) == "signature"


@pytest.mark.parametrize("claimed", ["", "é" * 64, 7, [], "\ud800", {}])
def test_a_signature_that_is_none_is_refused(claimed: object) -> None:
    frame = {**json.loads(signer().sign("heartbeat", {})), "hmac": claimed}
    assert refused(verifier(), json.dumps(frame)) == "signature"


def test_an_upper_case_signature_is_refused() -> None:
    frame = json.loads(signer().sign("heartbeat", {}))
    assert refused(verifier(), json.dumps({**frame, "hmac": frame["hmac"].upper()})) == "signature"


def test_an_unsigned_frame_is_refused() -> None:
    frame = json.loads(signer().sign("heartbeat", {}))
    del frame["hmac"]
    assert refused(verifier(), json.dumps(frame)) == "unsigned"


@pytest.mark.parametrize("value", ['"\\ud800"', "1e400"])
def test_a_frame_that_nobody_can_have_signed_is_refused(value: str) -> None:
    raw = signer().sign("heartbeat", {"x": 0}).replace('{"x":0}', f'{{"x":{value}}}')
    assert refused(verifier(), raw) == "signature"


@pytest.mark.parametrize("seconds", [61, -61, 86_400])
def test_a_frame_from_a_skewed_clock_is_refused(seconds: int) -> None:
    raw = signer(at=NOON + timedelta(seconds=seconds)).sign("heartbeat", {})
    assert refused(verifier(), raw) == "clock"


@pytest.mark.parametrize("seconds", [60, -60, 0])
def test_a_clock_within_sixty_seconds_is_accepted(seconds: int) -> None:
    verifier().verify(signer(at=NOON + timedelta(seconds=seconds)).sign("heartbeat", {}))


@pytest.mark.parametrize("ts", ["2026-11-23T12:00:00", "noon", "0001-01-01T00:00:00+23:59"])
def test_a_ts_that_is_no_zoned_moment_is_refused(ts: str) -> None:
    assert refused(verifier(), signed_by_hand(ts=ts)) == "clock"


def test_a_signature_is_checked_before_the_clock() -> None:
    raw = signer(secret=b"x" * 32, at=NOON + timedelta(hours=1)).sign("heartbeat", {})
    assert refused(verifier(), raw) == "signature"


def test_a_replayed_frame_is_refused() -> None:
    receiver, raw = verifier(), signer().sign("heartbeat", {})
    receiver.verify(raw)
    assert refused(receiver, raw) == "sequence"


def test_frames_out_of_order_are_refused() -> None:
    sender, receiver = signer(), verifier()
    first, second = sender.sign("heartbeat", {}), sender.sign("heartbeat", {})
    receiver.verify(second)
    assert refused(receiver, first) == "sequence"


def test_a_gap_in_the_sequence_is_accepted() -> None:
    sender, receiver = signer(), verifier()
    sender.sign("heartbeat", {})
    receiver.verify(sender.sign("heartbeat", {}))


@pytest.mark.parametrize("seq", [None, 0, -1, True, "1", 1.0])
def test_a_sequence_number_that_is_none_is_refused(seq: object) -> None:
    assert refused(verifier(), signed_by_hand(seq=seq)) == "sequence"


@pytest.mark.parametrize("nonce", [None, "", 7, "x" * 33])
def test_a_nonce_that_is_none_is_refused(nonce: object) -> None:
    assert refused(verifier(), signed_by_hand(nonce=nonce)) == "nonce"


def test_a_nonce_is_remembered_for_three_minutes() -> None:
    now = 0.0
    receiver = verifier(monotonic=lambda: now)
    receiver.verify(signed_by_hand(seq=1, nonce="n"))
    now = 180.0
    assert refused(receiver, signed_by_hand(seq=2, nonce="n")) == "nonce"
    now = 180.5
    receiver.verify(signed_by_hand(seq=2, nonce="n"))


def test_no_more_than_4096_nonces_are_kept() -> None:
    receiver = verifier()
    for seq in range(1, 4_098):
        receiver.verify(signed_by_hand(seq=seq, nonce=str(seq)))
    assert refused(receiver, signed_by_hand(seq=4_098, nonce="2")) == "nonce"
    receiver.verify(signed_by_hand(seq=4_098, nonce="1"))


def test_a_refused_frame_leaves_the_session_as_it_was() -> None:
    receiver = verifier()
    forged = signer(secret=b"x" * 32)
    for _ in range(3):
        refused(receiver, forged.sign("heartbeat", {}))
    receiver.verify(signer().sign("heartbeat", {}))


def test_of_a_repeated_key_the_last_one_is_verified_and_used() -> None:
    raw = signer().sign("heartbeat", {"x": 1})
    assert verifier().verify(raw.replace('{"x":1}', '{"x":2,"x":1}'))["payload"] == {"x": 1}
    assert refused(verifier(), raw.replace('{"x":1}', '{"x":1,"x":2}')) == "signature"


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        "\ud800",
        {"\udfff": 1},
        object(),
        b"bytes",
        {1: 1, "a": 2},
        10**5_000,
        NOON,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_can_not_be_signed_is_a_value_error_and_costs_no_sequence_number(value: object) -> None:
    sender = signer()
    with pytest.raises(ValueError):
        sender.sign("heartbeat", {"x": value})
    assert parse(sender.sign("heartbeat", {}))["seq"] == 1


def test_a_payload_that_contains_itself_is_a_value_error() -> None:
    loop: dict[str, Any] = {}
    loop["loop"] = loop
    with pytest.raises(ValueError):
        signer().sign("heartbeat", loop)


def test_a_bottomless_payload_is_a_value_error() -> None:
    deep: list[Any] = []
    for _ in range(200_000):
        deep = [deep]
    with pytest.raises(ValueError):
        signer().sign("heartbeat", {"deep": deep})


def test_integer_keys_are_signed_in_the_order_the_receiver_sees() -> None:
    raw = signer().sign("heartbeat", {2: "two", 10: "ten"})  # type: ignore[dict-item]
    assert verifier().verify(raw)["payload"] == {"2": "two", "10": "ten"}


@pytest.mark.parametrize("frame_id", ["", "x" * 65])
def test_a_frame_id_is_1_to_64_characters(frame_id: str) -> None:
    with pytest.raises(ValueError):
        signer().sign("heartbeat", {}, frame_id)


@given(st.binary(min_size=32, max_size=80), st.booleans())
def test_a_secret_may_lack_its_padding(secret: bytes, padded: bool) -> None:
    text = encode_secret(secret)
    assert decode_secret(text if padded else text.rstrip("=")) == secret


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty"),
        (" " + "A" * 43, "whitespace"),
        ("A" * 43 + "\n", "whitespace"),
        ('"' + "A" * 43 + '"', "characters"),
        ("A" * 42 + "+", "characters"),
        ("é" * 43, "characters"),
        ("A" * 20 + "=" + "A" * 22, "characters"),
        ("A" * 45, "length"),
        ("A" * 40, "30 bytes"),
    ],
)
def test_a_malformed_secret_is_described_and_never_shown(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        decode_secret(text)
    assert not text or text.strip() not in str(caught.value)
