"""Dispatcher: commands in, replies out. Eight at once, 256 waiting, each within its time.

It lives in the agent's loop and never touches a socket: a session hands it `command` frames and sends its
`replies`. What a command asks for is done by its `executor`, in the worker's loop and in threads, so
heartbeats and acknowledgements go on meanwhile.

A schedule that is due is never answered `failed` unless its task was tried, since a brain switches a schedule
off for that: it stays unanswered, is an ERROR in the log, and comes again. What can't be told stays
unanswered as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from z4j_fastapi.commands.execute import Executor
from z4j_fastapi.commands.gather import part_of
from z4j_fastapi.commands.job import Job, Origin
from z4j_fastapi.commands.memory import CommandMemory, Left
from z4j_fastapi.commands.outcome import Outcome, Verdict, malformed, refused, unknown
from z4j_fastapi.commands.peers import PASSED_ON, ActedOn, Ids
from z4j_fastapi.commands.policy import allowed, objection
from z4j_fastapi.commands.record import Record, Told
from z4j_fastapi.commands.refusal import Refused
from z4j_fastapi.commands.replies import Replies
from z4j_fastapi.log import log
from z4j_probes.protocol.actions import Action
from z4j_probes.protocol.commands import MalformedCommand, read_command
from z4j_probes.settings import Settings

if TYPE_CHECKING:  # where there is one, it is loaded
    from z4j_fastapi.commands.engine import Engine

AT_ONCE = 8
MAX_WAITING = 256
# What a brain may ask in the long run, and at once. Beyond it nothing is answered: answers cost as well.
RATE_PER_S = 100.0
BURST = 1_000
# Each time that one command comes again under another id needs an answer of its own.
MAX_DELIVERIES = 16


def open_dispatcher(
    settings: Settings,
    engine: Engine | None,
    loop: asyncio.AbstractEventLoop | None,
    directory: Path | None,
    redacted: Callable[[str], str],
) -> Dispatcher:
    """The dispatcher of an agent. `directory` is its identity's, None where its buffer is in memory only."""
    memory = None if directory is None else CommandMemory(directory)
    executor = Executor(engine, loop, memory=memory, hmac_secret=settings.hmac_secret, redacted=redacted)
    return Dispatcher(executor, allowed(settings.commands))


class Dispatcher:
    """The commands of one agent: which of them are taken, and when each is done and answered."""

    def __init__(self, executor: Executor, allowed: Collection[str]) -> None:
        self.executor = executor
        """What does them."""
        self._changed = asyncio.Event()
        self.replies = Replies(self._changed, executor.redacted)
        """What a session is to send."""
        self._allowed = frozenset(allowed)
        self._waiting: deque[Job] = deque()
        self._jobs: dict[str, Job] = {}
        self._work = asyncio.Semaphore(0)
        self._allowance = float(BURST)
        self._counted_s = time.monotonic()
        self._draining = False
        self._record = Record()

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

    async def act_for_another(self, frame: Mapping[str, Any], only: Collection[str] | None) -> ActedOn:
        """The same for one that another process of this agent was sent; what came of it.

        Where the rest is done elsewhere, `only` names the tasks that it is about here.
        """
        waiter: asyncio.Future[ActedOn] = asyncio.get_running_loop().create_future()
        self._take(frame, None, waiter, only)
        return await waiter

    def _take(
        self,
        frame: Mapping[str, Any],
        origin: Origin | None,
        waiter: asyncio.Future[ActedOn] | None,
        only: Collection[str] | None = None,
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
        if only is not None:
            part = part_of(command, only)
            if part is None:
                nothing = refused(Refused("command.unsupported", "it is not about the tasks that were named"))
                if waiter is not None:
                    waiter.set_result((nothing, True))
                return
            command = part
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
        why_not = objection(command, self.executor.engine, self._allowed)
        if (
            why_not is not None
            and why_not.code in PASSED_ON
            and origin is not None
            and self.executor.peers is not None
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
            self.replies.acknowledge(job)

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
                while self._jobs or self.replies:
                    self._changed.clear()
                    await self._changed.wait()

    async def leave(self, agent_id: str) -> None:
        """Behind the last session: have the next process send what the brain may not have come to."""
        now_s = time.monotonic()
        left = [Left(reply.command_id, reply.payload, reply.expires_s - now_s) for reply in self.replies.left]
        await self.executor.leave(agent_id, left)

    async def take_up(self, agent_id: str) -> None:
        """In a new session: send what an earlier process of that agent has left."""
        for answer in await self.executor.take_left(agent_id):
            self.replies.add_left(*answer)

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
                outcome, again = await self.executor.outcome(job)
            except Exception as exc:
                log.exception("internal error in a command; please report it")
                outcome, again = unknown(f"{type(exc).__name__} in the agent"), False
            finally:
                for key in (job.command.id, job.command.fire_id):
                    if key and self._jobs.get(key) is job:
                        del self._jobs[key]
            self._end(job, outcome, again=again)

    def _end(self, job: Job, outcome: Outcome, *, again: bool = False) -> None:
        answered = self._is_answered(job, outcome, again)
        if answered:
            self.replies.answer(job, outcome)
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
            self.replies.refuse(command_id, exc.claim_token, outcome)
        self._record.ended(Told(exc.action, command_id), outcome, 0.0, answered=answered)
