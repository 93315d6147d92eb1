"""The thread that an entered agent lives in, with an event loop of its own.

A host whose loop is blocked keeps its session, and nothing of ours runs in the host's loop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from z4j_fastapi.agent.hello import Introduction
from z4j_fastapi.agent.log import log
from z4j_fastapi.agent.status import AgentStatus, State
from z4j_probes import Settings

if TYPE_CHECKING:
    from z4j_fastapi.agent.supervisor import Supervisor
    from z4j_fastapi.buffer import EventBuffer

# How long the first event of a batch waits for company. It also bounds how often `nudge` wakes this thread,
# which costs a caller more than keeping the event does.
LINGER_S = 0.05
# What a disk gets at the least: a host that waits for nothing does not mean memory alone.
_DISK_S = 0.5
# On top of a budget, for the thread itself, before the host goes on without waiting for it.
_GRACE_S = 0.5


class AgentThread:
    """One life of an agent, from start to stop. `publish` gets each new status, in the thread."""

    def __init__(
        self,
        settings: Settings,
        introduction: Introduction,
        publish: Callable[[AgentStatus], None],
        *,
        bounds: Mapping[str, int],
        preflight_budget_s: float,
        shutdown_budget_s: float,
    ) -> None:
        self._settings = settings
        self._introduction = introduction
        self._publish_outside = publish
        self._bounds = bounds
        self._preflight_budget_s = preflight_budget_s
        self._shutdown_budget_s = shutdown_budget_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._supervisor: Supervisor | None = None
        self._stop = asyncio.Event()
        self._nudged = False
        self._verdict: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        self.buffer: EventBuffer | None = None
        """What takes events: there from the first moment that it does to the last."""
        self.kept: EventBuffer | None = None
        """The same for whoever counts, after it is closed too."""

    def start(self) -> None:
        """Start the thread. RuntimeError where this process can have no more of them."""
        threading.Thread(target=self._run, name="z4j-agent", daemon=True).start()

    async def decided(self) -> None:
        """Wait for the first climb's verdict (with preflight "off", for the buffer), within the budget."""
        await _wait(self._verdict, self._preflight_budget_s + _GRACE_S)

    async def stop(self) -> None:
        """Have it flush and end, and wait for that within the shutdown budget."""
        loop = self._loop
        if loop is None:  # not running yet: it will see this when it gets there
            self._stop.set()
        else:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(self._stop.set)
        await _wait(self._ended, self._shutdown_budget_s + 2 * _GRACE_S)

    def nudge(self) -> None:
        """There is an event to send; from any thread."""
        loop = self._loop  # the thread that ends takes it away
        if not self._nudged and loop is not None:
            self._nudged = True
            with contextlib.suppress(RuntimeError):  # it has just stopped; the event is on disk
                loop.call_soon_threadsafe(loop.call_later, LINGER_S, self._rouse)

    def _rouse(self) -> None:
        self._nudged = False  # before the session looks: what comes after its look rouses it again
        if self._supervisor is not None:
            self._supervisor.wake()

    def _run(self) -> None:
        try:
            # The host's policy may be uvloop's, whose transports can be told less than a probe has to know.
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._main())
        except Exception:
            reason = "stopped by an internal error"
            self._publish(AgentStatus(State.DISABLED, datetime.now(UTC), reason=reason))
            log.exception("the agent has stopped by an error of its own; please report it")
        finally:
            self._loop = None
            _settle(self._verdict)
            _settle(self._ended)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        deadline_s = time.monotonic() + self._preflight_budget_s
        # websockets, sqlite3 and ssl load here, not where a web service imports us
        from z4j_fastapi.agent.supervisor import Supervisor
        from z4j_fastapi.buffer.open import open_buffer
        from z4j_probes import default_registry

        budget_s = max(self._preflight_budget_s / 2, _DISK_S)
        opened = await open_buffer(self._settings, budget_s, self._bounds)
        self._supervisor = supervisor = Supervisor(
            default_registry(),
            self._settings,
            self._introduction,
            identity=opened.identity,
            directory=opened.directory,
            buffer=opened.buffer,
            publish=self._publish,
        )
        self.buffer = self.kept = opened.buffer
        self._publish(supervisor.status)
        if self._settings.preflight == "off":
            _settle(self._verdict)  # the buffer is open, so `emit` keeps its promise
        try:
            await self._live(supervisor, max(0.0, deadline_s - time.monotonic()))
        finally:
            self.buffer = None
            opened.buffer.close()
            await asyncio.sleep(0)  # what it has told is logged

    async def _live(self, supervisor: Supervisor, budget_s: float) -> None:
        life = asyncio.create_task(supervisor.run(budget_s), name="z4j supervisor")
        stopping = asyncio.create_task(self._stop.wait(), name="z4j stop")
        try:
            await asyncio.wait({life, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                await supervisor.finish(self._shutdown_budget_s)
                life.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await life
        finally:
            stopping.cancel()

    def _publish(self, status: AgentStatus) -> None:
        if status.state is State.DISABLED:
            self.buffer = None
        self._publish_outside(status)
        if status.state is not State.STARTING:
            _settle(self._verdict)


def _settle(future: concurrent.futures.Future[None]) -> None:
    with contextlib.suppress(concurrent.futures.InvalidStateError):
        future.set_result(None)


async def _wait(future: concurrent.futures.Future[None], seconds: float) -> None:
    # no asyncio.timeout: before Python 3.11.3 it ends as a cancellation in a task that is being cancelled
    await asyncio.wait({asyncio.wrap_future(future)}, timeout=seconds)
