"""Keeps an agent in session: climb, live, wait, climb again.

There is one way to connect, the doctor's ladder; a session is what `climb.detach()` hands over. Everything
here runs in the agent's own event loop (see `thread`), where blocking for a moment harms no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from z4j_fastapi.agent.ascent import Ascent
from z4j_fastapi.agent.cuts import Cuts
from z4j_fastapi.agent.delivery import Delivery
from z4j_fastapi.agent.files import SettingsFiles
from z4j_fastapi.agent.frame_size import recall_frame_size, remember_frame_size
from z4j_fastapi.agent.gauges import Gauges
from z4j_fastapi.agent.hello import AgentProfile, last_hello
from z4j_fastapi.agent.outage import Outage
from z4j_fastapi.agent.reconnect import Backoff, healing_of, names_a_buffer
from z4j_fastapi.agent.rejections import Rejections
from z4j_fastapi.agent.session import Session, SessionEnd
from z4j_fastapi.agent.status import State, StatusBoard
from z4j_fastapi.agent.traffic import Traffic
from z4j_fastapi.buffer import EventBuffer
from z4j_fastapi.commands.dispatch import Dispatcher
from z4j_fastapi.commands.peers import Peers
from z4j_fastapi.log import log, traceback_text
from z4j_probes import (
    Climb,
    LiveSession,
    ProbeResult,
    Registry,
    Report,
    Settings,
    Status,
    StorageError,
)
from z4j_probes.codes import Heals, lookup
from z4j_probes.protocol import CloseCode, Hello
from z4j_probes.storage import StateDirectory, recall_hello, remember_hello
from z4j_probes.threads import in_daemon_thread
from z4j_probes.transport import hang_up

if TYPE_CHECKING:
    from z4j_fastapi.schedules.desk import ScheduleDesk

# A replacement that comes twice within this is no restart that overlapped: this worker has a double.
DOUBLE_WITHIN_S = 60.0
# A brain that is busy takes seconds. From here on a person should know.
UNACKNOWLEDGED_S = 30.0
# How a proxy ends what has lasted too long: without a close frame, or with one of these.
_CUT_WITH = (None, CloseCode.NORMAL, CloseCode.GOING_AWAY)
# How often buffers of exited processes are looked for.
ADOPT_EVERY_S = 30.0


class Supervisor:
    """One agent's connection over time. `board` is told what becomes of it.

    `begun` is its first climb, where that has begun already; who has begun it leaves it, if that is not used.
    """

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        profile: AgentProfile,
        *,
        identity: str,
        directory: StateDirectory | None,
        buffer: EventBuffer,
        commands: Dispatcher,
        gauges: Gauges,
        board: StatusBoard,
        desk: ScheduleDesk | None = None,
        backoff: Backoff | None = None,
        begun: Ascent | None = None,
    ) -> None:
        self._registry = registry
        self.settings = settings
        """As read last: before each climb."""
        self.files = SettingsFiles()
        """Those that the settings come from."""
        self.keeps_events = True
        """False once settings are so broken that no later start would look for events in this place."""
        self._profile = profile
        self._identity = identity
        self._state_directory = directory
        self._buffer = buffer
        self._commands = commands
        self._gauges = gauges
        self._desk = desk
        self._board = board
        self._backoff = backoff or Backoff()
        self._begun = begun
        self._started_at = datetime.now(UTC)
        self._session: Session | None = None
        self._worker_id = self._stable_worker_id()
        self._agent_id: str | None = None
        self._replaced_s: float | None = None
        self._cuts = Cuts()
        self._is_stalled = False
        self.rejections = Rejections()
        self.traffic = Traffic()
        home = None if directory is None else directory.path
        executor = commands.executor
        self._peers = Peers(
            home,
            identity,
            profile.offer,
            commands.act_for_another,
            executor.is_running,
            executor.dead_letter_key,
        )
        executor.peers = self._peers
        self._delivery = Delivery(recall_frame_size(self._directory, identity))
        self._outage = Outage()
        self._wrong = ""
        self._next_s: float | None = None
        self._warned: set[str] = set()
        self._finishing = False
        board.opened(buffer, self._buffer_path(), self._worker_id)
        board.counts_too(self.rejections, commands, self.traffic)
        board.change(State.STARTING, reason="still connecting")

    @property
    def _directory(self) -> Path | None:
        """The state directory with the buffer in it; an agent that began without a disk may find one."""
        directory = self._buffer.directory
        return None if directory is None else directory.parent

    def wake(self) -> None:
        """There may be events to send."""
        if self._session is not None:
            self._session.wake()

    async def run(self) -> None:
        """Climb and live until cancelled, or until the settings are of no use for the buffer either."""
        loop = asyncio.get_running_loop()

        def tell(code: str, said: str) -> None:
            # never in the thread that had the trouble: it is inside of the buffer, and may be the host's
            with contextlib.suppress(RuntimeError):  # the loop is closed: it is too late
                loop.call_soon_threadsafe(self._buffer_changed, code, said)

        self._buffer.on_trouble(tell)
        async with asyncio.TaskGroup() as group:
            adopting = group.create_task(self._adopt(), name="z4j adopt")
            commanded = group.create_task(self._commands.run(), name="z4j commands")
            asking = group.create_task(self._gauges.run(), name="z4j gauges")
            answering = group.create_task(self._peers.run(), name="z4j peers")
            await self._attempt(self._connect())
            while not self._finishing and self._next_s is not None:
                if await self.files.sleep(self.settings, self._next_s - time.monotonic()):
                    log.info("a file with settings has changed: connecting now")
                await self._attempt(self._connect())
            adopting.cancel()
            commanded.cancel()
            asking.cancel()
            answering.cancel()
            if not self._finishing and self.keeps_events:
                await asyncio.Event().wait()  # until cancelled: the buffer is open for as long as this runs

    async def finish(self, budget_s: float) -> None:
        """Flush and close the session, if there is one, within the budget; `run` then returns."""
        self._finishing = True
        if self._session is not None:
            await self._session.finish(budget_s)
        if self._agent_id is not None:
            await self._commands.leave(self._agent_id)

    async def _attempt(self, attempt: Coroutine[None, None, None]) -> None:
        """Run it in a task of its own, and survive whatever ends it but our own cancellation.

        Before Python 3.13 a TaskGroup that was left with an error keeps its task's `cancelling()` above zero.
        In that task `asyncio.timeout` of 3.11.2 ends as a cancellation that nothing has asked for.
        """
        task = asyncio.create_task(attempt, name="z4j attempt")
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        try:
            task.result()
        except (Exception, asyncio.CancelledError) as exc:
            self._went_wrong(exc)

    def _went_wrong(self, exc: BaseException) -> None:
        reason = f"{type(exc).__name__} in the agent"
        if self._wrong != reason:
            self._wrong = reason
            text = traceback_text(exc, self.settings.redactor())
            log.error("the connection ended by an error of ours; will try again; please report it\n%s", text)
        at = self._try_again(Heals.BY_ITSELF)
        self._board.change(State.OFFLINE, "signing.unexpected", reason, next_attempt_at=at)

    def _try_again(self, heals: Heals) -> datetime:
        """Have the next attempt come by the schedule of that fault; when it comes."""
        delay_s = self._backoff.next_s(heals)
        self._next_s = time.monotonic() + delay_s
        return datetime.now(UTC) + timedelta(seconds=delay_s)

    @property
    def _retry_s(self) -> float:
        return 0.0 if self._next_s is None else max(0.0, self._next_s - time.monotonic())

    async def _connect(self) -> None:
        self._board.tries()
        with contextlib.suppress(OSError, RuntimeError):  # no answer in time, no more threads: as it was
            self.settings = await self.files.reread(self.settings)
        self._commands.executor.hmac_secret = self._peers.hmac_secret = self.settings.hmac_secret
        report, live = await self._climb()
        if live is not None and not await self._peers.is_all_said(live.ack.agent_id):
            hang_up(live.websocket.transport)  # with what other processes of this agent can do
            report, live = await self._climb()
        if live is not None:
            await self._live(live, report)

    async def _climb(self) -> tuple[Report, LiveSession | None]:
        ascent, self._begun = self._begun, None
        if ascent is None or ascent.is_left or ascent.settings is not self.settings:
            ascent = Ascent(self._registry, self.settings)
        async with ascent:
            results, waiting = list[ProbeResult](), list(self._registry.names)
            proven = None if self._buffer.fault else self._state_directory
            async for result in ascent.results(self._make_hello, proven):
                results.append(result)
                waiting.remove(result.name)
                self._board.waits_for(waiting)
            report = ascent.report(results)
            # the buffer's verdict is reported, but memory carries events as well
            connected = all(result.ok for result in results if result.name != "buffer")
            if connected:
                return report, ascent.detach()
            self._failed(report)  # before what was opened is closed, for which a host does not wait
            return report, None

    def _failed(self, report: Report) -> None:
        failure = _failure_of(report)
        code, reason = failure.code, failure.message
        heals = healing_of(failure, self.settings.files)
        self._next_s = None
        if heals is not Heals.NOT_IN_THIS_PROCESS:
            at = self._try_again(heals)
            self.keeps_events = True
            self._outage.failed(failure, self._retry_s)
            self._board.change(State.OFFLINE, code, reason, report=report, next_attempt_at=at)
            return
        self.keeps_events = self._directory is not None and names_a_buffer(failure)
        self._outage.gave_up(failure, keeps_events=self.keeps_events)
        if not self.keeps_events:
            self._buffer.close()  # before the host goes on: `emit` is not to promise what nothing keeps
        self._board.change(State.DISABLED, code, reason, report=report)

    async def _make_hello(self, climb: Climb) -> Hello:
        offer = await self._peers.profile()
        return self._profile.hello(climb.settings, self._worker_id, self._started_at, offer)

    async def _live(self, live: LiveSession, report: Report) -> None:
        self._session = Session(
            live,
            self._buffer,
            self._commands,
            self.rejections,
            self._delivery,
            self.traffic,
            self._health,
            self._stalled,
            self._desk,
        )
        started_s = time.monotonic()
        self._agent_id = live.ack.agent_id
        try:
            excerpt = self.settings.redactor().excerpt  # hello_ack is not signed
            session_id, agent_id = excerpt(live.ack.session_id), excerpt(live.ack.agent_id)
            self._board.is_with(excerpt(live.ack.brain_version))
            self._board.change(State.ONLINE, report=report, session_id=session_id)
            await asyncio.sleep(0)  # the interpreter is the host's, which has waited for that
            self._remember(live.hello)
            self._wrong = ""
            self._warn(report)
            self._outage.over(f"{agent_id} as {self._worker_id}")
            self._stalled(self._delivery.unacknowledged_s(time.monotonic()))
            end = await self._session.run()
        except Exception as exc:
            text = traceback_text(exc, self.settings.redactor())
            log.error("a session ended by an error of ours; please report it\n%s", text)
            end = SessionEnd("signing.unexpected", f"{type(exc).__name__} in the session")
            hang_up(live.websocket.transport)
        finally:
            self._session = None
        if self._finishing:
            return
        if end.is_renewal:
            self._next_s = time.monotonic()
            self._board.change(State.OFFLINE, reason=end.reason, report=report)
            return
        self._count_aside()
        remember_frame_size(self._directory, self._identity, self._delivery.learned_bytes)
        lasted_s = time.monotonic() - started_s
        self._backoff.session_lasted(lasted_s)
        end = self._or_cut(end, lasted_s)
        if end.close_code == CloseCode.REPLACED:
            self._note_replacement()
        reason = self.settings.redactor().excerpt(end.reason)  # it may quote the brain
        row = lookup(end.code)
        at = self._try_again(row.heals)
        # of what is lost now and then, the fix is to wait, which is what the agent does
        steps = () if end.code == "session.lost" else row.steps
        self._outage.lost(end.code, reason, steps, self._retry_s)
        self._board.change(State.OFFLINE, end.code, reason, report=report, next_attempt_at=at)

    def _count_aside(self) -> None:
        with contextlib.suppress(StorageError):  # the count stays what it was
            if self._buffer.aside is not None:
                self._board.has_set_aside(self._buffer.aside.count())

    def _stalled(self, seconds: float) -> None:
        if seconds < UNACKNOWLEDGED_S:
            if self._is_stalled:
                self._is_stalled = False
                log.warning("the brain acknowledges batches again")
            self._board.stalled(seconds)
            return
        code, reason = "session.unacknowledged", f"no batch acknowledged for {seconds:.0f} s"
        if not self._is_stalled:
            self._is_stalled = True
            extra = {"z4j_code": code, "z4j_state": "online"}
            log.fault(logging.WARNING, f"online ({code})", reason, lookup(code).steps, extra=extra)
        self._board.stalled(seconds, code, reason)

    def _or_cut(self, end: SessionEnd, lasted_s: float) -> SessionEnd:
        """The same end, or what it is one more of: cuts after the same time."""
        # a path that vanished is noticed after the same time, too, but by us
        is_cut = end.code == "session.lost" and end.close_code in _CUT_WITH and not end.is_timeout
        if not is_cut:
            self._cuts.ended()
            return end
        cut = self._cuts.lost(lasted_s)
        return end._replace(code="session.cut", reason=f"{cut}: {end.reason}") if cut else end

    async def _adopt(self) -> None:
        while True:
            self._count_aside()  # other processes set aside, too, and a person retries or deletes
            await asyncio.sleep(ADOPT_EVERY_S)
            try:
                adopted = await in_daemon_thread(self._buffer.adopt)
            except RuntimeError as exc:  # no more threads, for the moment
                log.warning("events of exited processes wait: %s", exc)
                continue
            except Exception as exc:  # a disk may fail in any way; the connection does not depend on it
                text = traceback_text(exc, self.settings.redactor())
                log.error("events of exited processes wait; please report it\n%s", text)
                continue
            if adopted:
                log.info("recovered %d events of exited processes", adopted)
                self.wake()

    def _health(self) -> Mapping[str, str]:
        health = {"buffer": self._buffer.fault or ("ok" if self._buffer.directory else "memory")}
        if self._board.set_aside:
            health["set_aside"] = str(self._board.set_aside)
        return {**health, **self._gauges.texts(self._worker_id)}

    def _buffer_changed(self, code: str, said: str) -> None:
        if code:
            extra = {"z4j_code": code, "z4j_state": self._board.state.value}
            log.fault(logging.ERROR, code, said, lookup(code).steps, extra=extra)
        else:
            log.warning("%s", said)
        self._board.buffer_changed(self._buffer.fault, self._buffer_path())
        self.wake()

    def _warn(self, report: Report) -> None:
        """Log what passes today and may not tomorrow, when it is new. Of a buffer, `buffer.open` has told."""
        found = [r for r in report.results if r.status is Status.WARN and r.name != "buffer"]
        for result in found:
            if result.code not in self._warned:
                extra = {"z4j_code": result.code, "z4j_state": "online", "z4j_probe": result.name}
                code, row = result.code, result.headline
                log.fault(logging.WARNING, code, result.message, result.steps, row=row, extra=extra)
        self._warned = {result.code for result in found}

    def _remember(self, hello: Hello) -> None:
        if self._directory is None or recall_hello(self._directory, self._identity) == last_hello(hello):
            return
        with contextlib.suppress(StorageError):  # a doctor then repeats less; nothing else depends on it
            remember_hello(self._directory, self._identity, last_hello(hello))

    def _buffer_path(self) -> str | None:
        return None if self._buffer.directory is None else str(self._buffer.directory)

    def _stable_worker_id(self) -> str:
        chosen = self._state_directory
        # by the directory that was asked for: a worker is the same one while that can't be used
        directory = (chosen.requested or chosen.path) if chosen else None
        return self._profile.worker_id(self._buffer.slot, directory, self._identity)

    def _note_replacement(self) -> None:
        now_s = time.monotonic()
        if self._replaced_s is not None and now_s - self._replaced_s < DOUBLE_WITHIN_S:
            self._worker_id = f"{self._stable_worker_id()}.{secrets.token_hex(3)}"
            self._board.renamed(self._worker_id)
            log.warning(
                "another process uses this worker ID (a cloned machine?); using %s from now on",
                self._worker_id,
            )
        self._replaced_s = now_s


def _failure_of(report: Report) -> ProbeResult:
    """Why there is no session; events can do without a disk."""
    return next(r for r in report.results if not r.ok and r.name != "buffer")
