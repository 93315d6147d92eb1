"""The thread that an entered agent lives in, with an event loop of its own.

A host whose loop is blocked keeps its session, and nothing of ours runs in the host's loop.
"""

from __future__ import annotations

import _thread
import asyncio
import concurrent.futures
import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from z4j_fastapi.agent.hello import AgentProfile
from z4j_fastapi.agent.status import State, StatusBoard
from z4j_fastapi.log import log, traceback_text
from z4j_probes import Settings
from z4j_probes.portable import loop

if TYPE_CHECKING:  # loaded in the agent's thread, or with an engine
    from z4j_fastapi.agent.ascent import Ascent
    from z4j_fastapi.agent.status_writer import StatusWriter
    from z4j_fastapi.agent.supervisor import Supervisor
    from z4j_fastapi.buffer import EventBuffer
    from z4j_fastapi.buffer.open import Bounds, OpenedBuffer
    from z4j_fastapi.commands.dispatch import Dispatcher
    from z4j_fastapi.commands.engine import Engine
    from z4j_probes.file_stamp import FileStamp

# How long the first event of a batch waits for company. It also bounds how often `wake` wakes this thread,
# which costs a caller more than keeping the event does.
LINGER_S = 0.05
# A look that was asked for this long ago does not come: a signal handler raised before it was asked for, or
# that loop has ended. Not much less, or they would pile up in a loop that waits for a disk.
FORGOTTEN_S = 5.0
# What a disk gets at the least: a host that waits for nothing does not mean memory only.
_DISK_S = 0.5
# How long a brain is connected without a hello while the buffer is opened.
_SILENT_S = 1.0
# On top of the shutdown budget, for the thread itself, before the host goes on without waiting for it.
_GRACE_S = 1.0
# How often it starts again: an error at each start would fill the log. The first restart does not wait.
RESTART_EVERY_S = 60.0


class AgentThread:
    """One life of an agent, from start to stop. `board` is told each new status, in the thread.

    `engine` acts in `host_loop`, and its errors are sent as `redacted` has them, its values as `safe`
    has them. `describe` gives what the status file says. Whatever ends what runs in
    the thread is logged, and it starts again, with the buffer that is open. Where the thread itself is gone,
    `look` sees it.
    """

    def __init__(
        self,
        settings: Settings,
        profile: AgentProfile,
        board: StatusBoard,
        *,
        bounds: Bounds,
        preflight_budget_s: float,
        shutdown_budget_s: float,
        redacted: Callable[[str], str],
        describe: Callable[[], Mapping[str, Any]],
        safe: Callable[[Any], Any],
        engine: Engine | None = None,
        host_loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._settings = settings
        self._profile = profile
        self._board = board
        self._bounds = bounds
        self._preflight_budget_s = preflight_budget_s
        self._shutdown_budget_s = shutdown_budget_s
        self._engine = engine
        self._host_loop = host_loop
        self._redacted = redacted
        self._describe = describe
        self._safe = safe
        self._loop: asyncio.AbstractEventLoop | None = None
        self._supervisor: Supervisor | None = None
        self._opened: OpenedBuffer | None = None
        self._status_writer: StatusWriter | None = None
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._restarted_s = -math.inf
        self._restarting = threading.Lock()
        self._starting = threading.Lock()
        self._stopping = threading.Event()
        self._stop = asyncio.Event()  # the same for the loop: each loop needs its own
        self._waking_s = -math.inf
        self._ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        self.buffer: EventBuffer | None = None
        """What takes events: there from the first moment that it does to the last."""
        self.commands: Dispatcher | None = None
        """What acts on the brain's commands."""

    def start(self) -> None:
        """Start the thread. RuntimeError where this process can have no more of them."""
        with self._starting:
            if self._thread is None or not self._thread.is_alive():  # two may have seen that it is dead
                thread = threading.Thread(target=self._run, name="z4j-agent", daemon=True)
                thread.start()
                self._thread = thread

    def look(self) -> bool:
        """Whether the thread is there. One that has died is started again, once in RESTART_EVERY_S at most.

        From any thread, signal handler or destructor: nothing here waits for a lock.
        """
        if not self._is_dead:
            return True
        if not self._stopping.is_set() and self._restarting.acquire(blocking=False):
            try:
                if time.monotonic() - self._restarted_s >= RESTART_EVERY_S:
                    self._restarted_s = time.monotonic()
                    self._start_another()
            finally:
                self._restarting.release()
        return False

    @property
    def _is_dead(self) -> bool:
        thread = self._thread
        if thread is None or thread.is_alive() or self._ended.done():
            return False
        return os.getpid() == self._pid  # a child process has none, and gets none

    def _start_another(self) -> None:
        # threading's own start takes locks that a signal handler may have interrupted, and waits for a thread
        # that there was no memory for
        with contextlib.suppress(RuntimeError):
            _thread.start_new_thread(self._replace, ())

    def _replace(self) -> None:
        log.error("the agent's thread died and is restarted; please report it")
        try:
            self.start()
        except RuntimeError as exc:
            log.error("can't start the agent's thread: %s. Retrying.", exc)

    @property
    def slot(self) -> int | None:
        """The number of the buffer file; None while there is none."""
        return None if self._opened is None else self._opened.buffer.file_slot

    @property
    def stamps(self) -> Mapping[str, FileStamp]:
        """Which version of each file the settings were read from."""
        return {} if self._supervisor is None else self._supervisor.files.read

    @property
    def settings(self) -> Settings:
        """As read last."""
        return self._settings if self._supervisor is None else self._supervisor.settings

    async def decided(self) -> None:
        """Wait for the first climb's verdict (with preflight "off", for the buffer), within the budget."""
        await _wait(self._board.decided, self._preflight_budget_s)

    async def stop(self) -> None:
        """Have it flush and end, and wait for that within the shutdown budget."""
        self._stopping.set()
        if self._is_dead:  # another one ends what it has left open
            self._start_another()
        loop = self._loop
        if loop is not None:  # else it will see this when it gets there
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(self._stop.set)
        await _wait(self._ended, self._shutdown_budget_s + _GRACE_S)

    def wake(self) -> None:
        """There is an event to send; from any thread."""
        loop = self._loop  # the thread that ends takes it away
        now_s = time.monotonic()
        if loop is not None and now_s - self._waking_s > FORGOTTEN_S:
            self._waking_s = now_s
            with contextlib.suppress(RuntimeError):  # it has just stopped; the event is on disk
                loop.call_soon_threadsafe(loop.call_later, LINGER_S, self._wake_session)

    def _keep_house(self) -> None:
        self.look()
        if self._status_writer is not None:
            self._status_writer.tend()

    def _wake_session(self) -> None:
        self._waking_s = -math.inf  # before the session looks: what comes after its look wakes it again
        if self._supervisor is not None:
            self._supervisor.wake()

    def _run(self) -> None:
        while not self._lived():
            self._stopping.wait(self._restarted_s + RESTART_EVERY_S - time.monotonic())
            self._restarted_s = time.monotonic()
        self.buffer = None
        if self._opened is not None:
            self._opened.buffer.close()
        self._board.decide()
        self._ended.set_result(None)

    def _lived(self) -> bool:
        """Live once; whether that is the end."""
        try:
            loop.run(self._main())
        except BaseException as exc:  # a cancellation or SystemExit too: no host's code waits for it here
            self._died(exc)
            return self._stopping.is_set()
        finally:
            self._loop = None
        return True

    def _died(self, exc: BaseException) -> None:
        text = traceback_text(exc, self.settings.redactor())
        log.error("internal error: the agent restarts; please report it\n%s", text)
        self._board.change(
            State.OFFLINE, reason=f"{type(exc).__name__} in the agent's thread; it starts again"
        )

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        if self._stopping.is_set():
            self._stop.set()
        # websockets, sqlite3 and ssl load here, not where a web service imports us
        from z4j_fastapi.agent.ascent import Ascent
        from z4j_fastapi.agent.status_writer import StatusWriter
        from z4j_probes import default_registry

        if self._opened is not None:
            await self._live_with(self._opened, None)
            return
        # secrets in files may take their time; what is climbed with then is read first
        begun = None if self._settings.all_files else Ascent(default_registry(), self._settings)
        try:
            self._opened = opened = await self._open(begun)
            self._status_writer = StatusWriter(opened.buffer, self._describe)
            opened.buffer.look = self._keep_house
            self._board.changed = self._status_writer.changed
            await self._live_with(opened, begun)
        finally:
            if begun is not None:
                await begun.leave()

    async def _live_with(self, opened: OpenedBuffer, begun: Ascent | None) -> None:
        from z4j_fastapi.agent.gauges import Gauges
        from z4j_fastapi.agent.supervisor import Supervisor
        from z4j_fastapi.commands.dispatch import open_dispatcher
        from z4j_probes import default_registry

        opened.buffer.release_all()  # what an earlier life had on its way
        waiting, self.buffer = self.buffer, opened.buffer  # whatever the rest of a start comes to
        if waiting is not None and waiting is not opened.buffer:
            waiting.pour_into(opened.buffer)
        directory = opened.directory.path / opened.identity if opened.directory else None
        earlier = self.commands
        self.commands = commands = open_dispatcher(
            self._settings, self._engine, self._host_loop, directory, self._redacted
        )
        if earlier is not None:
            earlier.executor.close()
            self.commands.count_on(earlier.counts)
        desk, profile = None, self._profile
        if self._engine is not None:
            from z4j_fastapi.schedules.desk import open_desk

            desk = await open_desk(
                self._settings, self._engine, self._host_loop, directory, commands.record, self._safe
            )
        if desk is not None:
            profile = profile.with_schedules(desk.owner, may_run=desk.may_run)
        self._supervisor = supervisor = Supervisor(
            default_registry(),
            self.settings,
            profile,
            identity=opened.identity,
            directory=opened.directory,
            buffer=opened.buffer,
            commands=self.commands,
            gauges=Gauges(self._engine, self._host_loop),
            board=self._board,
            desk=desk,
            begun=begun,
        )
        if self._settings.preflight == "off":
            self._board.decide()  # the buffer is open, so `emit` keeps its promise
        await self._live(supervisor)
        self.buffer = None
        self.commands.executor.close()
        if desk is not None:
            desk.close()
        opened.buffer.close()
        await asyncio.sleep(0)  # what it has told is logged

    async def _open(self, begun: Ascent | None) -> OpenedBuffer:
        """The buffer. Where that takes longer than a host waits, there is one in memory meanwhile.

        No brain is kept waiting for a hello for long: the climb that has `begun` is left then.
        """
        from z4j_fastapi.buffer import EventBuffer
        from z4j_fastapi.buffer.open import open_buffer

        budget_s = max(self._preflight_budget_s / 2, _DISK_S)
        opening = asyncio.create_task(
            open_buffer(self._settings, budget_s, self._bounds, lambda: not self._stopping.is_set())
        )
        await asyncio.wait({opening}, timeout=min(budget_s, _SILENT_S))
        if begun is not None and not opening.done():
            await begun.leave()
        await asyncio.wait({opening}, timeout=budget_s - _SILENT_S)
        if not opening.done():
            self.buffer = EventBuffer.open(None, "", **self._bounds)
            if self._settings.preflight == "off":
                self._board.decide()
        return await opening

    async def _live(self, supervisor: Supervisor) -> None:
        life = asyncio.create_task(supervisor.run(), name="z4j supervisor")
        stopping = asyncio.create_task(self._stop.wait(), name="z4j stop")
        try:
            await asyncio.wait({life, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                deadline_s = time.monotonic() + self._shutdown_budget_s
                if self.commands is not None:
                    await self.commands.drain(self._shutdown_budget_s / 2)
                await supervisor.finish(max(0.0, deadline_s - time.monotonic()))
                life.cancel()
                await asyncio.wait({life})
            if not life.cancelled() or not stopping.done():  # only a stop may cancel it
                await life
        finally:
            stopping.cancel()


async def _wait(future: concurrent.futures.Future[None], seconds: float) -> None:
    # no asyncio.timeout: before Python 3.11.3 it ends as a cancellation in a task that is being cancelled
    await asyncio.wait({asyncio.wrap_future(future)}, timeout=seconds)
