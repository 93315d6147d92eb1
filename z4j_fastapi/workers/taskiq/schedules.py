"""Schedules: what taskiq's schedule sources have, as a brain's page shows it, seen from a worker.

`taskiq scheduler` sends the tasks, and no agent is in it. A worker knows the schedules in its tasks' labels,
and the sources that it is given. When one ran last and how often is counted in the broker's Redis by the
worker that runs its task. They are changed where they are declared, so the page offers no edits.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from taskiq.schedule_sources import LabelScheduleSource

from z4j_fastapi.commands.engine import Refused
from z4j_fastapi.commands.schedule_source import Kind, Row, ScheduleSource
from z4j_fastapi.workers.taskiq.broker_redis import OWN_PREFIX, has_redis, redis_of
from z4j_fastapi.workers.taskiq.executions import ENGINE
from z4j_fastapi.workers.taskiq.next_run import NextRuns
from z4j_fastapi.workers.taskiq.sending import NewMessage, send
from z4j_probes.protocol.schedules import digest

if TYPE_CHECKING:
    from taskiq import AsyncBroker, TaskiqMessage
    from taskiq import ScheduleSource as TaskiqSource

SCHEDULE_LABEL = "schedule_id"
_DECLARED_LABEL = "schedule"
KEPT_S = 180 * 24 * 3600
"""How long Redis keeps what was counted, and what was sent."""
COUNTED_WITHIN_S = 3.0
FOUND_EVERY_S = 60.0
"""How often a worker that only counts looks which schedules there are."""
_KEY_LENGTH = 12

_Runs = Mapping[str, tuple[int, datetime | None]]


@dataclass(frozen=True, slots=True)
class _Scheduled:
    """One schedule, from whichever source."""

    task_name: str
    args: Sequence[Any] = field(repr=False)
    kwargs: Mapping[str, Any] = field(repr=False)
    labels: Mapping[str, Any] = field(repr=False)
    cron: str | None
    cron_offset: str | timedelta | None
    interval: int | timedelta | None
    time: datetime | None

    @property
    def content(self) -> str:
        """What a message of it can be told by: its task and arguments."""
        return digest([self.task_name, repr(self.args), repr(sorted(self.kwargs.items()))])

    @property
    def key(self) -> str:
        """For one whose id is another one after each start."""
        when = [self.cron, str(self.cron_offset), str(self.interval), str(self.time)]
        return f"{self.task_name}:{digest([self.content, *when])[:_KEY_LENGTH]}"


class Schedules(ScheduleSource):
    """Everything here runs in the worker's loop. `sources` is None for the labels of the broker's tasks."""

    kind = ENGINE

    def __init__(self, broker: AsyncBroker, sources: Sequence[TaskiqSource] | None) -> None:
        self._broker = broker
        self._sources = sources
        self._runs: _Runs = {}
        self._next_runs = NextRuns()
        self._counting: set[asyncio.Future[None]] = set()
        self._by_content: dict[str, str] = {}
        self._keys: frozenset[str] = frozenset()
        self._found_s = -FOUND_EVERY_S

    @property
    def has_any(self) -> bool:
        """Whether a source was given, or a task has a schedule among its labels."""
        return bool(self._sources) or (self._sources is None and bool(self._declared()))

    async def rows(self) -> Sequence[Row]:
        """A row for each schedule; counts are those of the last look where Redis does not answer."""
        found = await self._found()
        with contextlib.suppress(Exception):  # redis-py's, and what a Redis holds
            self._runs = await self._counted(found)
        names = Counter(one.task_name for one in found.values())
        return [await self._row(key, one, names) for key, one in found.items()]

    async def run_now(self, key: str, task_id: str) -> None:
        """Send its task, with the arguments that the schedule has."""
        one = (await self._found()).get(key)
        if one is None:
            cause = "the worker no longer has this schedule"
            raise Refused("command.unknown_task", cause, "Reload the page")
        task = self._broker.find_task(one.task_name)
        if task is None:
            raise Refused("command.unknown_task", f"this worker has no task {one.task_name}")
        labels = {**task.labels, **one.labels, SCHEDULE_LABEL: key}
        labels.pop(_DECLARED_LABEL, None)
        await send(self._broker, NewMessage(task_id, one.task_name, labels, one.args, one.kwargs))

    async def recall(self, name: str) -> str | None:
        """What was kept in the broker's Redis."""
        if not has_redis(self._broker):
            return None
        async with redis_of(self._broker) as redis:
            return _text(await redis.get(_kept_key(name)))

    async def keep(self, name: str, text: str) -> bool:
        """Keep it in the broker's Redis, where it has one."""
        if not has_redis(self._broker):
            return False
        async with redis_of(self._broker) as redis:
            await redis.set(_kept_key(name), text, ex=KEPT_S)
        return True

    def ran(self, message: TaskiqMessage) -> None:
        """A task begins to run; it does not wait until that is counted."""
        schedule_id = message.labels.get(SCHEDULE_LABEL)
        if not isinstance(schedule_id, str) or not has_redis(self._broker):
            return
        with contextlib.suppress(Exception):  # a host's arguments may do anything when they are looked at
            content = digest(
                [message.task_name, repr(list(message.args)), repr(sorted(message.kwargs.items()))]
            )
            counting = asyncio.ensure_future(self._count(schedule_id, content))
            self._counting.add(counting)
            counting.add_done_callback(self._counting.discard)

    async def _count(self, schedule_id: str, content: str) -> None:
        with contextlib.suppress(Exception):  # without Redis the worker has other worries
            if time.monotonic() - self._found_s > FOUND_EVERY_S:  # another process shows them, perhaps
                await self._found()
            # an id of LabelScheduleSource is another one after each start of the scheduler
            key = self._by_content.get(content, schedule_id)
            if key not in self._keys:
                return
            async with redis_of(self._broker, COUNTED_WITHIN_S) as redis:
                await redis.hincrby(self._runs_key, f"count:{key}", 1)
                await redis.hset(self._runs_key, f"last:{key}", datetime.now(UTC).isoformat())
                await redis.expire(self._runs_key, KEPT_S)

    async def _counted(self, found: Mapping[str, _Scheduled]) -> _Runs:
        if not has_redis(self._broker):
            return {}
        async with redis_of(self._broker, COUNTED_WITHIN_S) as redis:
            kept = {_text(key): _text(value) for key, value in (await redis.hgetall(self._runs_key)).items()}
        runs: dict[str, tuple[int, datetime | None]] = {}
        for key in found:
            last = kept.get(f"last:{key}")
            at = None if last is None else datetime.fromisoformat(last)
            runs[key] = (int(kept.get(f"count:{key}") or 0), at)
        return runs

    async def _found(self) -> dict[str, _Scheduled]:
        declared = self._declared() if self._reads_labels else []
        found = {one.key: one for one in declared}
        contents = Counter(one.content for one in declared)
        # where two differ in when they are due only, a message does not tell which it is of
        self._by_content = {one.content: one.key for one in declared if contents[one.content] == 1}
        for source in self._sources or ():
            if isinstance(source, LabelScheduleSource):
                continue
            for task in await source.get_schedules():
                if task.time is None or _lists_times(source):
                    found[str(task.schedule_id)] = _Scheduled(
                        task.task_name,
                        list(task.args),
                        dict(task.kwargs),
                        dict(task.labels),
                        task.cron,
                        task.cron_offset,
                        getattr(task, "interval", None),
                        task.time,
                    )
        self._keys, self._found_s = frozenset(found), time.monotonic()
        return found

    @property
    def _reads_labels(self) -> bool:
        if self._sources is None:
            return True
        return any(isinstance(source, LabelScheduleSource) for source in self._sources)

    def _declared(self) -> list[_Scheduled]:
        """As LabelScheduleSource reads them, but with ids that a restart keeps."""
        found: list[_Scheduled] = []
        for name, task in self._broker.get_all_tasks().items():
            listed = task.labels.get(_DECLARED_LABEL) if task.broker is self._broker else None
            if isinstance(listed, list | tuple):
                found += [_scheduled(name, given) for given in listed if _is_schedule(given)]
        return found

    async def _row(self, key: str, one: _Scheduled, names: Counter[str]) -> Row:
        count, last_run_at = self._runs.get(key, (0, None))
        zone = one.cron_offset if isinstance(one.cron_offset, str) else "UTC"
        kind, expression, next_run_at = Kind.CRON, one.cron or "", None
        if one.cron:
            if isinstance(one.cron_offset, timedelta):
                expression += f" (shifted by {one.cron_offset})"
            next_run_at = await self._next_runs.of(one.cron, one.cron_offset)
        elif one.interval is not None:
            seconds = _seconds(one.interval)
            kind, expression = Kind.INTERVAL, f"{seconds:g}s"
            next_run_at = None if last_run_at is None else last_run_at + timedelta(seconds=seconds)
        elif isinstance(one.time, datetime):
            next_run_at = one.time if one.time.tzinfo else one.time.replace(tzinfo=UTC)
            kind, expression = Kind.CLOCKED, next_run_at.isoformat()
        alone = names[one.task_name] == 1
        return Row(
            key=key,
            engine=ENGINE,
            name=one.task_name if alone else f"{one.task_name} {key[-_KEY_LENGTH:]}",
            task_name=one.task_name,
            kind=kind,
            expression=expression,
            timezone=zone,
            queue=getattr(self._broker, "queue_name", None),
            args=tuple(one.args),
            kwargs=one.kwargs,
            last_run_at=last_run_at,
            next_run_at=next_run_at,
            total_runs=count,
        )

    @property
    def _runs_key(self) -> str:
        return f"{OWN_PREFIX}schedule-runs:{getattr(self._broker, 'queue_name', '')}"


def _is_schedule(given: object) -> bool:
    return isinstance(given, dict) and not {"cron", "interval", "time"}.isdisjoint(given)


def _scheduled(task_name: str, given: Mapping[str, Any]) -> _Scheduled:
    return _Scheduled(
        task_name,
        list(given.get("args", ())),
        dict(given.get("kwargs", {})),
        dict(given.get("labels", {})),
        given.get("cron"),
        given.get("cron_offset"),
        given.get("interval"),
        given.get("time"),
    )


def _lists_times(source: object) -> bool:
    """Whether it lists what is due at one moment before that has come. taskiq-redis is not needed here."""
    return not any(kind.__name__ == "ListRedisScheduleSource" for kind in type(source).__mro__)


def _seconds(interval: float | timedelta) -> float:
    return interval.total_seconds() if isinstance(interval, timedelta) else float(interval)


def _kept_key(name: str) -> str:
    return f"{OWN_PREFIX}schedules:{name}"


def _text(value: bytes | str | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else value
