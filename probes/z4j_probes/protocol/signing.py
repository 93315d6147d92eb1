"""What makes a frame genuine: the shared secret, canonical JSON, HMAC-SHA256 and the replay guard.

A frame is signed together with agent, project and session ids that are not sent, so a frame of one session
is worthless in another. Each direction of a session has its own sequence: a `FrameSigner` for what goes
out and a `FrameVerifier` for what comes in, which share nothing but the secret and those ids.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from z4j_probes.errors import FrameRejected
from z4j_probes.protocol import _json
from z4j_probes.protocol.frames import (
    ENVELOPE_VERSION,
    MAX_FRAME_ID_LENGTH,
    new_frame_id,
    parse,
    parse_timestamp,
    timestamp,
    utc_now,
)

MIN_SECRET_BYTES = 32
MAX_CLOCK_SKEW_S = 60.0
MAX_NONCE_LENGTH = 32
NONCE_WINDOW_S = 180.0
"""Three times the skew allowed: a frame whose nonce was forgotten is too old by its `ts`."""
MAX_NONCES_KEPT = 4_096
"""Bounds memory; the sequence number already refuses every replay within a session."""

_DERIVATION_LABEL = b"z4j-project-secret-v1:"
_URLSAFE_BASE64 = re.compile(r"[A-Za-z0-9_-]+={0,2}")


def decode_secret(text: str) -> bytes:
    """The bytes of a `Z4J_HMAC_SECRET`; ValueError says what is wrong with it, never what it is."""
    if not text:
        raise ValueError("the secret is empty")
    if any(character.isspace() for character in text):
        raise ValueError("the secret has whitespace in it")
    if not _URLSAFE_BASE64.fullmatch(text):
        raise ValueError("the secret has characters that urlsafe base64 does not use")
    digits = text.rstrip("=")
    if len(digits) % 4 == 1:
        raise ValueError("the secret is not base64: its length is one that no encoding has")
    secret = base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4))
    if len(secret) < MIN_SECRET_BYTES:
        raise ValueError(f"the secret is {len(secret)} bytes long, at least {MIN_SECRET_BYTES} are needed")
    return secret


def encode_secret(secret: bytes) -> str:
    """A secret as a person copies it: urlsafe base64."""
    return base64.urlsafe_b64encode(secret).decode("ascii")


def derive_project_secret(master: bytes, project_id: str) -> bytes:
    """The secret that a brain with this master shares with the agents of one project."""
    import uuid  # and platform, which few need that speak this protocol

    return hmac.digest(master, _DERIVATION_LABEL + uuid.UUID(project_id).bytes_le, "sha256")


def canonical(frame: Mapping[str, Any], *, agent_id: str, project_id: str, session_id: str) -> bytes:
    """The bytes that a frame's `hmac` is computed over; ValueError where the frame has none."""
    envelope = {**frame, "agent_id": agent_id, "project_id": project_id, "session_id": session_id}
    envelope.pop("hmac", None)
    return _json.render(envelope).encode("utf-8")


class FrameSigner:
    """Signs what one side of a session sends, numbering frames from 1. Not for use from several threads."""

    def __init__(
        self,
        secret: bytes,
        agent_id: str,
        project_id: str,
        session_id: str,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._secret = secret
        self._clock = clock
        self._seq = 0
        self._agent_id = _json.render(agent_id)
        self._project_id = _json.render(project_id)
        self._session_id = _json.render(session_id)

    def sign(self, kind: str, payload: Mapping[str, Any], frame_id: str | None = None) -> str:
        """The signed frame, ready to send; ValueError for a payload that JSON or UTF-8 can't carry."""
        if not isinstance(payload, Mapping):
            raise ValueError("a payload is a mapping")  # noqa: TRY004 - one error for what can't be signed
        body = _json.settle(payload if isinstance(payload, dict) else dict(payload))
        return self.sign_rendered(kind, body, frame_id)

    def sign_rendered(self, kind: str, body: str, frame_id: str | None = None) -> str:
        """The same for a payload that is canonical JSON already (see `render`): a batch of stored events.

        The payload stands in both texts, the signed one and the one that is sent.
        """
        frame_id = new_frame_id() if frame_id is None else frame_id
        if not kind or not 1 <= len(frame_id) <= MAX_FRAME_ID_LENGTH:
            raise ValueError(f"a frame needs a type, and an id of 1 to {MAX_FRAME_ID_LENGTH} characters")
        identifier, type_ = _json.render(frame_id), _json.render(kind)
        nonce, ts, seq = secrets.token_urlsafe(16), timestamp(self._clock()), self._seq + 1
        try:
            signed = (
                f'{{"agent_id":{self._agent_id},"id":{identifier},"nonce":"{nonce}","payload":{body},'
                f'"project_id":{self._project_id},"seq":{seq},"session_id":{self._session_id},'
                f'"ts":"{ts}","type":{type_},"v":{ENVELOPE_VERSION}}}'
            ).encode()
        except UnicodeEncodeError:
            raise ValueError("a text in the frame holds a lone surrogate, which UTF-8 can't carry") from None
        self._seq = seq
        signature = hmac.digest(self._secret, signed, "sha256").hex()
        return (
            f'{{"v":{ENVELOPE_VERSION},"type":{type_},"id":{identifier},"ts":"{ts}","nonce":"{nonce}",'
            f'"seq":{seq},"hmac":"{signature}","payload":{body}}}'
        )


class FrameVerifier:
    """Verifies what one side of a session receives: signature, then clock, sequence and nonce."""

    def __init__(
        self,
        secret: bytes,
        agent_id: str,
        project_id: str,
        session_id: str,
        *,
        clock: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._secret = secret
        self._ids = {"agent_id": agent_id, "project_id": project_id, "session_id": session_id}
        self._clock = clock
        self._monotonic = monotonic
        self._last_seq = 0
        self._nonces: dict[str, float] = {}

    def verify(self, raw: str | bytes) -> dict[str, Any]:
        """The frame, parsed and genuine.

        FrameRejected says which check it failed; a message that is not a frame is a ProtocolError.
        A frame that is refused changes nothing: forgeries can't advance the sequence or fill the memory.
        """
        frame = parse(raw)
        self._check_signature(frame)
        self._check_clock(frame["ts"])
        seq, nonce = frame.get("seq"), frame.get("nonce")
        if not isinstance(seq, int) or isinstance(seq, bool) or seq <= self._last_seq:
            raise FrameRejected("sequence", "the frame's sequence number does not rise")
        self._remember(nonce)
        self._last_seq = seq
        return frame

    def _check_signature(self, frame: dict[str, Any]) -> None:
        claimed = frame.get("hmac")
        if claimed is None:
            raise FrameRejected("unsigned", "the frame carries no signature")
        try:
            expected = hmac.digest(self._secret, canonical(frame, **self._ids), "sha256").hex()
        except ValueError:
            # A lone surrogate, or a number beyond the range of floats: no signer can have signed that.
            raise FrameRejected("signature", "the frame holds what can't be signed") from None
        if not isinstance(claimed, str) or not hmac.compare_digest(
            claimed.encode("utf-8", "replace"), expected.encode("ascii")
        ):
            raise FrameRejected("signature", "the frame's signature does not match the shared secret")

    def _check_clock(self, ts: str) -> None:
        try:
            skew_s = (parse_timestamp(ts) - self._clock()).total_seconds()
        except (ValueError, OverflowError):
            raise FrameRejected("clock", "the frame's ts is not a moment with a zone") from None
        if abs(skew_s) > MAX_CLOCK_SKEW_S:
            raise FrameRejected(
                "clock",
                f"the frame's ts is {skew_s:+.0f} s off, at most {MAX_CLOCK_SKEW_S:.0f} s are allowed",
            )

    def _remember(self, nonce: object) -> None:
        if not isinstance(nonce, str) or not 1 <= len(nonce) <= MAX_NONCE_LENGTH:
            raise FrameRejected("nonce", "the frame's nonce is missing or malformed")
        now = self._monotonic()
        while self._nonces:
            oldest = next(iter(self._nonces))
            if now - self._nonces[oldest] <= NONCE_WINDOW_S:
                break
            del self._nonces[oldest]
        if nonce in self._nonces:
            raise FrameRejected("nonce", "the frame's nonce was used before")
        if len(self._nonces) >= MAX_NONCES_KEPT:
            del self._nonces[next(iter(self._nonces))]
        self._nonces[nonce] = now
