"""Z4JAgent: the life of an agent, from `async with` to the last flush, as a host sees it.

What it does meanwhile happens in a thread of its own (`thread`), where a `supervisor` keeps a `session`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from z4j_fastapi.agent.description import describe
from z4j_fastapi.agent.errors import ForkedAgentError, PreflightError
from z4j_fastapi.agent.events import EventEncoder, EventKind
from z4j_fastapi.agent.hello import AgentProfile
from z4j_fastapi.agent.host import monkey_patching, reloader_that_watches
from z4j_fastapi.agent.status import AgentStatus, State, StatusBoard
from z4j_fastapi.agent.thread import AgentThread
from z4j_fastapi.log import log
from z4j_probes import Settings
from z4j_probes.given import (
    Unusable,
    as_count,
    as_names,
    as_names_by_name,
    as_seconds,
    as_word,
    seal,
)
from z4j_probes.result import Step

if TYPE_CHECKING:
    from z4j_fastapi.buffer.open import Bounds
    from z4j_fastapi.commands.engine import Engine

Preflight = Literal["warn", "strict", "off"]

# A start that waits longer than this is worse than one without a session.
PREFLIGHT_BUDGET_S = 3.0
# What a stop may cost: one flush to a brain that answers. Orchestrators kill after 10 s or more.
SHUTDOWN_BUDGET_S = 2.0
# Of a role and a framework: beyond it a brain refuses the handshake.
MAX_WORD = 32


class Z4JAgent:
    """Keeps this process in session with a z4j brain, and delivers what `emit` is given.

        agent = Z4JAgent(brain_url="https://brain.example", token=…, project_id="default")
        async with agent:
            …

    Every argument that is left out comes from its `Z4J_*` variable, then from its default. Constructing one
    opens no file and raises nothing for bad settings: those make the agent `disabled` when it is entered,
    except files that are away or wrong (`Z4J_TOKEN_FILE`, `ca_file`): it looks at them again.

    `preflight` says what a failed first climb does: "warn" (default) logs one error and goes on, "strict"
    raises PreflightError, "off" waits for the buffer only. A first climb that takes longer than
    `preflight_budget_s` (3 seconds) goes on in the background, unless the host is strict. Leaving sends what
    is buffered, for at most `shutdown_budget_s` (2 seconds).

    Entering raises PreflightError where the host is strict, ForkedAgentError in a process that was forked
    off, and RuntimeError while it is entered already.

    Settings may be of any type that has an obvious text: pydantic's SecretStr and HttpUrl, UUID, bytes, int,
    Path, an enum. `redact_keys` adds words to those that mark a value as secret, `redact_patterns` regular
    expressions to those that find secrets in values. `allow_plaintext` permits ws:// to a host that is not
    this machine.

    Of more than `max_buffered_events` (4,000,000) or `max_buffered_bytes` (1 GiB) the oldest events are
    dropped, and counted in `status.dropped`.

    `role` is web, task, scheduler, beat or other. It is told in the handshake, as are `framework`, the names
    of `engines` and `schedulers`, and the `capabilities` of each. `engine` does what the brain asks, in the
    event loop in which this agent is entered, and is told by itself; `commands` says what it may ask:
    "default", "all", "none" or names (see docs/agent.md).
    """

    def __init__(
        self,
        *,
        brain_url: Any = None,
        token: Any = None,
        project_id: Any = None,
        agent_name: Any = None,
        hmac_secret: Any = None,
        home: Any = None,
        ca_file: Any = None,
        preflight: Preflight | None = None,
        role: str = "web",
        framework: str = "fastapi",
        engines: Sequence[str] = (),
        schedulers: Sequence[str] = (),
        capabilities: Mapping[str, Sequence[str]] | None = None,
        redact_keys: Sequence[str] = (),
        redact_patterns: Sequence[str] = (),
        max_buffered_events: int | None = None,
        max_buffered_bytes: int | None = None,
        preflight_budget_s: float = PREFLIGHT_BUDGET_S,
        shutdown_budget_s: float = SHUTDOWN_BUDGET_S,
        allow_plaintext: bool = False,
        engine: Engine | None = None,
        commands: str | Sequence[str] | None = None,
    ) -> None:
        # first of all: an error tracker shows the locals of this frame
        brain_url, token, hmac_secret = seal(brain_url), seal(token), seal(hmac_secret)
        settings = Settings.load(
            brain_url=brain_url,
            token=token,
            project_id=project_id,
            agent_name=agent_name,
            hmac_secret=hmac_secret,
            home=home,
            ca_file=ca_file,
            preflight=preflight,
            allow_plaintext=allow_plaintext,
            commands=None if commands is None else _choice(commands),
            read_files=False,
        )
        parts: dict[str, Any] = {
            "role": as_word("role", "web" if role is None else role, MAX_WORD),
            "framework": as_word("framework", "fastapi" if framework is None else framework, MAX_WORD),
            "engines": as_names("engines", engines),
            "schedulers": as_names("schedulers", schedulers),
            "capabilities": as_names_by_name("capabilities", capabilities),
        }
        profile = AgentProfile(**{k: v for k, v in parts.items() if not isinstance(v, Unusable)})
        numbers = {
            "max_events": as_count("max_buffered_events", max_buffered_events),
            "max_bytes": as_count("max_buffered_bytes", max_buffered_bytes),
            "preflight": as_seconds("preflight_budget_s", preflight_budget_s),
            "shutdown": as_seconds("shutdown_budget_s", shutdown_budget_s),
        }
        found = [*parts.values(), *numbers.values()]
        unusable = [value for value in found if isinstance(value, Unusable)]
        self._encoder, unfit = _encoder(redact_keys, redact_patterns)
        unusable += unfit
        self._settings = replace(settings, unusable=(*settings.unusable, *unusable))
        usable = {name: number for name, number in numbers.items() if isinstance(number, int | float)}
        self._bounds: Bounds = {}
        if "max_events" in usable:
            self._bounds["max_events"] = int(usable["max_events"])
        if "max_bytes" in usable:
            self._bounds["max_bytes"] = int(usable["max_bytes"])
        self._preflight_budget_s = usable.get("preflight", PREFLIGHT_BUDGET_S)
        self._shutdown_budget_s = usable.get("shutdown", SHUTDOWN_BUDGET_S)
        self._commanded = engine
        self._profile = profile.with_engine(engine, settings.commands)
        self._engine = engine.name if engine else (*profile.engines, profile.framework)[0]
        self._board = StatusBoard()
        self._thread: AgentThread | None = None
        self._entered_pid: int | None = None
        self._started_at = datetime.now(UTC)

    @property
    def settings(self) -> Settings:
        """As read last: on entry, in the agent's thread, and then before each attempt to connect.

        Before the entry, and while a file does not answer, they lack the secrets that stand in files.
        """
        return self._settings if self._thread is None else self._thread.settings

    @property
    def status(self) -> AgentStatus:
        """A snapshot, from any thread."""
        thread = self._thread
        is_dead = thread is not None and not thread.look()
        return self._board.snapshot(is_forked=self._is_forked, is_dead=is_dead)

    @property
    def is_entered(self) -> bool:
        """Whether this process has entered it, and not left it yet."""
        return self._entered_pid == os.getpid()

    def describe(self) -> dict[str, Any]:
        """What `python -m z4j_fastapi status` and metrics show of it: JSON-ready, without secrets.

        `status` without its report, and with it process, settings, files that were read, and latencies.
        """
        return describe(
            self.status,
            self.settings,
            self._profile,
            started_at=self._started_at,
            latency=self._board.latency,
            missed=self._board.missed,
            slot=None if self._thread is None else self._thread.slot,
            stamps={} if self._thread is None else self._thread.stamps,
        )

    def emit(
        self,
        kind: str,
        /,
        *,
        task_id: str,
        engine: str | None = None,
        occurred_at: datetime | None = None,
        **data: Any,
    ) -> bool:
        """Keep one event for the brain; True once it is in the buffer's file, and survives a `kill -9`.

        False where it is in no file: in memory only, because the disk fails (it may still be delivered: do
        not emit it again; counted in `status.not_durable`), or not kept (`status.dropped`).

        From any thread, task, signal handler or destructor. Never raises and never waits for the network.
        False, and counted in `status.dropped`, where this agent is not entered, is switched off, was forked
        off, or has settings without a sound URL, project or name. Where other settings are wrong, events are
        kept on disk for a start that has them right. `kind` is one of `EventKind`; `data` may hold anything,
        and is made safe (see `events`). `occurred_at` is zoned, or it is now.
        """
        is_written = False
        try:
            thread = self._thread
            if thread is not None:
                thread.look()
            buffer = thread.buffer if thread else None
            if thread is None or buffer is None:
                self._board.missed += 1
                return False
            engine = self._engine if engine is None else engine
            event = self._encoder.encode(
                kind, task_id=task_id, engine=engine, data=data, occurred_at=occurred_at
            )
            is_written = buffer.append(event)
            if not is_written and buffer.closed and thread.buffer not in (None, buffer):
                buffer = thread.buffer or buffer  # the one in memory was for the time until this was open
                is_written = buffer.append(event)
            if not is_written and buffer.closed:  # the buffer has counted any other
                self._board.missed += 1
            else:
                thread.wake()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # no memory, or what a mapping or a time zone of the host raises
            self._board.missed += not is_written
        return is_written

    async def __aenter__(self) -> Self:
        """Start, and wait for the first climb as `preflight` says; PreflightError where it is strict."""
        if self._is_forked:
            raise ForkedAgentError("this agent was started before a fork: create one in the child process")
        if self._entered_pid is not None:
            raise RuntimeError("this agent has been entered already")
        if self.settings.log_level:
            with contextlib.suppress(ValueError):  # config.invalid_value says so
                logging.getLogger("z4j").setLevel(self.settings.log_level.upper())
        self._board = board = StatusBoard(missed=self._board.missed)
        if self.settings.is_disabled:
            board.change(State.DISABLED, reason="Z4J_DISABLED is set")
            return self
        unfit = monkey_patching()
        if unfit:
            log.error("the agent can't run here: %s", unfit)
            board.change(State.DISABLED, reason=unfit)
            self._require_session()
            return self
        thread = AgentThread(
            self._settings,
            self._profile,
            board,
            bounds=self._bounds,
            preflight_budget_s=self._preflight_budget_s,
            shutdown_budget_s=self._shutdown_budget_s,
            engine=self._commanded,
            host_loop=_running_loop(),
            redacted=self._encoder.redacted,
            describe=self.describe,
            safe=self._encoder.safe,
        )
        self._thread, self._entered_pid = thread, os.getpid()
        self._started_at = datetime.now(UTC)
        board.change(State.STARTING, reason="still connecting")
        try:
            asyncio.get_running_loop()  # what waits for the thread is asyncio's: no host of another kind can
            thread.start()
        except RuntimeError as exc:  # or no more threads: the host is in trouble, and goes first
            self._thread = self._entered_pid = None
            log.error("the agent can't start: %s", exc)
            board.change(State.DISABLED, reason=str(exc))
            self._require_session()
            return self
        try:
            await thread.decided()
        except asyncio.CancelledError:  # no host leaves what it has not quite entered
            await self.__aexit__()
            raise
        self._warn_of_reloader()
        self._tell_of_worker()
        try:
            self._require_session()
        except PreflightError:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        exc: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """Flush within the shutdown budget and stop; what is undelivered stays on disk for the next start."""
        if self._thread is None or self._is_forked:
            return
        try:
            await self._thread.stop()
        finally:
            self._settings = self._thread.settings
            self._thread = self._entered_pid = None
            self._board.close()

    @property
    def _is_forked(self) -> bool:
        return self._entered_pid is not None and self._entered_pid != os.getpid()

    def _warn_of_reloader(self) -> None:
        path = self._board.snapshot().buffer_path
        watched = reloader_that_watches(Path(path), sys.argv) if path else ""
        if watched:
            log.fault(
                logging.WARNING,
                "each event may restart this service",
                f"a reloader watches {watched}, which contains the buffer ({path})",
                [Step("Set Z4J_HOME to a directory outside of it")],
                extra={},
            )

    def _tell_of_worker(self) -> None:
        """A brain offers what concerns one worker only for a worker that has told of itself."""
        worker_id = self._board.snapshot().worker_id
        if self._commanded is not None and worker_id is not None:
            self.emit(EventKind.WORKER_ONLINE, task_id="", worker=worker_id)

    def _require_session(self) -> None:
        """Raise PreflightError where the host wants a session or no start at all, and there is none."""
        status = self._board.snapshot()
        reason = status.reason
        if status.state is State.STARTING:
            reason = f"{reason} after {self._preflight_budget_s:g} s (preflight_budget_s)"
        if self.settings.preflight == "strict" and status.state is not State.ONLINE:
            raise PreflightError(status.report, reason)
        if status.state is State.STARTING and self.settings.preflight != "off":
            log.warning("%s; the agent continues in the background", reason)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:  # a host of another kind
        return None


def _encoder(keys: Any, patterns: Any) -> tuple[EventEncoder, list[Unusable]]:
    """The encoder; where it is not known what is to be hidden, one that shows no text, and why."""
    words = as_names("redact_keys", keys)
    given = [getattr(pattern, "pattern", pattern) for pattern in patterns] if _is_many(patterns) else patterns
    expressions = as_names("redact_patterns", given, "valid regular expressions")
    unusable = [one for one in (words, expressions) if isinstance(one, Unusable)]
    if not unusable:
        try:
            return EventEncoder(tuple(words), tuple(expressions)), []
        except re.error:
            unusable = [Unusable("redact_patterns", "str", "valid regular expressions")]
    return EventEncoder((), ("(?s).+",)), unusable


def _is_many(given: Any) -> bool:
    return isinstance(given, Iterable) and not isinstance(given, str | bytes)


def _choice(commands: object) -> str:
    """As `Z4J_COMMANDS` has it. What is no name (False, a number) is a text that no command has."""
    names = commands if isinstance(commands, Iterable) and not isinstance(commands, str) else (commands,)
    return ",".join(str(name) for name in names) or "none"
