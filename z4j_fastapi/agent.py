"""Z4JAgent: the life of an agent, from `async with` to the last flush.

The agent lives in a thread of its own, with its own event loop: a host whose loop is blocked keeps its
session, and nothing of ours runs in the host's loop but `emit`'s append to the buffer.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from z4j_fastapi.errors import ForkedAgentError, PreflightError
from z4j_fastapi.events import EventEncoder
from z4j_fastapi.introduction import Introduction
from z4j_fastapi.status import AgentStatus, State
from z4j_probes import Settings

if TYPE_CHECKING:
    from z4j_fastapi.buffer import EventBuffer
    from z4j_fastapi.supervisor import Supervisor

log = logging.getLogger("z4j.agent")

Preflight = Literal["warn", "strict", "off"]

# A start that waits longer than this is worse than one without a session.
PREFLIGHT_BUDGET_S = 3.0
# What a stop may cost: one flush to a brain that answers. Orchestrators kill after 10 s or more.
SHUTDOWN_BUDGET_S = 2.0
# How long the first event of a batch waits for company. It also bounds how often `emit` wakes our thread,
# which costs a caller more than keeping the event does.
LINGER_S = 0.05
# On top of either budget, for the thread itself, before the host goes on without waiting for it.
_GRACE_S = 0.5


class Z4JAgent:
    """Keeps this process in session with a z4j brain, and delivers what `emit` is given.

        agent = Z4JAgent(brain_url="https://brain.example", token=…, project_id="default")
        async with agent:
            …

    Every argument that is left out comes from its `Z4J_*` variable, then from its default. Constructing one
    opens nothing and raises nothing for bad settings: those make the agent `disabled` when it is entered.

    `preflight` says what a failed first climb does: "warn" (default) logs one error and goes on, "strict"
    raises PreflightError, "off" waits for the buffer alone. `role` is web, task, scheduler, beat or other.
    `redact_keys` adds words to those that mark a value as secret. `allow_plaintext` permits ws:// to a host
    that is not this machine.
    """

    def __init__(
        self,
        *,
        brain_url: str | None = None,
        token: str | None = None,
        project_id: str | None = None,
        agent_name: str | None = None,
        hmac_secret: str | None = None,
        home: str | os.PathLike[str] | None = None,
        ca_file: str | os.PathLike[str] | None = None,
        preflight: Preflight | None = None,
        role: str = "web",
        framework: str = "fastapi",
        engines: Sequence[str] = (),
        schedulers: Sequence[str] = (),
        capabilities: Mapping[str, Sequence[str]] | None = None,
        redact_keys: Sequence[str] = (),
        max_buffered_events: int | None = None,
        max_buffered_bytes: int | None = None,
        preflight_budget_s: float = PREFLIGHT_BUDGET_S,
        shutdown_budget_s: float = SHUTDOWN_BUDGET_S,
        allow_plaintext: bool = False,
    ) -> None:
        self.settings = Settings.load(
            brain_url=brain_url,
            token=token,
            project_id=project_id,
            agent_name=agent_name,
            hmac_secret=hmac_secret,
            home=None if home is None else os.fspath(home),
            ca_file=None if ca_file is None else os.fspath(ca_file),
            preflight=preflight,
            allow_plaintext=allow_plaintext,
        )
        self._introduction = Introduction(
            role,
            framework,
            tuple(engines),
            tuple(schedulers),
            {engine: tuple(names) for engine, names in (capabilities or {}).items()},
        )
        bounds = {"max_events": max_buffered_events, "max_bytes": max_buffered_bytes}
        self._bounds = {name: bound for name, bound in bounds.items() if bound is not None}
        self._engine = engines[0] if engines else framework
        self._encoder = EventEncoder(tuple(redact_keys))
        self._preflight_budget_s = preflight_budget_s
        self._shutdown_budget_s = shutdown_budget_s
        self._status = AgentStatus(State.STOPPED, datetime.now(UTC))
        self._missed = 0
        self._nudged = False
        self._entered_pid: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._buffer: EventBuffer | None = None
        self._supervisor: Supervisor | None = None
        self._stop = asyncio.Event()
        self._verdict: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._ended: concurrent.futures.Future[None] = concurrent.futures.Future()

    @property
    def status(self) -> AgentStatus:
        """A snapshot, from any thread."""
        status = self._status
        if self._is_forked:
            status = replace(status, state=State.DISABLED, code="", reason="this process was forked off")
        buffer = self._buffer
        return replace(
            status,
            buffered=buffer.depth if buffer else 0,
            dropped=self._missed + (buffer.dropped if buffer else 0),
        )

    def emit(
        self,
        kind: str,
        *,
        task_id: str,
        engine: str | None = None,
        occurred_at: datetime | None = None,
        **data: Any,
    ) -> bool:
        """Keep one event for the brain; True once it survives a `kill -9` of this process.

        From any thread or task. Never raises and never waits for the network. False, and counted in
        `status.dropped`, where this agent is not entered, is disabled, or was forked off. `kind` is one of
        `EventKind`; `data` may hold anything, and is made safe (see `events`). `occurred_at` must be zoned.
        """
        buffer = self._buffer
        if buffer is None:
            self._missed += 1
            return False
        where: dict[str, Any] = {"task_id": task_id, "engine": engine or self._engine}
        try:
            event = self._encoder.encode(kind, data=data, occurred_at=occurred_at, **where)
        except Exception as exc:  # a host's own __str__ may do anything; the event still happened
            event = self._encoder.encode(kind, data={"unreadable": type(exc).__name__}, **where)
        if not buffer.append(event):
            self._missed += 1
            return False
        if not self._nudged and self._loop is not None:
            self._nudged = True
            with contextlib.suppress(RuntimeError):  # the agent has just stopped; the event is on disk
                self._loop.call_soon_threadsafe(self._loop.call_later, LINGER_S, self._rouse)
        return True

    async def __aenter__(self) -> Self:
        """Start, and wait for the first climb as `preflight` says; PreflightError where it is strict."""
        if self._is_forked:
            raise ForkedAgentError("this agent was started before a fork: create one in the child process")
        if self._entered_pid is not None:
            raise RuntimeError("this agent is entered already")
        if self.settings.log_level:
            with contextlib.suppress(ValueError):  # config.invalid_value says so
                logging.getLogger("z4j").setLevel(self.settings.log_level.upper())
        if self.settings.is_disabled:
            self._publish(AgentStatus(State.DISABLED, datetime.now(UTC), reason="Z4J_DISABLED is set"))
            return self
        if not self._start_thread():
            return self
        try:
            await self._wait(self._verdict, self._preflight_budget_s + _GRACE_S)
        except asyncio.CancelledError:  # nobody leaves what was never quite entered
            await self.__aexit__()
            raise
        report = self._status.report
        if (
            self.settings.preflight == "strict"
            and self._status.state is not State.ONLINE
            and report is not None
        ):
            await self.__aexit__(None, None, None)
            raise PreflightError(report)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        exc: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """Flush within the shutdown budget and stop; what is undelivered stays on disk for the next start."""
        if self._entered_pid is None or self._is_forked:
            return
        loop = self._loop
        if loop is None:  # not running yet: it will see this when it gets there
            self._stop.set()
        else:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(self._stop.set)
        try:
            await self._wait(self._ended, self._shutdown_budget_s + 2 * _GRACE_S)
        finally:
            self._entered_pid = None
            if self._status.state is not State.DISABLED:
                self._publish(replace(self._status, state=State.STOPPED, since=datetime.now(UTC)))

    @property
    def _is_forked(self) -> bool:
        return self._entered_pid is not None and self._entered_pid != os.getpid()

    def _start_thread(self) -> bool:
        self._verdict, self._ended = concurrent.futures.Future(), concurrent.futures.Future()
        self._stop = asyncio.Event()
        self._publish(AgentStatus(State.STARTING, datetime.now(UTC)))
        try:
            threading.Thread(target=self._run_thread, name="z4j-agent", daemon=True).start()
        except RuntimeError as exc:  # no more threads: the host is in trouble, and goes first
            log.error("the agent can't start: %s", exc)  # noqa: TRY400 - the traceback would be ours alone
            self._publish(AgentStatus(State.DISABLED, datetime.now(UTC), reason=str(exc)))
            return False
        self._entered_pid = os.getpid()
        return True

    def _run_thread(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception:
            log.exception("the agent has stopped by an error of its own; please report it")
            self._publish(replace(self._status, state=State.DISABLED, reason="stopped by an internal error"))
        finally:
            self._loop = None
            self._settle(self._verdict)
            self._settle(self._ended)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        # websockets, sqlite3 and ssl load here, not where a web service imports us
        from z4j_fastapi.buffer.opening import open_buffer
        from z4j_fastapi.supervisor import Supervisor
        from z4j_probes import default_registry

        opened = await open_buffer(self.settings, self._preflight_budget_s / 2, self._bounds)
        self._supervisor = Supervisor(
            default_registry(),
            self.settings,
            self._introduction,
            identity=opened.identity,
            directory=opened.directory,
            buffer=opened.buffer,
            publish=self._publish,
        )
        self._buffer = opened.buffer
        if self.settings.preflight == "off":
            self._settle(self._verdict)  # the buffer is open, so `emit` keeps its promise
        life = asyncio.create_task(self._supervisor.run(self._preflight_budget_s), name="z4j supervisor")
        stopping = asyncio.create_task(self._stop.wait(), name="z4j stop")
        try:
            await asyncio.wait({life, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                await self._supervisor.finish(self._shutdown_budget_s)
                life.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await life
            else:
                await life
        finally:
            stopping.cancel()
            self._buffer = None
            opened.buffer.close()

    def _publish(self, status: AgentStatus) -> None:
        self._status = status
        if status.state is State.DISABLED:
            self._buffer = None
        if status.state is not State.STARTING:
            self._settle(self._verdict)

    def _rouse(self) -> None:
        self._nudged = False  # before the session looks: what comes after its look rouses it again
        if self._supervisor is not None:
            self._supervisor.wake()

    @staticmethod
    def _settle(future: concurrent.futures.Future[None]) -> None:
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            future.set_result(None)

    @staticmethod
    async def _wait(future: concurrent.futures.Future[None], seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.shield(asyncio.wrap_future(future))
