"""One agent's connection: token, hello, then verified frames until either side is done.

And what all connections to a brain share: its accounts and limits, who is online, how it misbehaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NoReturn

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from z4j_fastapi.devbrain.accounts import Accounts, Credentials
from z4j_fastapi.devbrain.misbehaviour import Close, Misbehaviour
from z4j_fastapi.devbrain.observations import Command, Heartbeat, Observations
from z4j_fastapi.devbrain.schedules import Schedules
from z4j_probes.errors import FrameRejected, ProtocolError
from z4j_probes.protocol import (
    DEFAULT_MAX_FRAME_BYTES,
    MAX_EVENTS_PER_BATCH,
    PROTOCOL_VERSION,
    CloseCode,
    FrameSigner,
    FrameVerifier,
    Hello,
    parse,
    unsigned_frame,
    utc_now,
)
from z4j_probes.protocol.schedules import ACTIVATE
from z4j_probes.protocol.snapshots import EVENT_KIND as SNAPSHOT

BRAIN_VERSION = "0.0.0+dev"


@dataclass(frozen=True, slots=True)
class Limits:
    """A brain's limits, with the values that a real one has."""

    heartbeat_interval_s: float = 10
    max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES
    connects_per_minute: int = 600
    workers_per_agent: int = 64
    idle_timeout_s: float = 90.0


@dataclass(slots=True)
class BrainState:
    """Shared by every session; one event loop, so no locks."""

    limits: Limits
    misbehaviour: Misbehaviour
    accounts: Accounts = field(default_factory=Accounts)
    seen: Observations = field(default_factory=Observations)
    schedules: Schedules = field(default_factory=Schedules)
    online: dict[tuple[str, str | None], AgentSession] = field(default_factory=dict)
    """Sessions that have their hello_ack, by agent id and worker id."""
    _connects: dict[str, deque[float]] = field(default_factory=dict)

    def admits(self, address: str) -> bool:
        """Count a connect from this address; False once it had too many within a minute."""
        now = time.monotonic()
        recent = self._connects.setdefault(address, deque())
        while recent and now - recent[0] > 60.0:
            recent.popleft()
        recent.append(now)
        return len(recent) <= self.limits.connects_per_minute

    def has_room_for(self, agent: Credentials, worker_id: str | None) -> bool:
        """Whether one more worker fits on this agent; one that replaces another always does."""
        workers = [worker for agent_id, worker in self.online if agent_id == agent.agent_id]
        return worker_id in workers or len(workers) < self.limits.workers_per_agent


class _EndConnection(Exception):
    def __init__(self, close: Close) -> None:
        super().__init__(close.reason)
        self.close = close


class AgentSession:
    """Serves one connection. What it learns goes to `state.seen`."""

    def __init__(self, state: BrainState, websocket: ServerConnection) -> None:
        self._state = state
        self._websocket = websocket
        self._signer: FrameSigner
        self._verifier: FrameVerifier
        self.agent: Credentials
        self.worker_id: str | None = None
        self.engines: tuple[str, ...] = ()

    async def run(self) -> None:
        """Talk until the connection is over. A breach of the protocol is answered by a close code."""
        try:
            await self._converse()
        except _EndConnection as end:
            await self.close(end.close)
        except FrameRejected as exc:
            await self.close(Close(CloseCode.FORBIDDEN, exc.reason))
        except ProtocolError as exc:
            await self.close(Close(CloseCode.MALFORMED, str(exc)))
        except ConnectionClosed:
            return

    async def close(self, close: Close) -> None:
        """End the connection from this side."""
        self._state.seen.refusals.append(close.reason)
        self._state.seen.notify()
        if close.code is None:
            self._websocket.transport.abort()
        else:
            # A close frame has room for 123 bytes of reason (RFC 6455 §5.5).
            await self._websocket.close(close.code, close.reason.encode()[:123].decode(errors="ignore"))

    async def send(self, kind: str, payload: Mapping[str, Any], frame_id: str | None = None) -> None:
        """Send a frame as this brain signs them."""
        if self._state.misbehaviour.send_unsigned:
            raw = unsigned_frame(kind, payload, frame_id=frame_id, now=self._clock())
        else:
            raw = self._signer.sign(kind, payload, frame_id)
        await self._websocket.send(raw.encode())

    async def _converse(self) -> None:
        seen = self._state.seen
        seen.connections += 1
        seen.notify()
        self._end_if(self._state.misbehaviour.close_after_upgrade)
        self.agent = self._authenticate()
        hello = self._read_hello(await self._receive())
        self.worker_id, self.engines = hello.worker_id, hello.engines
        seen.hellos.append(hello)
        seen.notify()
        self._end_if(self._state.misbehaviour.close_after_hello)
        if not self._state.has_room_for(self.agent, self.worker_id):
            raise _EndConnection(Close(CloseCode.RATE_LIMITED, "too many workers on this agent"))
        await self._acknowledge_hello()
        if self._state.misbehaviour.withhold_hello_ack:
            await self._ignore_frames()

        key = (self.agent.agent_id, self.worker_id)
        replaced = self._state.online.get(key)
        self._state.online[key] = self
        seen.notify()
        try:
            if replaced is not None:
                await replaced.close(Close(CloseCode.REPLACED, "replaced by a newer connection"))
            await self._ask_for_schedules(hello)
            await self._take_frames()
        finally:
            if self._state.online.get(key) is self:
                del self._state.online[key]
                self._state.schedules.left(self.worker_id)
            seen.notify()

    def _authenticate(self) -> Credentials:
        address = self._websocket.remote_address
        if not self._state.admits(address[0] if address else ""):
            raise _EndConnection(Close(CloseCode.RATE_LIMITED, "too many connects from this address"))
        request = self._websocket.request
        scheme, _, token = (request.headers.get("Authorization", "") if request else "").partition(" ")
        agent = self._state.accounts.find(token) if scheme == "Bearer" else None
        if agent is None:
            raise _EndConnection(Close(CloseCode.TOKEN_REJECTED, "token unknown or revoked"))
        return agent

    def _read_hello(self, raw: str | bytes) -> Hello:
        frame = parse(raw)
        if frame["type"] != "hello":
            raise ProtocolError("the first frame is not a hello")
        if frame["payload"].get("protocol_version") != PROTOCOL_VERSION:
            reason = f"this brain speaks protocol {PROTOCOL_VERSION}"
            raise _EndConnection(Close(CloseCode.PROTOCOL_UNSUPPORTED, reason))
        return Hello.from_payload(frame["payload"])

    async def _acknowledge_hello(self) -> None:
        misbehaviour, limits = self._state.misbehaviour, self._state.limits
        payload = {
            "protocol_version": PROTOCOL_VERSION,
            "brain_version": BRAIN_VERSION,
            "agent_id": self.agent.agent_id,
            "project_id": self.agent.project_id,
            "session_id": str(uuid.uuid4()),
            "heartbeat_interval_seconds": limits.heartbeat_interval_s,
            "max_frame_size_bytes": limits.max_frame_bytes,
            **misbehaviour.hello_ack_changes,
        }
        ids = [str(payload[name]) for name in ("agent_id", "project_id", "session_id")]
        secret = self._state.accounts.project_secret(self.agent.project_id)
        sending_secret = secrets.token_bytes(32) if misbehaviour.sign_with_wrong_secret else secret
        self._signer = FrameSigner(sending_secret, *ids, clock=self._clock)
        self._verifier = FrameVerifier(secret, *ids, clock=self._clock)
        await asyncio.sleep(misbehaviour.delay_s)
        if misbehaviour.raw_hello_ack is not None:
            await self._websocket.send(misbehaviour.raw_hello_ack)
        elif not misbehaviour.withhold_hello_ack:
            raw = unsigned_frame("hello_ack", payload, now=self._clock())
            await self._websocket.send(raw.encode())

    async def _ask_for_schedules(self, hello: Hello) -> None:
        for parameters in self._state.schedules.introduced(hello):
            target = {"type": "scheduler", "id": parameters["owner"], "scheduler": parameters["owner"]}
            command = Command.of(ACTIVATE, target, parameters)
            self._state.seen.commands[command.id] = command
            await self.send("command", command.payload, command.id)

    async def _be_busy(self, seconds: float) -> None:
        """A brain has lost what it has not come to when a connection ends."""
        if seconds:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._websocket.wait_closed()
                raise self._websocket.protocol.close_exc

    async def _ignore_frames(self) -> NoReturn:
        while True:
            await self._receive()

    async def _take_frames(self) -> NoReturn:
        raw = await self._receive()
        self._end_if(self._state.misbehaviour.close_at_first_signed)
        while True:
            frame = parse(raw) if self._state.misbehaviour.accept_unsigned else self._verifier.verify(raw)
            await self._be_busy(self._state.misbehaviour.busy_s)
            await self._take(frame)
            self._state.seen.notify()
            raw = await self._receive()

    async def _take(self, frame: dict[str, Any]) -> None:
        seen, kind, payload = self._state.seen, frame["type"], frame["payload"]
        seen.frames[kind] += 1
        if kind == "event_batch":
            await self._take_batch(frame["id"], payload.get("events"))
        elif kind == "heartbeat":
            seen.record_heartbeat(Heartbeat(self.worker_id, payload))
        elif kind == "agent_status":
            seen.agent_statuses.append(payload)
        elif kind in {"command_ack", "command_result"}:
            if kind == "command_result" and payload.get("status") not in ("success", "failed"):
                raise _EndConnection(Close(CloseCode.BRAIN_ERROR, "a result is a success or failed"))
            seen.record_reply(frame["id"], payload, is_result=kind == "command_result")

    async def _take_batch(self, batch_id: str, events: object) -> None:
        if not isinstance(events, list) or len(events) > MAX_EVENTS_PER_BATCH:
            raise ProtocolError(f"a batch has a list of at most {MAX_EVENTS_PER_BATCH} events")
        seen, misbehaviour = self._state.seen, self._state.misbehaviour
        if len(events) == 1 and isinstance(events[0], dict) and events[0].get("kind") == SNAPSHOT:
            await self._take_snapshot(batch_id, events[0])
            return
        accepted, rejected = seen.record_batch(events)
        if (
            not misbehaviour.drop_acks
            < seen.batches
            <= misbehaviour.drop_acks + misbehaviour.acks_before_silence
        ):
            return
        if misbehaviour.delay_s:
            await asyncio.sleep(misbehaviour.delay_s)
        await self.send(
            "event_batch_ack",
            {"acked_id": batch_id, "received": len(events), "accepted": accepted, "rejected": rejected},
        )

    async def _take_snapshot(self, batch_id: str, event: Mapping[str, Any]) -> None:
        is_taken = self._state.schedules.accept(event)
        if is_taken is None:
            return
        counts = {"received": 1, "accepted": int(is_taken), "rejected": int(not is_taken)}
        await self.send("event_batch_ack", {"acked_id": batch_id, **counts})

    async def _receive(self) -> str | bytes:
        try:
            async with asyncio.timeout(self._state.limits.idle_timeout_s):
                return await self._websocket.recv()
        except TimeoutError:
            raise _EndConnection(Close(CloseCode.IDLE, "nothing was received")) from None

    def _clock(self) -> datetime:
        return utc_now() + timedelta(seconds=self._state.misbehaviour.clock_offset_s)

    @staticmethod
    def _end_if(close: Close | None) -> None:
        if close is not None:
            raise _EndConnection(close)
