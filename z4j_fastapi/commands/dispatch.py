"""Dispatcher: commands in, replies out. Eight at once, 256 waiting, each within its time, each at most once.

It lives in the agent's loop and never touches a socket: a session hands it `command` frames and sends its
replies, and a reply that finds its session gone is sent by the next one. The engine is called in the worker's
loop. The disk is asked in threads. So heartbeats and acknowledgements go on meanwhile.

A schedule that is due is never answered `failed` unless its task was tried, since a brain switches a schedule
off for that: it stays unanswered, is an ERROR in the log, and comes again. What can't be told stays
unanswered as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from z4j_fastapi.commands.act import act, new_task_id
from z4j_fastapi.commands.job import Job, Origin
from z4j_fastapi.commands.memory import CommandMemory, Remembered
from z4j_fastapi.commands.outcome import Outcome, Verdict, malformed, refused, unknown
from z4j_fastapi.commands.peers import PASSED_ON, ActedOn, Ids, Peers
from z4j_fastapi.commands.policy import allowed, objection
from z4j_fastapi.commands.record import Record, Told
from z4j_fastapi.commands.refusal import Failed, Refused
from z4j_fastapi.log import log
from z4j_probes.errors import StorageError
from z4j_probes.protocol import DEFAULT_MAX_FRAME_BYTES, answers, decode_secret
from z4j_probes.protocol.commands import (
    REPEATABLE,
    Action,
    CancelTask,
    MalformedCommand,
    SubmitTask,
    read_command,
)
from z4j_probes.redact import Secret
from z4j_probes.settings import Settings
from z4j_probes.threads import in_daemon_thread

if TYPE_CHECKING:  # where there is one, it is loaded
    from z4j_fastapi.commands.engine import Engine

AT_ONCE = 8
MAX_WAITING = 256
# What a brain may ask in the long run, and at once. Beyond it nothing is answered: answers cost as well.
RATE_PER_S = 100.0
BURST = 1_000
MAX_REPLIES = 1_024
# Each time that one command comes again under another id needs an answer of its own.
MAX_DELIVERIES = 16
# How long the answer to a command whose own time can't be read is worth sending.
_MALFORMED_S = 60.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply:
    """A frame to send, if that is still possible before `expires_s` (monotonic)."""

    command_id: str
    kind: str
    payload: Mapping[str, Any] = field(repr=False)
    expires_s: float


def open_dispatcher(
    settings: Settings,
    engine: Engine | None,
    loop: asyncio.AbstractEventLoop | None,
    directory: Path | None,
    redacted: Callable[[str], str],
) -> Dispatcher:
    """The dispatcher of an agent. `directory` is its identity's, None where its buffer is in memory only."""
    return Dispatcher(
        engine,
        loop,
        allowed=allowed(settings.commands),
        memory=None if directory is None else CommandMemory(directory),
        hmac_secret=settings.hmac_secret,
        redacted=redacted,
    )


class Dispatcher:
    """The commands of one agent. `engine` is None where no worker is in this process; `loop` is the worker's.

    `memory` is None where there is no disk; what can't be repeated is refused then. `redacted` takes secrets
    out of errors, which may be a task's own.
    """

    def __init__(
        self,
        engine: Engine | None,
        loop: asyncio.AbstractEventLoop | None,
        *,
        allowed: Collection[str],
        memory: CommandMemory | None,
        hmac_secret: Secret | None,
        redacted: Callable[[str], str],
    ) -> None:
        self._engine = engine
        self._loop = loop
        self._allowed = frozenset(allowed)
        self._memory = memory
        self._redacted = redacted
        self.hmac_secret = hmac_secret
        """What confirmation tokens are checked with; it changes when the settings are read again."""
        self._waiting: deque[Job] = deque()
        self._jobs: dict[str, Job] = {}
        self._work = asyncio.Semaphore(0)
        self._replies: deque[Reply] = deque(maxlen=MAX_REPLIES)
        self._changed = asyncio.Event()
        self._allowance = float(BURST)
        self._counted_s = time.monotonic()
        self._draining = False
        self._record = Record()
        self.peers: Peers | None = None
        """Other processes of this agent, to which is passed on what can't be done here."""
        self.max_frame_bytes = DEFAULT_MAX_FRAME_BYTES
        """Of the session that sends the replies."""

    def close(self) -> None:
        """Close the memory's file."""
        if self._memory is not None:
            self._memory.close()

    def count_on(self, counts: Mapping[str, int]) -> None:
        """Add what a dispatcher before this one has counted."""
        self._record.count_on(counts)

    @property
    def record(self) -> Record:
        """Where every command of this agent is logged and counted."""
        return self._record

    @property
    def counts(self) -> dict[str, int]:
        """How many commands ended how; from any thread."""
        return self._record.counts

    def received(self, frame: Mapping[str, Any], ids: Ids) -> None:
        """A genuine `command` frame has come in the session with these ids.

        Never raises for what is in it, and never waits.
        """
        self._take(frame, Origin(frame, ids), None)

    async def act_for_another(self, frame: Mapping[str, Any]) -> ActedOn:
        """The same for one that another process of this agent was sent; what came of it."""
        waiter: asyncio.Future[ActedOn] = asyncio.get_running_loop().create_future()
        self._take(frame, None, waiter)
        return await waiter

    def is_running(self, task_id: str) -> bool:
        """Whether this process runs that task now."""
        return self._engine is not None and self._engine.is_running(task_id)

    def _take(
        self, frame: Mapping[str, Any], origin: Origin | None, waiter: asyncio.Future[ActedOn] | None
    ) -> None:
        now_s, command_id = time.monotonic(), frame["id"]
        if not self._within_rate(now_s):
            busy = refused(Refused("command.busy", f"more than {RATE_PER_S:.0f} commands a second came"))
            self._record.ended(Told("", command_id), busy, 0.0, answered=False)
            if waiter is not None:
                waiter.set_result((busy, False))
            return
        try:
            command = read_command(command_id, frame["payload"])
        except MalformedCommand as exc:
            self._refuse_malformed(command_id, exc, waiter)
            return
        running = self._jobs.get(command.id) or self._jobs.get(command.fire_id or "")
        job = running or Job(command, now_s, origin=origin)
        if waiter is not None and len(job.waiters) < MAX_DELIVERIES:
            job.waiters.append(waiter)
        elif waiter is not None:
            waiter.set_result((refused(Refused("command.busy", "it is asked for again and again")), False))
        elif command.id in job.deliveries or len(job.deliveries) < MAX_DELIVERIES:
            job.deliveries[command.id] = command.claim_token
        if running is not None:  # it will be answered when it has ended
            return
        why_not = objection(command, self._engine, self._allowed)
        if (
            why_not is not None
            and why_not.code in PASSED_ON
            and origin is not None
            and self.peers is not None
        ):
            job.why_not, why_not = why_not, None
        if why_not is None and self._draining:
            why_not = Refused(
                "command.no_worker_here", "this worker is stopping", "Send the command again later"
            )
        if why_not is None and len(self._waiting) >= MAX_WAITING:
            why_not = Refused("command.busy", f"{MAX_WAITING} commands wait already")
        if why_not is not None:
            self._end(job, refused(why_not))
            return
        for key in (command.id, command.fire_id):
            if key:
                self._jobs[key] = job
        self._waiting.append(job)
        self._work.release()  # first: the worker's loop wakes while the acknowledgement is signed and sent
        if not job.is_fire:  # an acknowledged fire may not come again
            self._acknowledge(job)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(AT_ONCE):
                group.create_task(self._work_off(), name=f"z4j command {number}")

    async def drain(self, budget_s: float) -> None:
        """Take no more commands, and wait within the budget until those that run are answered."""
        self._draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(budget_s):
                while self._jobs or self._replies:
                    await self._change()

    async def next_reply(self) -> Reply:
        """The next frame to send; it stays the next one until it is `sent`."""
        while True:
            while self._replies and self._replies[0].expires_s < time.monotonic():
                self._replies.popleft()
            if self._replies:
                return self._replies[0]
            await self._change()

    def sent(self, reply: Reply) -> None:
        """It has left."""
        with contextlib.suppress(ValueError):
            self._replies.remove(reply)
        self._changed.set()

    def _within_rate(self, now_s: float) -> bool:
        self._allowance = min(BURST, self._allowance + (now_s - self._counted_s) * RATE_PER_S)
        self._counted_s = now_s
        if self._allowance < 1.0:
            return False
        self._allowance -= 1.0
        return True

    async def _work_off(self) -> None:
        while True:
            await self._work.acquire()
            job = self._waiting.popleft()
            try:
                outcome, again = await self._outcome(job)
            except Exception as exc:
                log.exception("internal error in a command; please report it")
                outcome, again = unknown(f"{type(exc).__name__} in the agent"), False
            finally:
                for key in (job.command.id, job.command.fire_id):
                    if key and self._jobs.get(key) is job:
                        del self._jobs[key]
            self._end(job, outcome, again=again)

    async def _outcome(self, job: Job) -> tuple[Outcome, bool]:
        """What came of it, here or in another process, and whether that was known already."""
        if job.deadline_s <= time.monotonic():
            return Outcome(
                Verdict.LATE, "command.busy", error="its time was over before its turn came"
            ), False
        request, peers = job.command.request, self.peers
        runner = None
        if (
            isinstance(request, CancelTask)
            and job.origin is not None
            and not self.is_running(request.task_id)
        ):
            runner = None if peers is None else await peers.that_runs(request.task_id)
        if runner is None:
            outcome, again = (refused(job.why_not), False) if job.why_not else await self._outcome_here(job)
            if outcome.verdict is not Verdict.REFUSED or outcome.code not in PASSED_ON:
                return outcome, again
        else:
            outcome = refused(Refused("command.no_worker_here", "the process that runs it has ended"))
        if peers is None or job.origin is None:
            return outcome, False
        engine = job.command.engine
        passed = await peers.pass_on(job.origin.frame, job.origin.ids, engine, job.deadline_s, runner)
        if passed is None or (passed.verdict is Verdict.REFUSED and self._engine is not None):
            return outcome, False  # this worker's own reason
        return passed, False

    async def _outcome_here(self, job: Job) -> tuple[Outcome, bool]:
        if job.command.action in REPEATABLE:
            return await self._act(job), False
        if self._memory is None:
            return refused(
                Refused("buffer.unwritable", "without a disk only what may be done twice is done")
            ), False
        memory = self._memory
        try:
            known = await self._on_disk(job, lambda: memory.begin(job.command.id, job.command.fire_id))
        except StorageError as exc:
            return refused(Refused(exc.code, str(exc))), False
        except (TimeoutError, RuntimeError) as exc:
            cause = str(exc) or "the disk did not answer: timed out"
            return refused(Refused("buffer.timeout", cause)), False
        if known is None:
            return await self._act_once(job, job.command.id), False
        return await self._recall(job, known)

    async def _act_once(self, job: Job, begun_as: str) -> Outcome:
        """`begun_as` is the id that it is remembered by: a fire may have come again with another one."""
        outcome = await self._act(job)
        memory = self._memory
        if memory is None or outcome.verdict in (Verdict.UNKNOWN, Verdict.LATE):
            return outcome  # begun, and so it stays
        try:
            if outcome.verdict is Verdict.REFUSED:
                await in_daemon_thread(lambda: memory.forget(begun_as))
            else:
                await in_daemon_thread(lambda: memory.finish(begun_as, outcome))
        except (StorageError, RuntimeError) as exc:
            log.warning("the outcome of a command can't be kept: %s", exc)
        return outcome

    async def _recall(self, job: Job, known: Remembered) -> tuple[Outcome, bool]:
        """It was begun before: by this process or another one, before its end or in another session."""
        if known.outcome is not None:
            return known.outcome, True
        engine = self._engine
        if isinstance(job.command.request, SubmitTask) and engine is not None:
            task_id = new_task_id(job.command) if known.id == job.command.id else f"z4j-{job.command.fire_id}"
            try:
                was = await self._in_worker(job, lambda: engine.was_submitted(task_id, known.begun_at))
            except Exception as exc:  # the engine's own, of any kind: it can't tell
                was = None
                log.warning("the engine can't tell whether %s was submitted: %s", task_id, type(exc).__name__)
            if was is False:
                return await self._act_once(job, known.id), False
            if was:
                done = Outcome(Verdict.DONE, result={"task_id": task_id, "engine": engine.name})
                await self._keep(known.id, done)
                return done, True
        return unknown(f"it was begun at {known.begun_at:%H:%M:%S} UTC, and no outcome was written"), True

    async def _keep(self, command_id: str, outcome: Outcome) -> None:
        memory = self._memory
        if memory is not None:
            with contextlib.suppress(StorageError, RuntimeError):  # it is asked again, with the same answer
                await in_daemon_thread(lambda: memory.finish(command_id, outcome))

    async def _act(self, job: Job) -> Outcome:
        engine = self._engine
        assert engine is not None  # noqa: S101 - `objection` has seen to it
        secret = decode_secret(self.hmac_secret.reveal().strip()) if self.hmac_secret else b""
        started = False

        async def acting() -> Mapping[str, Any]:
            nonlocal started
            started = True
            return await act(
                engine,
                job.command,
                project_secret=secret,
                max_frame_bytes=self.max_frame_bytes,
                redacted=self._redacted,
            )

        try:
            return Outcome(Verdict.DONE, result=await self._in_worker(job, acting))
        except Refused as exc:
            return refused(exc)
        except Failed as exc:
            return Outcome(Verdict.FAILED, error=str(exc))
        except TimeoutError:
            if not started:
                return refused(
                    Refused("command.busy", "the worker's loop was blocked for the command's whole time")
                )
            return Outcome(
                Verdict.LATE, "command.outcome_unknown", error="its time was over while it was done"
            )
        except asyncio.CancelledError:
            if self._is_cancelled():
                raise
            return unknown("the worker is stopping")  # the engine's own task was cancelled
        except Exception as exc:  # an engine's libraries may raise anything
            return unknown(f"{type(exc).__name__}: {answers.one_line(str(exc), 200)}")

    @staticmethod
    def _is_cancelled() -> bool:
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0

    async def _in_worker(self, job: Job, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Await it in the worker's loop within the command's time. Refused where that loop has ended."""
        coroutine = call()
        loop = self._loop
        assert loop is not None  # noqa: S101 - where there is an engine there is its loop
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        except RuntimeError:
            coroutine.close()
            cause = "the worker's event loop has ended"
            raise Refused("command.no_worker_here", cause, "Send the command again later") from None
        async with asyncio.timeout(max(0.0, job.deadline_s - time.monotonic())):
            return await asyncio.wrap_future(future)

    async def _on_disk(self, job: Job, call: Callable[[], T]) -> T:
        async with asyncio.timeout(max(0.0, job.deadline_s - time.monotonic())):
            return await in_daemon_thread(call)

    def _end(self, job: Job, outcome: Outcome, *, again: bool = False) -> None:
        answered = self._is_answered(job, outcome, again)
        if answered:
            if not job.acknowledged:
                self._acknowledge(job)
            done = outcome.verdict is Verdict.DONE or outcome.is_done
            self._reply(
                job,
                "command_result",
                lambda token: answers.result(
                    "success" if done else "failed",
                    token,
                    result=outcome.result if done else None,
                    error=None if done else self._redacted(outcome.error[: answers.MAX_ERROR]),
                ),
            )
        for waiter in job.waiters:
            if not waiter.done():
                waiter.set_result((outcome, answered))
        ms = (time.monotonic() - job.received_s) * 1000
        self._record.ended(job.told, outcome, ms, answered=answered, again=again)
        self._changed.set()

    @staticmethod
    def _is_answered(job: Job, outcome: Outcome, again: bool) -> bool:
        if outcome.verdict is Verdict.LATE or outcome.is_unanswered:
            return False
        if outcome.verdict is Verdict.UNKNOWN:
            return not again and not job.is_fire
        return outcome.verdict is not Verdict.REFUSED or not job.is_fire

    def _refuse_malformed(
        self, command_id: str, exc: MalformedCommand, waiter: asyncio.Future[ActedOn] | None
    ) -> None:
        outcome = malformed(exc)
        answered = exc.action != Action.FIRE
        if waiter is not None:
            waiter.set_result((outcome, answered))
        elif answered:
            payload = answers.result("failed", exc.claim_token, error=outcome.error)
            acknowledgement = answers.acknowledgement(exc.claim_token)
            expires_s = time.monotonic() + _MALFORMED_S
            self._queue_reply(Reply(command_id, "command_ack", acknowledgement, expires_s))
            self._queue_reply(Reply(command_id, "command_result", payload, expires_s))
        self._record.ended(Told(exc.action, command_id), outcome, 0.0, answered=answered)

    def _acknowledge(self, job: Job) -> None:
        job.acknowledged = True
        self._reply(job, "command_ack", answers.acknowledgement)

    def _reply(self, job: Job, kind: str, payload: Callable[[str | None], dict[str, Any]]) -> None:
        for command_id, claim_token in job.deliveries.items():
            self._queue_reply(Reply(command_id, kind, payload(claim_token), job.deadline_s))

    def _queue_reply(self, reply: Reply) -> None:
        self._replies.append(reply)
        self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
