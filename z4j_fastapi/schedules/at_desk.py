"""DeskSession: a worker's schedules in one session: activation, snapshots, and running a schedule now.

One thing happens after the other, in a task of the session. A snapshot is sent again as it is until the
brain has acknowledged it. A person's wish to run a schedule is always answered, since a brain neither takes
another one nor activates a session while one is open.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

from z4j_fastapi.commands.engine import Failed, Refused
from z4j_fastapi.commands.outcome import Outcome, Verdict, malformed, refused, unknown
from z4j_fastapi.commands.policy import not_allowed
from z4j_fastapi.commands.record import Told
from z4j_fastapi.log import log
from z4j_fastapi.schedules.desk import ScheduleDesk
from z4j_probes.codes import lookup
from z4j_probes.errors import ProtocolError, StorageError
from z4j_probes.protocol import answers
from z4j_probes.protocol.commands import Command, MalformedCommand, read_command
from z4j_probes.protocol.schedules import ACTIONS, ACTIVATE, CONTROL, MUTATE, Mutation, Stream
from z4j_probes.protocol.snapshots import Publication, Rows, Snapshot
from z4j_probes.threads import in_daemon_thread

LOOK_EVERY_S = 10.0
"""How soon a change is on the page."""
REPEAT_EVERY_S = 300.0
"""How often it is sent without a change."""
ACKNOWLEDGED_WITHIN_S = 20.0
ACTIVATED_WITHIN_S = 30.0
"""A brain asks for the schedules within a moment of the handshake, or not at all in this session."""
MAX_WAITING = 64
_ELSEWHERE = ("this schedule is declared in the worker's code or source", "Change it there")

Send = Callable[[str, Mapping[str, Any], str | None], Awaitable[None]]
"""Signs and sends one frame: its type, its payload, its id."""


class NewSessionWanted(Exception):
    """No process tells the brain of the schedules: a new session of this one would be asked to."""


class DeskSession:
    """Of one session, in the agent's loop. It is given commands whose action is one of `actions`."""

    actions = ACTIONS

    def __init__(self, desk: ScheduleDesk, send: Send) -> None:
        self._desk = desk
        self._send = send
        self._asked: asyncio.Queue[tuple[str, Mapping[str, Any], float]] = asyncio.Queue(MAX_WAITING)
        self._publication: Publication | None = None
        self._answered = asyncio.Event()
        self._published_s = 0.0

    def received(self, command_id: str, payload: Mapping[str, Any]) -> None:
        """A genuine command about schedules has come. Never raises, never waits."""
        try:
            self._asked.put_nowait((command_id, payload, time.monotonic()))
        except asyncio.QueueFull:
            busy = refused(Refused("command.busy", f"{MAX_WAITING} commands about schedules wait already"))
            self._desk.record.ended(Told("", command_id), busy, 0.0, answered=False)

    def acknowledged(self, frame_id: object, payload: Mapping[str, Any]) -> bool:
        """A batch was acknowledged; whether it was one of ours."""
        publication = self._publication
        if publication is None or not publication.acknowledged(frame_id, payload.get("rejected")):
            return False
        self._answered.set()
        return True

    async def run(self) -> NoReturn:
        """Work until cancelled; NewSessionWanted."""
        renews_s = time.monotonic() + ACTIVATED_WITHIN_S * random.uniform(1, 2)  # noqa: S311 - many start at once
        while True:
            asked = asyncio.ensure_future(self._asked.get())
            try:
                await asyncio.wait({asked}, timeout=LOOK_EVERY_S)
            finally:
                if not asked.done():
                    asked.cancel()
            if asked.done() and not asked.cancelled():
                await self._do(*asked.result())
            elif self._publication is not None:
                await self._look()
            elif time.monotonic() > renews_s and await self._desk.may_take_over():
                raise NewSessionWanted

    async def _look(self) -> None:
        publication = self._publication
        rows = await self._desk.rows()
        if publication is None or rows is None or publication.is_rejected:
            return
        await self._desk.executes()
        is_due = time.monotonic() - self._published_s > REPEAT_EVERY_S
        if is_due or not publication.is_current(rows):
            await self._publish(rows, "periodic" if is_due else "changed")

    async def _do(self, command_id: str, payload: Mapping[str, Any], received_s: float) -> None:
        try:
            command = read_command(command_id, payload)
        except MalformedCommand as exc:
            await self._refuse_malformed(command_id, exc)
            return
        told = Told(command.action, command.target, command.issued_by)
        deadline_s = received_s + command.timeout_s
        again = False
        try:
            if command.action == ACTIVATE:
                outcome = await self._activate(payload["parameters"], command, deadline_s)
            elif command.action == MUTATE:
                await self._acknowledge(command)
                outcome, again = await self._mutate(payload["parameters"], command, deadline_s)
            elif command.action == CONTROL:
                # after a refusal the brain 1.13.0 takes no snapshot any more; after silence it does
                outcome = refused(Refused("command.unsupported", *_ELSEWHERE))
            else:
                await self._acknowledge(command)
                outcome = await self._resync()
        except (Refused, ProtocolError) as exc:
            cause = exc if isinstance(exc, Refused) else Refused("command.unsupported", str(exc))
            outcome = refused(cause)
        is_answered = command.action == MUTATE or outcome.verdict is Verdict.DONE
        if is_answered:
            done = outcome.verdict is Verdict.DONE
            result = answers.result(
                "success" if done else "failed",
                command.claim_token,
                result=outcome.result if done else None,
                error=None if done else outcome.error,
            )
            await self._send("command_result", result, command.id)
        if command.action == ACTIVATE and outcome.verdict is Verdict.DONE:
            await self._look()  # what is gone was shown once more
        ms = (time.monotonic() - received_s) * 1000
        self._desk.record.ended(told, outcome, ms, answered=is_answered, again=again)

    async def _activate(self, parameters: Mapping[str, Any], command: Command, deadline_s: float) -> Outcome:
        stream = Stream.read(parameters)
        if stream.owner != self._desk.owner:
            raise Refused("command.no_worker_here", "these are the schedules of another service")
        await self._acknowledge(command)
        known = await self._desk.recall(stream.stream_id)
        rows = await self._desk.rows()
        while rows is None and not known and time.monotonic() < deadline_s:
            await asyncio.sleep(1.0)
            rows = await self._desk.rows()
        if rows is None and not known:
            raise Refused("command.no_worker_here", "the worker's schedules can't be read")
        # before they can be read, what the brain shows already is as true as it was
        rows = known if rows is None else rows
        self._publication = Publication(stream, known)
        taken = await self._publish_once(rows, "activation")
        if taken is None:
            raise Refused("command.no_worker_here", "the brain did not take the schedules")
        await self._desk.executes()
        return Outcome(Verdict.DONE, result=taken.receipt)

    async def _resync(self) -> Outcome:
        rows = await self._desk.rows()
        if self._publication is None or rows is None:
            raise Refused("command.no_worker_here", "another process tells the brain of the schedules")
        await self._publish(rows, "resync")
        return Outcome(Verdict.DONE, result={"schedulers_drained": 1})

    async def _mutate(
        self, parameters: Mapping[str, Any], command: Command, deadline_s: float
    ) -> tuple[Outcome, bool]:
        """What came of it, and whether that was known already."""
        mutation = Mutation.read(parameters)
        publication = self._publication
        if publication is None or mutation.stream != publication.stream:
            raise Refused("command.no_worker_here", "this session does not tell the brain of the schedules")
        if mutation.operation != "trigger":
            raise Refused("command.unsupported", *_ELSEWHERE)
        if not self._desk.may_run:
            raise not_allowed(MUTATE)
        rows = await self._desk.rows()
        row = None if rows is None else rows.get(mutation.key)
        if row is None:
            cause = "the worker no longer has this schedule"
            raise Refused("command.unknown_task", cause, "Reload the page")
        if not mutation.fits(row):
            cause = "the schedule has changed since it was looked at"
            raise Refused("command.unsupported", cause, "Reload the page, and try again")
        once = self._desk.once
        if once is None:
            raise Refused("buffer.unwritable", "without a disk only what may be done twice is done")
        try:
            known = await in_daemon_thread(lambda: once.begin(command.id, None))
        except (StorageError, RuntimeError) as exc:
            code = exc.code if isinstance(exc, StorageError) else "buffer.timeout"
            raise Refused(code, str(exc)) from exc
        task_id = f"z4j-{command.id}"
        if known is None:
            outcome = await self._run_now(mutation.key, task_id, deadline_s)
            with contextlib.suppress(StorageError, RuntimeError):
                if outcome.verdict is Verdict.REFUSED:
                    await in_daemon_thread(lambda: once.forget(command.id))
                elif outcome.verdict is not Verdict.UNKNOWN:
                    await in_daemon_thread(lambda: once.finish(command.id, outcome))
        elif known.outcome is not None:
            outcome = known.outcome
        else:
            outcome = unknown(f"it was begun at {known.begun_at:%H:%M:%S} UTC, and no outcome was written")
        if outcome.verdict is not Verdict.DONE:
            return outcome, known is not None
        taken = await self._publish(await self._desk.rows() or rows or {}, "trigger")
        shown = taken.rows.get(mutation.key) if taken else None
        if taken is None or shown is None:
            cause = f"it was put into the queue as {task_id}, and the brain did not take the schedules"
            return unknown(cause), known is not None
        result = mutation.result(taken.receipt, shown, task_id)
        return Outcome(Verdict.DONE, result=result), known is not None

    async def _run_now(self, key: str, task_id: str, deadline_s: float) -> Outcome:
        try:
            within_s = max(1.0, deadline_s - ACKNOWLEDGED_WITHIN_S - time.monotonic())
            await self._desk.run_now(key, task_id, within_s)
        except Refused as exc:
            return refused(exc)
        except Failed as exc:
            return Outcome(Verdict.FAILED, error=str(exc))
        except TimeoutError:
            return unknown("the worker did not answer within the time that the brain gave it")
        except Exception as exc:  # an engine's libraries may raise anything
            return unknown(f"{type(exc).__name__}: {answers.one_line(str(exc), 200)}")
        return Outcome(Verdict.DONE, result={"task_id": task_id})

    async def _publish(self, rows: Rows, reason: str) -> Snapshot | None:
        """Have the brain show exactly these; the snapshot that it has taken, None where it has not."""
        taken = await self._publish_once(rows, reason)
        while taken is not None and taken.rows != rows:
            taken = await self._publish_once(rows, reason)
        return taken

    async def _publish_once(self, rows: Rows, reason: str) -> Snapshot | None:
        publication = self._publication
        assert publication is not None  # noqa: S101 - a session that was not activated publishes nothing
        pending = publication.pending or publication.next(rows, reason, datetime.now(UTC))
        if pending is None or not await self._desk.keep(publication.stream.stream_id, publication.sent_rows):
            return None
        for frame_id, payload in pending.frames.items():
            self._answered.clear()
            await self._send("event_batch", payload, frame_id)
        deadline_s = time.monotonic() + ACKNOWLEDGED_WITHIN_S
        while publication.pending is pending and time.monotonic() < deadline_s:
            self._answered.clear()
            await _until(self._answered, deadline_s)
        if publication.is_rejected:
            self._tell_rejected()
        if publication.accepted is not pending:
            return None
        self._published_s = time.monotonic()
        # what is gone is forgotten
        await self._desk.keep(publication.stream.stream_id, publication.sent_rows)
        return pending

    def _tell_rejected(self) -> None:
        code = "session.schedules_rejected"
        row = lookup(code)
        log.fault(logging.ERROR, code, row.title, row.steps, extra={"z4j_code": code})

    async def _acknowledge(self, command: Command) -> None:
        await self._send("command_ack", answers.acknowledgement(command.claim_token), command.id)

    async def _refuse_malformed(self, command_id: str, exc: MalformedCommand) -> None:
        outcome = malformed(exc)
        if exc.action == MUTATE:
            await self._send(
                "command_result",
                answers.result("failed", exc.claim_token, error=outcome.error),
                command_id,
            )
        answered = exc.action == MUTATE
        self._desk.record.ended(Told(exc.action, command_id), outcome, 0.0, answered=answered)


async def _until(event: asyncio.Event, deadline_s: float) -> None:
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({waiting}, timeout=max(0.0, deadline_s - time.monotonic()))
    finally:
        waiting.cancel()
