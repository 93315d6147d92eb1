"""The messages of the wire and what makes one well formed: envelope, hello, hello_ack.

Everything here is unsigned; `signing` turns a payload into a signed frame and back. Messages of errors
name fields and types, never values: a peer's frame may hold anything.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from z4j_probes.errors import ProtocolError
from z4j_probes.protocol import _json

PROTOCOL_VERSION = "2"
ENVELOPE_VERSION = 2
DEFAULT_MAX_FRAME_BYTES = 1024 * 1024
# A brain that takes less would have nearly every event dropped, unseen, in a session that looks sound. Events
# of usual size, with a traceback and the envelope, are well below; larger ones are dropped one by one.
LEAST_MAX_FRAME_BYTES = 16 * 1024
# More often would be a busy loop, and past 90 s a brain takes the agent for gone.
SHORTEST_HEARTBEAT_S, LONGEST_HEARTBEAT_S = 0.05, 60.0
MAX_EVENTS_PER_BATCH = 5_000
MAX_FRAME_ID_LENGTH = 64
MAX_WORKER_ID_LENGTH = 128
# A brain takes it for "do not record". It judges other versions by the releases of its own adapters, on whose
# scale ours would be "incompatible".
UNRECORDED_VERSION = "0.0.0"


class Hello(NamedTuple):
    """What an agent says of itself, first thing on a connection."""

    agent_version: str
    worker_id: str | None
    worker_role: str
    worker_pid: int
    worker_started_at: datetime
    framework: str = "fastapi"
    engines: tuple[str, ...] = ()
    schedulers: tuple[str, ...] = ()
    capabilities: Mapping[str, tuple[str, ...]] | None = None
    host_name: str | None = None
    """None sends no `host` at all, which leaves alone what the dashboard shows."""
    runtime_features: tuple[str, ...] = ()
    project: str | None = None

    def payload(self) -> dict[str, Any]:
        """The payload as it is sent; optional fields that are None are left out."""
        payload: dict[str, Any] = {
            "protocol_version": PROTOCOL_VERSION,
            "agent_version": self.agent_version,
            "framework": self.framework,
            "engines": list(self.engines),
            "schedulers": list(self.schedulers),
            "capabilities": {engine: list(names) for engine, names in (self.capabilities or {}).items()},
            "worker_role": self.worker_role,
            "worker_pid": self.worker_pid,
            "worker_started_at": timestamp(self.worker_started_at),
            "runtime_features": list(self.runtime_features),
        }
        if self.worker_id is not None:
            payload["worker_id"] = self.worker_id
        if self.host_name is not None:
            payload["host"] = {"name": self.host_name}
        if self.project is not None:
            payload["project"] = self.project
        return payload

    def frame(self, *, frame_id: str | None = None, now: datetime | None = None) -> str:
        """The hello frame, ready to send."""
        return unsigned_frame("hello", self.payload(), frame_id=frame_id, now=now)

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Self:
        """Read a hello as a brain does; ProtocolError names the field that is missing or wrong."""
        worker_id = _optional_text(payload, "worker_id")
        if worker_id is not None and not 1 <= len(worker_id) <= MAX_WORKER_ID_LENGTH:
            raise ProtocolError(f"'worker_id' is not 1 to {MAX_WORKER_ID_LENGTH} characters long")
        host = payload.get("host")
        capabilities = payload.get("capabilities", {})
        if not isinstance(capabilities, dict):
            raise ProtocolError("'capabilities' is not an object")
        return cls(
            agent_version=_text(payload, "agent_version"),
            worker_id=worker_id,
            worker_role=_text(payload, "worker_role"),
            worker_pid=_integer(payload, "worker_pid"),
            worker_started_at=_moment(payload, "worker_started_at"),
            framework=_text(payload, "framework"),
            engines=_texts(payload, "engines"),
            schedulers=_texts(payload, "schedulers"),
            capabilities={engine: _texts(capabilities, engine) for engine in capabilities},
            host_name=_optional_text(host, "name") if isinstance(host, dict) else None,
            runtime_features=_texts(payload, "runtime_features"),
            project=_optional_text(payload, "project"),
        )


class HelloAck(NamedTuple):
    """The brain's answer to hello: who we are to it, and the terms of the session."""

    protocol_version: str
    brain_version: str
    agent_id: str
    project_id: str
    """The project's UUID, never its slug."""
    session_id: str
    heartbeat_interval_seconds: float
    max_frame_size_bytes: int
    ts: datetime
    """The brain's clock when it answered."""

    @classmethod
    def from_frame(cls, frame: Mapping[str, Any]) -> Self:
        """Read a parsed frame; ProtocolError names the field that is missing or wrong."""
        if frame["type"] != "hello_ack":
            raise ProtocolError("the answer to hello is not a hello_ack")
        payload = frame["payload"]
        return cls(
            protocol_version=_text(payload, "protocol_version"),
            brain_version=_text(payload, "brain_version"),
            agent_id=_text(payload, "agent_id"),
            project_id=_text(payload, "project_id"),
            session_id=_text(payload, "session_id"),
            heartbeat_interval_seconds=_heartbeat_interval(payload),
            max_frame_size_bytes=int(_positive(payload, "max_frame_size_bytes")),
            ts=_moment(frame, "ts"),
        )


def parse(raw: str | bytes) -> dict[str, Any]:
    """Parse one message into its envelope; ProtocolError says what is wrong with it.

    Of a repeated key the last one counts, as it does for the brain: what is verified is what is used.
    """
    try:
        frame = _json.load(raw if isinstance(raw, str) else raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise ProtocolError("the message is not UTF-8") from None
    except ValueError:
        raise ProtocolError("the message is not JSON") from None
    if not isinstance(frame, dict):
        raise ProtocolError("the message is not a JSON object")
    if isinstance(frame.get("v"), bool) or frame.get("v") != ENVELOPE_VERSION:
        raise ProtocolError(f"the frame's 'v' is not {ENVELOPE_VERSION}")
    _text(frame, "type")
    _text(frame, "ts")
    if len(_text(frame, "id")) > MAX_FRAME_ID_LENGTH:
        raise ProtocolError(f"the frame's 'id' is longer than {MAX_FRAME_ID_LENGTH} characters")
    if not isinstance(frame.get("payload"), dict):
        raise ProtocolError("the frame's 'payload' is missing or not an object")
    return frame


def unsigned_frame(
    kind: str, payload: Mapping[str, Any], *, frame_id: str | None = None, now: datetime | None = None
) -> str:
    """A frame without a signature; only `hello` and `hello_ack` travel like that."""
    envelope = {
        "v": ENVELOPE_VERSION,
        "type": kind,
        "id": frame_id or new_frame_id(),
        "ts": timestamp(now or utc_now()),
        "payload": payload,
    }
    return _json.render(envelope)


def new_frame_id() -> str:
    """A frame id that no other frame has."""
    return secrets.token_hex(16)


def utc_now() -> datetime:
    """This machine's clock, zoned."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC; ValueError for a moment that names no zone."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a zone has no place on the wire")
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def parse_timestamp(text: str) -> datetime:
    """Read an RFC 3339 moment; ValueError where it is none, or names no zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("the moment names no zone")
    return moment


def _text(source: Mapping[str, Any], key: str) -> str:
    value = source.get(key)
    if not isinstance(value, str) or not value:
        raise ProtocolError(f"'{key}' is missing or not a text")
    return value


def _optional_text(source: Mapping[str, Any], key: str) -> str | None:
    return None if source.get(key) is None else _text(source, key)


def _texts(source: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = source.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ProtocolError(f"'{key}' is not a list of texts")
    return tuple(values)


def _integer(source: Mapping[str, Any], key: str) -> int:
    value = source.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ProtocolError(f"'{key}' is missing or not an integer")
    return value


def _positive(source: Mapping[str, Any], key: str) -> float:
    value = source.get(key)
    # 1e400 parses as infinity, which is not an interval to wait for.
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 2**53:
        raise ProtocolError(f"'{key}' is missing or not a positive number")
    return value


def _heartbeat_interval(source: Mapping[str, Any]) -> float:
    # Moved into what can be kept up, not refused: a session with another beat is as good.
    interval_s = _positive(source, "heartbeat_interval_seconds")
    return min(max(interval_s, SHORTEST_HEARTBEAT_S), LONGEST_HEARTBEAT_S)


def _moment(source: Mapping[str, Any], key: str) -> datetime:
    try:
        return parse_timestamp(_text(source, key))
    except ValueError:
        raise ProtocolError(f"'{key}' is not an RFC 3339 moment with a zone") from None
