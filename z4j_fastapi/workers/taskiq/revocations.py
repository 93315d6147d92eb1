"""Revocations: which tasks of a broker's queues are not to run, in the broker's Redis.

A worker looks before it runs a task, and while it runs some, so a cancel reaches the process that has the
task, whichever process was asked. That one says what it did. An entry ends by its age, never by its use: a
message may be delivered twice.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from z4j_fastapi.commands.engine import Refused
from z4j_fastapi.workers.taskiq.broker_redis import OWN_PREFIX, redis_of

if TYPE_CHECKING:
    from taskiq import AsyncBroker

KEPT_S = 7 * 24 * 3600
"""A task that waits for longer runs after all."""
MAX_REVOKED = 10_000
"""Of one queue: ids come from a brain, and there may be no such task. The oldest give way to new ones."""
SAFE_S = 3600
"""So long none gives way, which would let its task run: where all are younger a cancel is refused."""
VERDICT_S = 60
"""How long it is known what a worker did about a task that ran."""
CHECK_S = 2.0
"""What looking may delay a task by; where Redis does not answer, the task runs."""

ENDED, NOT_ALLOWED, TOO_LATE = "ended", "not allowed", "too late"


class Revocations:
    """Of one broker. Each method raises Refused where Redis does not answer."""

    def __init__(self, broker: AsyncBroker) -> None:
        self._broker = broker

    async def add(self, task_id: str, queues: Sequence[str]) -> None:
        """It is not to run, whichever of these queues it is in."""
        now_s = time.time()
        async with redis_of(self._broker) as redis:
            for queue in queues:
                key = _list_key(queue)
                await redis.zremrangebyscore(key, "-inf", now_s - KEPT_S)
                if await redis.zcard(key) >= MAX_REVOKED:
                    (_, oldest_s), *_ = await redis.zrange(key, 0, 0, withscores=True)
                    if float(oldest_s) > now_s - SAFE_S:
                        cause = f"{MAX_REVOKED} tasks of {queue} were canceled within an hour, the limit"
                        raise Refused("command.busy", cause)
                    await redis.zremrangebyrank(key, 0, -MAX_REVOKED)
                await redis.hdel(_verdict_key(queue), task_id)
                await redis.zadd(key, {task_id: now_s})
                await redis.expire(key, KEPT_S)

    async def remove(self, task_id: str, queues: Sequence[str]) -> None:
        """It runs on, since it can't be ended."""
        async with redis_of(self._broker) as redis:
            for queue in queues:
                await redis.zrem(_list_key(queue), task_id)

    async def among(self, task_ids: Sequence[str], queue: str) -> set[str]:
        """Which of these are not to run."""
        oldest = time.time() - KEPT_S
        async with redis_of(self._broker, CHECK_S) as redis:
            scores = await redis.zmscore(_list_key(queue), list(task_ids))
        return {
            task_id
            for task_id, score in zip(task_ids, scores, strict=True)
            if score is not None and float(score) >= oldest
        }

    async def tell(self, task_id: str, queue: str, verdict: str) -> None:
        """What this worker did about it."""
        async with redis_of(self._broker) as redis:
            await redis.hset(_verdict_key(queue), task_id, verdict)
            await redis.expire(_verdict_key(queue), VERDICT_S)

    async def told(self, task_id: str, queues: Sequence[str]) -> str | None:
        """What a worker did about it; None as long as none has said so."""
        async with redis_of(self._broker) as redis:
            for queue in queues:
                verdict = await redis.hget(_verdict_key(queue), task_id)
                if verdict is not None:
                    return verdict.decode() if isinstance(verdict, bytes) else str(verdict)
        return None


def _list_key(queue: str) -> str:
    return f"{OWN_PREFIX}revoked:{queue}"


def _verdict_key(queue: str) -> str:
    return f"{OWN_PREFIX}verdicts:{queue}"
