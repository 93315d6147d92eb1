"""One live session with a brain: send, receive, heartbeat, acknowledge, answer commands.

Events leave in signed batches, several on their way at once, and are forgotten only when the brain has
acknowledged them; what is not acknowledged when the session ends is sent again by the next one.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from websockets.exceptions import ConnectionClosed

from z4j_fastapi.agent.delivery import Delivery, Sent
from z4j_fastapi.agent.in_flight import ACK_TIMEOUT_S, MAX_EVENTS, InFlight
from z4j_fastapi.agent.rejections import Rejections
from z4j_fastapi.agent.traffic import Traffic
from z4j_fastapi.buffer import EventBuffer
from z4j_fastapi.commands.dispatch import Dispatcher
from z4j_fastapi.log import log
from z4j_probes import FrameRejected, LiveSession, ProtocolError, __version__
from z4j_probes.bounded_connection import BoundedConnection
from z4j_probes.codes import lookup
from z4j_probes.protocol import PROTOCOL_VERSION, CloseCode, answers, meaning_of, new_frame_id, timestamp
from z4j_probes.protocol.close_codes import OUR_COMPLAINTS
from z4j_probes.protocol.health import agent_status, fitted
from z4j_probes.transport import hang_up

if TYPE_CHECKING:  # most agents have no schedules, and do not load what is about them
    from z4j_fastapi.schedules.at_desk import DeskSession
    from z4j_fastapi.schedules.desk import ScheduleDesk

# After a batch that was not full, how long the next one's events wait for company.
COMPANY_S = 0.05
# How often at least it is seen whether acknowledgements are overdue.
WATCH_EVERY_S = 5.0
# A brain takes twelve a minute of what an agent says of its own health.
STATUS_EVERY_S = 10.0
# What waits for others to pass is in memory meanwhile. Beyond it nothing more is read from the buffer.
HELD_MAX_BYTES = 16 * 1024 * 1024
# A peer that vanished without a word is noticed within the sum. The brain has patience for 90 s.
PING_INTERVAL_S = 20.0
PING_TIMEOUT_S = 20.0
# With its pid, which process it is that counts: a forked one has the same.
_RUNTIME = secrets.token_hex(8)
# The envelope around a batch: ids, signature and punctuation, generously.
ENVELOPE_BYTES = 2048


class SessionEnd(NamedTuple):
    """Why a session is over: a code, a sentence, and the peer's close code where it sent one.

    `is_timeout`: we ended it, since something did not come in time. `is_renewal`: we ended it to begin
    another one at once, and nothing is wrong.
    """

    code: str
    reason: str
    close_code: int | None = None
    is_timeout: bool = False
    is_renewal: bool = False


class SessionOver(Exception):
    """Ends the tasks of a session; `end` says why."""

    def __init__(self, end: SessionEnd) -> None:
        super().__init__(end.reason)
        self.end = end


class Session:
    """Runs one session until it ends. Lives in one event loop; owns the WebSocket that it is given.

    `commands` takes what the brain asks and has the replies; `rejections`, `delivery` and `traffic` outlive
    sessions; `health` is asked for what a heartbeat reports of the adapter; `stalled` is told for how many
    seconds no batch was acknowledged, now and then while that grows, and with 0 when one was.
    `desk` has the worker's own schedules, None where it has none.
    """

    def __init__(
        self,
        live: LiveSession,
        buffer: EventBuffer,
        commands: Dispatcher,
        rejections: Rejections,
        delivery: Delivery,
        traffic: Traffic,
        health: Callable[[], Mapping[str, str]] = dict,
        stalled: Callable[[float], object] = bool,
        desk: ScheduleDesk | None = None,
    ) -> None:
        self._live = live
        self._websocket = live.websocket
        self._buffer = buffer
        self._commands = commands
        self._rejections = rejections
        self._delivery = delivery
        self._traffic = traffic
        self._health = health
        self._stalled = stalled
        self._schedules: DeskSession | None = None
        if desk is not None:
            from z4j_fastapi.schedules.at_desk import DeskSession

            self._schedules = DeskSession(desk, self._send_frame)
        self._in_flight = InFlight[Sent]()
        self._held: list[Sent] = []
        self._held_bytes = 0
        self._limit = live.ack.max_frame_size_bytes - ENVELOPE_BYTES - MAX_EVENTS  # a comma for each
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._drained = asyncio.Event()
        self._finishing = False
        self._replied_s = -math.inf
        self._last_frame_id = ""
        self._replies_before = dict[str, int]()
        """How many results had left before each batch."""
        self._is_handled = asyncio.Event()

    def wake(self) -> None:
        """There may be events to send."""
        self._wake.set()

    async def run(self) -> SessionEnd:
        """Live until the connection ends, and say why it did. Cancelling closes the connection."""
        self._websocket.ping_interval, self._websocket.ping_timeout = PING_INTERVAL_S, PING_TIMEOUT_S
        self._websocket.start_keepalive()
        self._wake.set()
        ended: SessionEnd | None = None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._receive(), name="z4j receive")
                group.create_task(self._send(), name="z4j send")
                group.create_task(self._heartbeat(), name="z4j heartbeat")
                group.create_task(self._reply(), name="z4j reply")
                group.create_task(self._watch(), name="z4j watch")
                group.create_task(self._commands.take_up(self._live.ack.agent_id), name="z4j left")
                if self._schedules is not None:
                    group.create_task(self._tell_schedules(self._schedules), name="z4j schedules")
        except* SessionOver as over:
            errors = [error for error in over.exceptions if isinstance(error, SessionOver)]
            ended = end = errors[0].end
        finally:
            self._settle(ended)
            self._drained.set()  # what waits in `finish` waits for nothing now
            hang_up(self._websocket.transport)
        return end

    def _settle(self, end: SessionEnd | None) -> None:
        """Give back what was on its way, or set aside what it ended behind. None: by an error of ours."""
        self._commands.replies.session_over()
        on_their_way = self._in_flight.release()
        close_code = None if end is None else end.close_code
        is_lost = end is not None and (end.is_timeout or (end.code == "session.lost" and close_code is None))
        poison = self._delivery.ended(on_their_way, close_code, time.monotonic(), is_lost=is_lost)
        for sent in (*on_their_way, *self._held):
            if sent is not poison:
                self._buffer.release(sent.batch)
        if poison is None:
            return
        code = "session.event_set_aside"
        kept = self._buffer.set_aside(poison.batch, code)
        what = "set aside" if kept else "dropped (no room to set it aside)"
        cause = f"an event of {poison.size} bytes was {what}: each time, the session closed with {close_code}"
        extra = {"z4j_code": code, "z4j_state": "offline"}
        log.fault(logging.ERROR, f"offline ({code})", cause, lookup(code).steps, extra=extra)

    async def finish(self, budget_s: float) -> None:
        """Send what is buffered, wait until the brain has that and all replies, and close, in time."""
        self._finishing = True
        self._wake.set()
        try:
            async with asyncio.timeout(budget_s):
                await self._drained.wait()
                await self._websocket.close()
        except TimeoutError:
            hang_up(self._websocket.transport)

    async def _receive(self) -> NoReturn:
        try:
            for frame in self._live.pending:
                await self._handle(frame)
            while True:
                # errors too: what anyone on the path can write is no reason to do or to forget anything
                await self._handle(self._live.verifier.verify(await self._websocket.recv()))
        except ConnectionClosed as exc:
            raise SessionOver(self._why_closed(exc)) from None
        except FrameRejected as exc:
            await self._refuse(CloseCode.FORBIDDEN, "signing.brain_signature_invalid", str(exc))
        except ProtocolError as exc:
            await self._refuse(CloseCode.MALFORMED, "signing.brain_signature_invalid", str(exc))

    async def _refuse(self, close: int, code: str, reason: str) -> NoReturn:
        await self._websocket.close(close, "frame refused")
        raise SessionOver(SessionEnd(code, f"a frame of the brain was refused: {reason}", close))

    async def _handle(self, frame: Mapping[str, Any]) -> None:
        kind, payload = frame["type"], frame["payload"]
        if kind == "event_batch_ack":
            self._acknowledged(payload)
        elif kind == "command":
            if self._schedules is not None and payload.get("action") in self._schedules.actions:
                self._schedules.received(frame["id"], payload)
            else:
                ack = self._live.ack
                self._commands.received(frame, (ack.agent_id, ack.project_id, ack.session_id))
        elif kind == "error" and payload.get("fatal"):
            reason = f"the brain reports {payload.get('code')}: {payload.get('message')}"
            raise SessionOver(SessionEnd("session.lost", reason))

    def _acknowledged(self, payload: Mapping[str, Any]) -> None:
        now_s, frame_id = time.monotonic(), payload.get("acked_id")
        self._commands.replies.handled(self._replies_before.pop(str(frame_id), 0))
        if self._last_frame_id and frame_id == self._last_frame_id:
            self._is_handled.set()
            return
        if self._schedules is not None and self._schedules.acknowledged(frame_id, payload):
            return
        sent = self._in_flight.acknowledged(frame_id, now_s)
        if sent is None:
            return
        self._buffer.forget(sent.batch)
        self._traffic.took(len(sent), self._in_flight.latency_s)
        more = bool(self._in_flight)
        self._delivery.acknowledged(sent, now_s, more_on_their_way=more, limit_bytes=self._limit)
        self._stalled(0.0)
        if self._rejections.acknowledged(len(sent), payload.get("rejected"), now_s):
            log.warning(
                "the brain rejects every event, %d so far; see the brain's log", self._rejections.count
            )
        self._room.set()
        if self._held:  # what it has proven may let one of these be tried
            self._wake.set()

    async def _reply(self) -> NoReturn:
        limit = self._commands.executor.max_frame_bytes = self._live.ack.max_frame_size_bytes
        try:
            while True:
                reply = await self._commands.replies.next()
                payload = answers.fitted(reply.payload, limit)
                await self._websocket.send(self._live.signer.sign(reply.kind, payload, reply.command_id))
                self._replied_s = time.monotonic()
                self._commands.replies.sent(reply)
        except ConnectionClosed as exc:
            raise SessionOver(self._why_closed(exc)) from None

    async def _tell_schedules(self, schedules: DeskSession) -> NoReturn:
        from z4j_fastapi.schedules.at_desk import NewSessionWanted

        try:
            await schedules.run()
        except ConnectionClosed as exc:
            raise SessionOver(self._why_closed(exc)) from None
        except NewSessionWanted:
            await self._websocket.close()
            reason = "a new session is activated for the worker's schedules"
            raise SessionOver(SessionEnd("session.lost", reason, is_renewal=True)) from None
        except Exception:  # events and commands go on without them
            log.exception("internal error in the worker's schedules; please report it")
            await asyncio.Event().wait()
        raise AssertionError("schedules are told until the session ends")

    async def _send_frame(self, kind: str, payload: Mapping[str, Any], frame_id: str | None) -> None:
        if kind == "command_result":
            payload = answers.fitted(payload, self._live.ack.max_frame_size_bytes)
            self._replied_s = time.monotonic()
        await self._websocket.send(self._live.signer.sign(kind, payload, frame_id))

    async def _send(self) -> NoReturn:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._send_all()
                if self._finishing:
                    await self._all_acknowledged()
                    await self._all_replies_handled()
                    self._drained.set()
        except ConnectionClosed as exc:
            raise SessionOver(self._why_closed(exc)) from None

    async def _send_all(self) -> None:
        while True:
            await self._room_for_another()
            frame_id = new_frame_id()  # first: what is claimed is on its way, or is lost to this session
            wanted, _ = self._wanted()
            sent = self._next()
            if sent is None:
                sent = self._waits_to_be_tried()
                if sent is None:
                    return
                await self._all_acknowledged()
                self._held.remove(sent)
                self._held_bytes -= sent.size
            is_alone = len(sent) == 1 and sent.size > self._wanted()[1]
            now_s = time.monotonic()
            self._delivery.sent(now_s)
            self._in_flight.sent(frame_id, sent, now_s)
            self._replies_before[frame_id] = self._commands.replies.sent_so_far
            body = f'{{"events":[{",".join(sent.batch.payloads)}]}}'
            frame = self._live.signer.sign_rendered("event_batch", body, frame_id)
            await self._websocket.send(frame)
            if is_alone:
                await self._all_acknowledged()
            elif len(sent) < wanted and not self._finishing:
                await asyncio.sleep(COMPANY_S)

    async def _room_for_another(self) -> None:
        while not self._in_flight.has_room or (self._delivery.one_at_a_time and self._in_flight):
            self._room.clear()
            await self._room.wait()

    def _wanted(self) -> tuple[int, int]:
        return self._delivery.wanted(self._in_flight.wanted_events, self._limit)

    def _next(self) -> Sent | None:
        """The next batch that is not to wait for others; None where there is none, or too much waits."""
        while self._held_bytes < HELD_MAX_BYTES:
            events, room = self._wanted()
            batch = self._buffer.claim(events, room)
            if self._delivery.is_mixed(batch):
                self._buffer.release(batch)
                batch = self._buffer.claim(1, room)
            if not batch:
                return None
            sent = Sent.of(batch)
            if not self._delivery.waits(sent, room):
                return sent
            self._hold(sent)
        return None

    def _hold(self, sent: Sent) -> None:
        self._held.append(sent)
        self._held_bytes += sent.size
        if sent.size > self._limit and self._delivery.tells_of_limit(self._limit):
            log.warning(
                "an event of %d bytes exceeds the brain's frame limit of %d bytes, and waits",
                sent.size,
                self._live.ack.max_frame_size_bytes,
            )

    def _waits_to_be_tried(self) -> Sent | None:
        now_s = time.monotonic()
        fitting = (sent for sent in self._held if sent.size <= self._limit)
        return next((sent for sent in fitting if self._delivery.may_try(sent, now_s)), None)

    async def _all_acknowledged(self) -> None:
        while self._in_flight:
            self._room.clear()
            await self._room.wait()

    async def _all_replies_handled(self) -> None:
        """Wait until the brain has come to the last reply: a worker may end behind its answer, to restart.

        Replies are not acknowledged, and a brain that is busy loses what it has not come to when a connection
        ends. It handles frames in order, so it has come to them all when it acknowledges a batch behind them.
        """
        if time.monotonic() - self._replied_s < ACK_TIMEOUT_S:
            self._last_frame_id = new_frame_id()
            self._replies_before[self._last_frame_id] = self._commands.replies.sent_so_far
            batch = self._live.signer.sign("event_batch", {"events": []}, self._last_frame_id)
            await self._websocket.send(batch)
            await self._is_handled.wait()

    async def _heartbeat(self) -> NoReturn:
        interval_s = self._live.ack.heartbeat_interval_seconds
        began_s, connected_at, status_at_s = time.monotonic(), datetime.now(UTC), 0.0
        try:
            while True:
                depth = self._buffer.depth
                # what waits for nothing is flushed now: a brain takes this for when the worker was alive
                flushed_at = self._traffic.last_at if depth else datetime.now(UTC)
                payload = {
                    "buffer_size": depth,
                    "last_flush_at": timestamp(flushed_at) if flushed_at else None,
                    "dropped_events": self._buffer.dropped,
                    "adapter_health": fitted(self._health(), self._limit),
                }
                await self._websocket.send(self._live.signer.sign("heartbeat", payload))
                now_s = time.monotonic()
                if now_s >= status_at_s:
                    status_at_s = now_s + STATUS_EVERY_S
                    status = agent_status(
                        connected_at=connected_at,
                        session_s=now_s - began_s,
                        buffered=depth,
                        dropped=self._buffer.dropped,
                        runtime_id=f"{_RUNTIME}-{os.getpid()}",
                        version=__version__,
                        protocol_version=PROTOCOL_VERSION,
                        engines=self._live.hello.engines,
                        schedulers=self._live.hello.schedulers,
                    )
                    await self._websocket.send(self._live.signer.sign("agent_status", status))
                if depth:  # whatever kept it from being sent may be over: a disk that failed
                    self._wake.set()
                await asyncio.sleep(interval_s)
        except ConnectionClosed as exc:
            raise SessionOver(self._why_closed(exc)) from None

    async def _watch(self) -> NoReturn:
        """In a task that sends nothing: where the peer reads nothing, every send waits, and pings too."""
        while True:
            await asyncio.sleep(min(self._live.ack.heartbeat_interval_seconds, WATCH_EVERY_S))
            now_s = time.monotonic()
            if self._in_flight:
                self._stalled(self._delivery.unacknowledged_s(now_s))
            if self._in_flight.is_overdue(now_s):
                waited_s = self._in_flight.waited_s(now_s)
                reason = f"the brain has not acknowledged a batch for {waited_s:.0f} s"
                raise SessionOver(SessionEnd("session.unacknowledged", reason, is_timeout=True))

    def _why_closed(self, exc: ConnectionClosed) -> SessionEnd:
        if isinstance(self._websocket, BoundedConnection) and self._websocket.is_flooded:
            reason = "the server sends pings and reads no answers, so we disconnected"
            return SessionEnd("session.lost", reason, CloseCode.POLICY)
        if exc.rcvd is None:
            # what websockets' keepalive sends
            if exc.sent is not None and exc.sent.code == CloseCode.BRAIN_ERROR:
                reason = f"connection lost: no answer to a ping within {PING_TIMEOUT_S:g} s"
                return SessionEnd("session.lost", reason, is_timeout=True)
            if exc.sent is not None and exc.sent.code in OUR_COMPLAINTS:
                reason = f"the server sent an invalid WebSocket message (we closed with {exc.sent.code})"
                return SessionEnd("session.lost", reason)
            return SessionEnd("session.lost", "connection lost without a close frame")
        said = f": {exc.rcvd.reason}" if exc.rcvd.reason else ""
        reason = f"the brain closed the session with close code {exc.rcvd.code}{said}"
        return SessionEnd(meaning_of(exc.rcvd.code).in_session, reason, exc.rcvd.code)
