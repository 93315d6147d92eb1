"""Executor: from a job to what came of it, in this process or another one, and here at most once.

What may not be done twice is written to the disk before it is begun, and its outcome after it. The engine is
called in the worker's loop, the disk is asked in threads: both within the command's time.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from z4j_fastapi.commands.act import act, new_task_id
from z4j_fastapi.commands.gather import GATHERED, Gathering, list_key, own_cursor, told
from z4j_fastapi.commands.job import Job
from z4j_fastapi.commands.memory import CommandMemory, Left, Remembered
from z4j_fastapi.commands.outcome import Outcome, Verdict, refused, unknown
from z4j_fastapi.commands.peers import PASSED_ON, Peers
from z4j_fastapi.commands.refusal import Failed, Refused
from z4j_fastapi.log import log
from z4j_probes.errors import StorageError
from z4j_probes.protocol import DEFAULT_MAX_FRAME_BYTES, answers, decode_secret
from z4j_probes.protocol.actions import REPEATABLE
from z4j_probes.protocol.commands import BulkRetry, CancelTask, ListDeadLetters, SubmitTask
from z4j_probes.redact import Secret
from z4j_probes.threads import in_daemon_thread

if TYPE_CHECKING:  # where there is one, it is loaded
    from z4j_fastapi.commands.engine import Engine

T = TypeVar("T")

LEAVE_S = 0.5
"""How long the disk may take for what a process leaves at its end, beyond its shutdown budget."""


class Executor:
    """Of one agent. `engine` is None where no worker is in this process; `loop` is the worker's.

    `memory` is None where there is no disk; what can't be repeated is refused then. `redacted` takes secrets
    out of errors, which may be a task's own.
    """

    def __init__(
        self,
        engine: Engine | None,
        loop: asyncio.AbstractEventLoop | None,
        *,
        memory: CommandMemory | None,
        hmac_secret: Secret | None,
        redacted: Callable[[str], str],
    ) -> None:
        self.engine = engine
        self.redacted = redacted
        self._loop = loop
        self._memory = memory
        self.hmac_secret = hmac_secret
        """What confirmation tokens are checked with; it changes when the settings are read again."""
        self.peers: Peers | None = None
        """Other processes of this agent, to which is passed on what can't be done here."""
        self.max_frame_bytes = DEFAULT_MAX_FRAME_BYTES
        """Of the session that sends the answers."""

    def close(self) -> None:
        """Close the memory's file."""
        if self._memory is not None:
            self._memory.close()

    async def leave(self, agent_id: str, answers: list[Left]) -> None:
        """Keep answers for the next process of this identity."""
        memory = self._memory
        if memory is not None and answers:
            try:
                async with asyncio.timeout(LEAVE_S):
                    await in_daemon_thread(lambda: memory.leave(agent_id, answers))
            except (StorageError, RuntimeError, TimeoutError) as exc:
                log.warning("the brain may not hear what came of %d commands: %s", len(answers), exc)

    async def take_left(self, agent_id: str) -> list[Left]:
        """What an earlier process has left for that agent; none where the disk does not answer."""
        memory = self._memory
        if memory is not None:
            with contextlib.suppress(StorageError, RuntimeError, TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    return await in_daemon_thread(lambda: memory.take_left(agent_id))
        return []

    def is_running(self, task_id: str) -> bool:
        """Whether this process runs that task now."""
        return self.engine is not None and self.engine.is_running(task_id)

    async def outcome(self, job: Job) -> tuple[Outcome, bool]:
        """What came of it, here or in another process, and whether that was known already."""
        outcome, again = await self._outcome(job)
        if (
            job.origin is not None
            and isinstance(job.command.request, BulkRetry)
            and outcome.result is not None
        ):
            outcome = outcome._replace(result=told(outcome.result))
        return outcome, again

    def dead_letter_key(self) -> str | None:
        """What a cursor calls this worker's list of dead letters; None without a worker."""
        return None if self.engine is None else list_key(self.engine)

    async def _outcome(self, job: Job) -> tuple[Outcome, bool]:
        if job.deadline_s <= time.monotonic():
            return Outcome(
                Verdict.LATE, "command.busy", error="its time was over before its turn came"
            ), False
        request, peers = job.command.request, self.peers
        if job.origin is not None and peers is not None and isinstance(request, GATHERED):
            key = self.dead_letter_key()
            gathered = await Gathering(job, self._here, peers, key, self.max_frame_bytes).outcome()
            if gathered is not None:
                return gathered
        elif isinstance(request, ListDeadLetters):  # of another process, which gathers
            own = own_cursor(request, self.dead_letter_key())
            job = replace(job, command=job.command._replace(request=own))
        runner = None
        if (
            isinstance(request, CancelTask)
            and job.origin is not None
            and not self.is_running(request.task_id)
        ):
            runner = None if peers is None else await peers.that_runs(request.task_id)
        if runner is None:
            outcome, again = await self._here(job)
            if outcome.verdict is not Verdict.REFUSED or outcome.code not in PASSED_ON:
                return outcome, again
        else:
            outcome = refused(Refused("command.no_worker_here", "the process that runs it has ended"))
        if peers is None or job.origin is None:
            return outcome, False
        engine = job.command.engine
        passed = await peers.pass_on(job.origin.frame, job.origin.ids, engine, job.deadline_s, runner)
        if passed is None or (passed.verdict is Verdict.REFUSED and self.engine is not None):
            return outcome, False  # this worker's own reason
        return passed, False

    async def _here(self, job: Job) -> tuple[Outcome, bool]:
        if job.why_not is not None:
            return refused(job.why_not), False
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
        engine = self.engine
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
        engine = self.engine
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
                redacted=self.redacted,
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
