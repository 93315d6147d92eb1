"""DeadLetterIndex: which jobs of a queue failed for good, newest first, while arq keeps their results.

arq has no such list, and KEYS would block Redis. So an own sorted set has the ids of failed
jobs by the time of their failure, entered when a worker stores a failed result. Results from before that are
found by SCAN: each first page looks at some more of them. What a dead letter says is read from its result,
and one whose result has expired is gone. Aborted jobs are none.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from arq.constants import result_key_prefix
from arq.utils import to_unix_ms

from z4j_fastapi.commands.engine import DeadLetter, DeadLetters, Failed, InvalidCursor
from z4j_fastapi.log import log
from z4j_fastapi.workers.arq.queues import OWN_PREFIX, JobQueue, before_anything_is_done
from z4j_fastapi.workers.task_run import error_text

if TYPE_CHECKING:
    from arq.connections import ArqRedis
    from arq.jobs import JobResult

MAX_KEPT = 10_000
"""Ids in the index; the oldest give way."""
UNUSED_S = 30 * 24 * 3600
"""An index into which nothing was entered for so long expires. So does the mark on a dead letter that was
requeued and whose result arq keeps for good, where no first page has come across it for so long."""
SCANNED_KEYS = 20_000
SCANNED_RESULTS = 1_000
"""What one first page looks at to find older ones: keys of any kind in Redis, and results to be read."""
ENTER_S = 5.0
# What PTTL gives for a key that does not expire.
_FOR_GOOD = -1
# Results that are read at a time before others in the worker's loop have their turn.
_AT_A_TIME = 20
# A moment in milliseconds, and how many of that moment came before.
_CURSOR = re.compile(r"([0-9]{1,15})\.([0-9]{1,5})", re.ASCII)


class DeadLetterIndex:
    """Of one worker's queue; processes that share the queue share the index."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue
        self._failed: dict[str, int] = {}
        self._scan_cursor = 0
        self._is_failing = False

    @property
    def key(self) -> str:
        """Of its sorted set."""
        return f"{OWN_PREFIX}dead:{self._queue.name}"

    def saw(self, outcome: Mapping[str, Any]) -> None:
        """A worker is about to store this, which is not a success."""
        if not isinstance(outcome["r"], asyncio.CancelledError):
            self._failed[outcome["id"]] = outcome["ft"]

    async def stored(self, job_id: str) -> None:
        """It is stored: enter it where it is a failure. Never raises: the job does not wait for its index."""
        failed_ms = self._failed.pop(job_id, None)
        if failed_ms is None:
            return
        try:
            async with asyncio.timeout(ENTER_S):
                await self._enter(await self._queue.redis(), {job_id: failed_ms})
        except Exception as exc:  # found by SCAN later
            level = logging.DEBUG if self._is_failing else logging.WARNING
            log.log(level, "z4j: a failed arq job is not listed as a dead letter: %s", type(exc).__name__)
            self._is_failing = True
        else:
            self._is_failing = False

    async def page(self, limit: int, cursor: str | None) -> DeadLetters:
        """At most `limit` of them. Raises Failed where Redis does not answer."""
        newest, skipped = _position(cursor)
        with before_anything_is_done():
            redis = await self._queue.redis()
            if cursor is None:
                await self._look_for_older(redis)
                await self._drop_expired(redis)
            letters: list[DeadLetter] = []
            while True:
                found = await redis.zrevrangebyscore(
                    self.key, newest, "-inf", start=skipped, num=_AT_A_TIME, withscores=True
                )
                results = await self._results(redis, [job_id.decode() for job_id, _ in found])
                for (job_id, score), result in zip(found, results, strict=True):
                    if len(letters) == limit:
                        return DeadLetters(letters, f"{newest:.0f}.{skipped}", await redis.zcard(self.key))
                    newest, skipped = (newest, skipped + 1) if score == newest else (score, 1)
                    if result is not None and is_dead(result):  # else of a later job with the same id
                        letters.append(_letter(job_id.decode(), result))
                if len(found) < _AT_A_TIME:
                    return DeadLetters(letters, None, await redis.zcard(self.key))

    async def forget(self, job_id: str) -> None:
        """It is dead no longer."""
        await (await self._queue.redis()).zrem(self.key, job_id)

    async def _enter(self, redis: ArqRedis, failed: Mapping[str, int]) -> None:
        async with redis.pipeline(transaction=True) as pipe:
            pipe.zadd(self.key, dict(failed))
            pipe.zremrangebyrank(self.key, 0, -MAX_KEPT - 1)
            pipe.expire(self.key, UNUSED_S)
            await pipe.execute()

    async def _drop_expired(self, redis: ArqRedis) -> None:
        """Those whose result arq has dropped; one that expires later is left out of its page."""
        start, dropped = 0, list[bytes]()
        while job_ids := await redis.zrange(self.key, start, start + 499):
            async with redis.pipeline(transaction=False) as pipe:
                for job_id in job_ids:
                    pipe.exists(result_key_prefix.encode() + job_id)
                kept = await pipe.execute()
            dropped += [job_id for job_id, is_kept in zip(job_ids, kept, strict=True) if not is_kept]
            start += len(job_ids)
        if dropped:
            await redis.zrem(self.key, *dropped)

    async def _look_for_older(self, redis: ArqRedis) -> None:
        keys, results = 0, 0
        while keys < SCANNED_KEYS and results < SCANNED_RESULTS:
            self._scan_cursor, found = await redis.scan(
                self._scan_cursor, match=f"{result_key_prefix}*", count=1_000
            )
            keys += 1_000
            results += len(found)
            job_ids = [
                key.removeprefix(result_key_prefix.encode()).decode("utf-8", "replace") for key in found
            ]
            for start in range(0, len(job_ids), _AT_A_TIME):
                await self._enter_older(redis, job_ids[start : start + _AT_A_TIME])
            if not self._scan_cursor:
                return

    async def _enter_older(self, redis: ArqRedis, job_ids: list[str]) -> None:
        async with redis.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.zscore(self.key, job_id)
            known = await pipe.execute()
        requeued = await self._requeued(redis, job_ids)
        unknown = [
            job_id
            for job_id, score, mark in zip(job_ids, known, requeued, strict=True)
            if score is None and not mark
        ]
        results = await self._results(redis, unknown)
        failed = {
            job_id: to_unix_ms(result.finish_time)
            for job_id, result in zip(unknown, results, strict=True)
            if result is not None and is_dead(result) and result.queue_name == self._queue.name
        }
        if failed:
            await self._enter(redis, failed)

    async def _requeued(self, redis: ArqRedis, job_ids: Sequence[str]) -> list[bool]:
        marks = await redis.mget([requeued_key(job_id) for job_id in job_ids])
        marked = [job_id for job_id, mark in zip(job_ids, marks, strict=True) if mark is not None]
        async with redis.pipeline(transaction=False) as pipe:
            for job_id in marked:
                pipe.pttl(result_key_prefix + job_id)
            kept_ms = await pipe.execute()
            for job_id in (job_id for job_id, ms in zip(marked, kept_ms, strict=True) if ms == _FOR_GOOD):
                pipe.expire(requeued_key(job_id), UNUSED_S)
            await pipe.execute()
        return [mark is not None for mark in marks]

    async def _results(self, redis: ArqRedis, job_ids: Sequence[str]) -> list[JobResult | None]:
        """What is kept of each; None where nothing is, or it can't be read."""
        if not job_ids:
            return []
        kept = await redis.mget([result_key_prefix + job_id for job_id in job_ids])
        results: list[JobResult | None] = []
        for result in kept:
            try:
                results.append(None if result is None else self._queue.read_result(result))
            except Failed:  # of a worker with another serializer
                results.append(None)
        await asyncio.sleep(0)
        return results


def is_dead(result: JobResult) -> bool:
    """Whether a job failed, and was not called off."""
    return not result.success and not isinstance(result.result, asyncio.CancelledError)


def requeued_key(job_id: str) -> str:
    """There while the result of a dead letter is that was requeued: it is not listed again."""
    return f"{OWN_PREFIX}requeued:{job_id}"


def failure_text(outcome: object) -> str:
    """What a failed job's result says: a text of arq's own, or an error."""
    return outcome if isinstance(outcome, str) else error_text(outcome)


def _letter(job_id: str, result: JobResult) -> DeadLetter:
    return DeadLetter(
        job_id,
        str(result.function),
        result.queue_name,
        result.finish_time,
        failure_text(result.result),
        result.job_try,
    )


def _position(cursor: str | None) -> tuple[float, int]:
    if cursor is None:
        return float("inf"), 0
    matched = _CURSOR.fullmatch(cursor)
    if matched is None:
        raise InvalidCursor
    return float(matched[1]), int(matched[2])
