"""JobQueue: the queue of one running arq worker, as arq keeps it in Redis, changed without racing any worker.

arq starts a job by watching `arq:in-progress:<id>`, looking into the queue, and setting that key in a
transaction. So what is taken out of a queue here is taken in a transaction that watches and touches the same
key: where a worker was first nothing is taken, and a worker that comes second finds its own transaction
failed. Serializers, queue and times are those of the worker, not of its connection, which a host may have
made.

Ids come from a brain. They are the end of a key that begins with one of the prefixes here, or a member of
a set; never a key, a pattern or the name of a queue.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from arq.constants import (
    abort_jobs_ss,
    in_progress_key_prefix,
    job_key_prefix,
    result_key_prefix,
    retry_key_prefix,
)
from arq.jobs import JobDef, JobResult, SerializationError, deserialize_job, deserialize_result, serialize_job
from arq.utils import timestamp_ms
from redis.exceptions import (
    ExecAbortError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    WatchError,
)

from z4j_fastapi.commands.engine import Failed, Refused

if TYPE_CHECKING:
    from arq.connections import ArqRedis
    from arq.worker import Worker
    from redis.asyncio.client import Pipeline

# Keys of our own, each of which expires.
OWN_PREFIX = "z4j:arq:"
MARK_S = 2 * 3600
"""How long it is known that a job was sent or cancelled: a brain asks for nothing again after an hour."""
# Members of a queue that are looked at, or removed, at a time: a worker starts no job meanwhile.
BATCH = 500
FRONT = 1_000
"""Jobs at the front of a queue among which those that run are counted."""
# Each time another client changed something in between.
_TRIES = 20
_POLL_S = 0.02
# What Redis says while it queues the commands of a transaction, which it then does not run.
_DISCARDED = (ExecAbortError, NoPermissionError, OutOfMemoryError, ReadOnlyError)


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to put into the queue."""

    job_id: str
    function: str
    args: Sequence[Any] = field(default=(), repr=False)
    kwargs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Found:
    """What Redis has of a job. Deferred jobs are queued, and so are those that run."""

    is_queued: bool
    is_in_progress: bool
    definition: bytes | None = field(default=None, repr=False)
    result: bytes | None = field(default=None, repr=False)
    was_cancelled: bool = False

    @property
    def waits(self) -> bool:
        """It is in the queue, and no worker has started it."""
        return self.is_queued and not self.is_in_progress

    @property
    def runs(self) -> bool:
        """A worker has it. A cron job is marked so for a minute after its end."""
        return self.is_queued and self.is_in_progress


class JobQueue:
    """Everything here runs in the worker's loop, and is as quick as its Redis."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._is_closed = False
        self._may_not_sort = False

    @property
    def name(self) -> str:
        """The key of its sorted set."""
        return self._worker.queue_name

    @property
    def place(self) -> str:
        """Where it is: the Redis as the worker was told it, and the queue's name."""
        settings, pool = self._worker.redis_settings, self._worker._pool
        if settings is not None:
            known = {"path": settings.unix_socket_path, "host": settings.host, "port": settings.port}
            known["db"] = settings.database
        else:
            known = pool.connection_pool.connection_kwargs if pool is not None else {}
        server = known.get("path") or f"{known.get('host')}:{known.get('port')}"
        return f"{server} {known.get('db')} {self.name}"

    def close(self) -> None:
        """The worker stops: what comes when its connection is closed is refused."""
        self._is_closed = True

    async def redis(self) -> ArqRedis:
        """The worker's connection, which it makes after its agent has started."""
        while self._worker.pool is None:
            if self._is_closed:
                cause = "this worker is stopping"
                raise Refused("command.no_worker_here", cause, "Send the command again later")
            await asyncio.sleep(_POLL_S)  # nothing announces it
        return self._worker.pool

    async def put(self, job: NewJob, *, once: str | None = None, once_ms: int = 0) -> bool:
        """Put a job into the queue; False where that id, or the key `once`, is known already.

        `once` is kept for `once_ms`.
        """
        redis, worker, now_ms = await self.redis(), self._worker, timestamp_ms()
        try:
            # not pool.enqueue_job: its own options are keyword arguments, as a brain's are
            data = serialize_job(
                job.function,
                tuple(job.args),
                dict(job.kwargs),
                None,
                now_ms,
                serializer=worker.job_serializer,
            )
        except SerializationError as exc:
            raise Failed(f"its arguments can't be serialized: {type(exc.__cause__ or exc).__name__}") from exc
        delay_ms = int(job.delay_s * 1000)
        known_by = [job_key_prefix + job.job_id, result_key_prefix + job.job_id, sent_key(job.job_id)]
        known_by += [once] if once else []
        async with redis.pipeline(transaction=True) as pipe:
            for _ in range(_TRIES):
                with before_anything_is_done():
                    await pipe.watch(*known_by)
                    if await pipe.exists(*known_by):
                        return False
                pipe.multi()  # type: ignore[no-untyped-call]
                pipe.psetex(job_key_prefix + job.job_id, delay_ms + worker.expires_extra_ms, data)
                pipe.zadd(self.name, {job.job_id: now_ms + delay_ms})
                pipe.set(sent_key(job.job_id), b"", px=MARK_S * 1000 + delay_ms)
                if once:
                    pipe.set(once, job.job_id, px=once_ms)
                if await _commit(pipe) is not None:
                    return True
        raise _contended()

    async def find(self, job_id: str) -> Found:
        """Where a job is."""
        with before_anything_is_done():
            async with (await self.redis()).pipeline(transaction=True) as pipe:
                pipe.zscore(self.name, job_id)
                pipe.exists(in_progress_key_prefix + job_id)
                pipe.get(job_key_prefix + job_id)
                pipe.get(result_key_prefix + job_id)
                pipe.exists(_cancelled_key(job_id))
                score, in_progress, definition, result, cancelled = await pipe.execute()
        return Found(score is not None, bool(in_progress), definition, result, bool(cancelled))

    async def remove(self, job_id: str) -> Found:
        """Take a job out that waits. What was found; where that did not wait, nothing was changed."""
        in_progress = in_progress_key_prefix + job_id
        for _ in range(_TRIES):
            async with (await self.redis()).pipeline(transaction=True) as pipe:
                with before_anything_is_done():
                    await pipe.watch(in_progress)
                found = await self.find(job_id)
                if not found.waits:
                    return found
                pipe.multi()  # type: ignore[no-untyped-call]
                pipe.zrem(self.name, job_id)
                pipe.set(in_progress, b"", px=1)
                pipe.delete(in_progress, job_key_prefix + job_id, retry_key_prefix + job_id)
                pipe.zrem(abort_jobs_ss, job_id)
                pipe.set(_cancelled_key(job_id), b"", ex=MARK_S)
                if await _commit(pipe) is not None:
                    return found
        raise _contended()

    async def depth(self) -> int:
        """How many jobs are due and wait."""
        with before_anything_is_done():
            redis = await self.redis()
            now_ms, depth, start = timestamp_ms(), 0, 0
            while due := await redis.zrangebyscore(self.name, "-inf", now_ms, start=start, num=BATCH):
                marks = await redis.mget([in_progress_key_prefix.encode() + job_id for job_id in due])
                depth += sum(mark is None for mark in marks)
                start += BATCH
        return depth

    async def glance(self) -> int:
        """The same in one round trip: jobs start in the order of the queue, so those that run are in front.

        `SORT … BY nosort` gives the front of a sorted set with the marks of its jobs, and costs as little.
        """
        if self._may_not_sort:
            return await self.depth()
        with before_anything_is_done():
            redis = await self.redis()
            async with redis.pipeline(transaction=False) as pipe:
                pipe.zcount(self.name, "-inf", timestamp_ms())
                pipe.sort(self.name, start=0, num=FRONT, by="nosort", get=[f"{in_progress_key_prefix}*"])
                due, marks = await pipe.execute(raise_on_error=False)
            if isinstance(due, Exception):
                raise due
        if isinstance(marks, Exception):  # an access list needs all keys for that; some servers have no SORT
            self._may_not_sort = True
            return await self.depth()
        waiting: int = due - sum(mark is not None for mark in marks)
        return max(0, waiting)

    async def purge(self) -> AsyncIterator[list[str]]:
        """Take out what waits or is deferred, and yield the ids of each batch that was."""
        redis, cursor = await self.redis(), 0
        while True:
            # ZSCAN: each member that is there all the time comes, whatever is removed meanwhile
            cursor, found = await redis.zscan(self.name, cursor, count=BATCH)
            job_ids = [job_id.decode() for job_id, _ in found]
            for start in range(0, len(job_ids), BATCH):
                yield await self._take_out(job_ids[start : start + BATCH])
            if not cursor:
                return

    async def _take_out(self, job_ids: list[str]) -> list[str]:
        async with (await self.redis()).pipeline(transaction=True) as pipe:
            keys = [in_progress_key_prefix + job_id for job_id in job_ids]
            await pipe.watch(*keys)
            marks = await pipe.mget(keys)
            waiting = [job_id for job_id, mark in zip(job_ids, marks, strict=True) if mark is None]
            if not waiting:
                return []
            touched = [in_progress_key_prefix + job_id for job_id in waiting]
            pipe.multi()  # type: ignore[no-untyped-call]
            for job_id in waiting:
                pipe.zrem(self.name, job_id)
            pipe.mset(dict.fromkeys(touched, b""))
            pipe.delete(*touched, *(job_key_prefix + job_id for job_id in waiting))
            pipe.delete(*(retry_key_prefix + job_id for job_id in waiting))
            pipe.zrem(abort_jobs_ss, *waiting)
            removed = await _commit(pipe)
        if removed is not None:  # some may have ended before they were looked at
            return [job_id for job_id, count in zip(waiting, removed, strict=False) if count]
        if len(job_ids) == 1:  # it has started
            return []
        half = len(job_ids) // 2
        return [*await self._take_out(job_ids[:half]), *await self._take_out(job_ids[half:])]

    def read_result(self, result: bytes) -> JobResult:
        """What is kept of an ended job, by the worker's own deserializer; Failed where it is unreadable."""
        try:
            return deserialize_result(result, deserializer=self._worker.job_deserializer)
        except SerializationError as exc:
            raise Failed(f"what is kept of it can't be read: {type(exc.__cause__ or exc).__name__}") from exc

    def read_definition(self, definition: bytes | None) -> JobDef | None:
        """A job that waits; None where there is none, or it can't be read."""
        if definition is None:
            return None
        try:
            return deserialize_job(definition, deserializer=self._worker.job_deserializer)
        except SerializationError:
            return None


def sent_key(job_id: str) -> str:
    """There for MARK_S after a job was put into a queue, whatever became of it."""
    return f"{OWN_PREFIX}sent:{job_id}"


@contextlib.contextmanager
def before_anything_is_done() -> Iterator[None]:
    """Where Redis does not answer, nothing was changed, and that is certain."""
    try:
        yield
    except (RedisError, OSError) as exc:
        cause = f"this worker can't use its Redis: {type(exc).__name__}"
        raise Refused("command.no_worker_here", cause, "Fix that, then send the command again") from exc


async def _commit(pipe: Pipeline) -> list[Any] | None:
    """What the commands of a transaction gave; None where something watched was changed: look again.

    That is said as well where the connection broke before the answer. Refused where Redis discards it.
    """
    try:
        done: list[Any] = await pipe.execute()
    except WatchError:
        return None
    except _DISCARDED as exc:
        cause = f"Redis lets this worker change nothing: {type(exc).__name__}"
        raise Refused("command.no_worker_here", cause, "Fix that, then send the command again") from exc
    return done


def _cancelled_key(job_id: str) -> str:
    return f"{OWN_PREFIX}cancelled:{job_id}"


def _contended() -> Refused:
    return Refused("command.busy", f"other clients changed the job {_TRIES} times in between")
