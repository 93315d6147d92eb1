"""ScheduleDesk: what an agent has of its worker's schedules for its whole life, whatever session it is in.

The framework is asked in the worker's loop and the disk in threads, each within a time limit; neither is ever
an error of the worker. What was sent to a brain is kept on disk, and by the source where all processes of the
service find it: a container has another disk after each deployment.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from z4j_fastapi.commands.engine import Engine, Refused
from z4j_fastapi.commands.memory import CommandMemory
from z4j_fastapi.commands.policy import allowed
from z4j_fastapi.commands.record import Record
from z4j_fastapi.commands.schedule_source import ScheduleSource
from z4j_fastapi.log import log
from z4j_fastapi.schedules.memory import ScheduleMemory, parsed, text_of
from z4j_probes.errors import StorageError
from z4j_probes.protocol.actions import Action
from z4j_probes.protocol.answers import size
from z4j_probes.protocol.schedules import Row, owner_of_service
from z4j_probes.protocol.snapshots import MAX_ROWS, Rows, by_key
from z4j_probes.settings import Settings
from z4j_probes.threads import in_daemon_thread

READS_WITHIN_S = 10.0
"""How long the framework, its Redis, or the disk may take for one look."""
RENEW_EVERY_S = 600.0
"""How often at most a session ends so that another one is activated: see `may_take_over`."""
MAX_ARGUMENTS_BYTES = 4 * 1024
"""Of one schedule: more is not shown."""
KEEP_EVERY_S = 6 * 3_600.0
"""How often it is kept again: what the source keeps is forgotten after a time."""
EXECUTES_FOR_S = 90.0
"""How long it is known that another process tells the brain; it says so three times as often."""

T = TypeVar("T")


async def open_desk(
    settings: Settings,
    engine: Engine | None,
    loop: asyncio.AbstractEventLoop | None,
    directory: Path | None,
    record: Record,
    safe: Callable[[Any], Any],
) -> ScheduleDesk | None:
    """The desk of an agent; None where its engine has no schedules, or the owner allows no commands at all.

    `directory` is its identity's; `safe` takes secrets out of arguments.
    """
    source = engine.schedules if engine else None
    choice = allowed(settings.commands)
    if source is None or loop is None or not choice:
        return None
    memory = None if directory is None else ScheduleMemory(directory)
    owner = owner_of_service(source.kind, settings.agent_name)
    is_known = False
    if memory is not None and not source.has_any:
        knows = asyncio.ensure_future(in_daemon_thread(lambda: memory.knows(owner)))
        with contextlib.suppress(StorageError, RuntimeError, TimeoutError):
            is_known = await _within(knows, READS_WITHIN_S)
    if not source.has_any and not is_known:
        if memory is not None:
            memory.close()
        return None
    once = None if directory is None else CommandMemory(directory)
    return ScheduleDesk(
        owner,
        source,
        loop,
        memory=memory,
        once=once,
        may_run=Action.RUN_SCHEDULE in choice,
        record=record,
        safe=safe,
    )


class ScheduleDesk:
    """Lives in the agent's loop. `memory` and `once` are None where there is no disk."""

    def __init__(
        self,
        owner: str,
        source: ScheduleSource,
        loop: asyncio.AbstractEventLoop,
        *,
        memory: ScheduleMemory | None,
        once: CommandMemory | None,
        may_run: bool,
        record: Record,
        safe: Callable[[Any], Any],
    ) -> None:
        self.owner = owner
        self.may_run = may_run
        self.record = record
        self.once = once
        self._source = source
        self._loop = loop
        self._memory = memory
        self._safe = safe
        self._renewed_s = -math.inf
        self._kept: tuple[str, frozenset[str]] = ("", frozenset())
        self._kept_s = 0.0
        self._executes_s = -math.inf
        self._said: set[str] = set()

    def close(self) -> None:
        """Close the files."""
        for file in (self._memory, self.once):
            if file is not None:
                file.close()

    async def rows(self) -> Rows | None:
        """All schedules as they are sent; None where they can't be read now."""
        try:
            found = await self.in_worker(self._source.rows, READS_WITHIN_S)
            listed = by_key(self._payload(row) for row in _most_due(found))
        except Exception as exc:  # the framework's, the broker's, a host's own source
            self._say_once("rows", "the worker's schedules can't be read: %s", type(exc).__name__)
            return None
        self._said.discard("rows")
        return listed

    async def run_now(self, key: str, task_id: str, within_s: float) -> None:
        """Put the schedule's task into its queue. Raises as an engine does, TimeoutError, or anything."""
        await self.in_worker(lambda: self._source.run_now(key, task_id), within_s)

    async def recall(self, stream_id: str) -> Rows:
        """What a brain may show of this stream, by all that was kept of it."""
        memory, shared, own = self._memory, None, None
        with contextlib.suppress(Exception):  # the source's, and its Redis'
            shared = await self.in_worker(lambda: self._source.recall(stream_id), READS_WITHIN_S)
        if memory is not None:
            with contextlib.suppress(StorageError, RuntimeError, TimeoutError):
                own = await self._on_disk(lambda: memory.recall(stream_id))
        return by_key({**parsed(shared), **parsed(own)}.values())

    async def keep(self, stream_id: str, rows: Rows) -> bool:
        """Keep what is about to be sent; False where that is in no place, so that it must not be sent."""
        kept = (stream_id, frozenset(rows))  # when they ran is not what matters
        if kept == self._kept and time.monotonic() - self._kept_s < KEEP_EVERY_S:
            return True
        memory, is_kept, fault, text = self._memory, False, "there is no disk", text_of(rows)
        if memory is not None:
            try:
                await self._on_disk(lambda: memory.keep(self.owner, stream_id, text))
                is_kept = True
            except (StorageError, RuntimeError, TimeoutError) as exc:
                fault = str(exc) or "the disk did not answer"
        with contextlib.suppress(Exception):  # the source's, and its Redis'
            is_kept |= await self.in_worker(lambda: self._source.keep(stream_id, text), READS_WITHIN_S)
        if is_kept:
            self._kept, self._kept_s = kept, time.monotonic()
            self._said.discard("keep")
        else:
            self._say_once("keep", "the worker's schedules are not sent to the brain: %s", fault)
        return is_kept

    async def executes(self) -> None:
        """This process is the one that tells the brain: other processes leave it to this one."""
        if time.monotonic() - self._executes_s < EXECUTES_FOR_S / 3:  # each time costs a disk
            return
        self._executes_s = time.monotonic()
        memory, said = self._memory, repr(time.time())
        if memory is not None:
            with contextlib.suppress(StorageError, RuntimeError, TimeoutError):
                await self._on_disk(lambda: memory.executes(self.owner))
        with contextlib.suppress(Exception):  # the source's, and its Redis'
            await self.in_worker(lambda: self._source.keep(self._executor_key, said), READS_WITHIN_S)

    async def may_take_over(self) -> bool:
        """Whether no process is known to tell the brain, so that a new session of this one may be activated.

        A brain activates a session when it begins, and no other when the active one ends.
        """
        if time.monotonic() - self._renewed_s < RENEW_EVERY_S:
            return False
        memory, ages_s = self._memory, list[float]()
        if memory is not None:
            with contextlib.suppress(StorageError, RuntimeError, TimeoutError):
                age_s = await self._on_disk(lambda: memory.executed_s(self.owner))
                ages_s += [] if age_s is None else [age_s]
        with contextlib.suppress(Exception):  # the source's, and its Redis'
            said = await self.in_worker(lambda: self._source.recall(self._executor_key), READS_WITHIN_S)
            ages_s += [] if said is None else [max(0.0, time.time() - float(said))]
        if any(age_s < EXECUTES_FOR_S for age_s in ages_s):
            return False
        self._renewed_s = time.monotonic()
        return True

    async def in_worker(self, call: Callable[[], Coroutine[Any, Any, T]], within_s: float) -> T:
        """Await it in the worker's loop. Refused where that has ended, TimeoutError where it takes longer."""
        coroutine = call()
        try:
            future = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))
        except RuntimeError:
            coroutine.close()
            raise Refused("command.no_worker_here", "the worker's event loop has ended") from None
        return await _within(future, within_s)

    async def _on_disk(self, call: Callable[[], T]) -> T:
        return await _within(asyncio.ensure_future(in_daemon_thread(call)), READS_WITHIN_S)

    @property
    def _executor_key(self) -> str:
        return f"executor:{self.owner}"

    def _payload(self, row: Row) -> dict[str, Any]:
        args, kwargs = self._safe(list(row.args)), self._safe(dict(row.kwargs))
        if size(args) + size(kwargs) > MAX_ARGUMENTS_BYTES:
            args, kwargs = [f"[left out: more than {MAX_ARGUMENTS_BYTES} bytes]"], {}
        return replace(row, args=tuple(args), kwargs=kwargs).payload(self.owner)

    def _say_once(self, what: str, message: str, cause: str) -> None:
        if what not in self._said:
            self._said.add(what)
            log.warning(message, cause)


async def _within(future: asyncio.Future[T], seconds: float) -> T:
    """Its result. No asyncio.timeout: before 3.11.3 that may end as a cancellation that no one asked for."""
    try:
        await asyncio.wait({future}, timeout=seconds)
    finally:
        if not future.done():
            future.cancel()
    if future.cancelled():
        raise TimeoutError
    return future.result()


def _most_due(rows: Any) -> list[Row]:
    """All of them, or where they are more than a brain is to hold, those that are due next."""
    never = datetime.max.replace(tzinfo=UTC)
    return sorted(rows, key=lambda row: (row.next_run_at or never, row.key))[:MAX_ROWS]
