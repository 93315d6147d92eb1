"""A taskiq broker: its agent, its Redis, its queue, and its owner."""

from __future__ import annotations

import contextlib
from typing import Any

from taskiq import AsyncBroker, InMemoryBroker

from z4j_fastapi.workers.examination.finding import Asked, Finding
from z4j_fastapi.workers.examination.owner import owner_is_taken
from z4j_fastapi.workers.taskiq import Z4JMiddleware
from z4j_fastapi.workers.taskiq.broker_redis import has_redis, redis_of

_SCANNED = 2_000


def is_taskiq(found: object) -> bool:
    """Whether it is a broker."""
    return isinstance(found, AsyncBroker)


async def examine(broker: Any, asked: Asked) -> Finding:
    """The first thing that is wrong, or that all is well."""
    tasks = sorted(broker.get_all_tasks())
    queue = getattr(broker, "queue_name", None)
    facts: dict[str, Any] = {
        "framework": "taskiq",
        "broker": type(broker).__name__,
        "functions": tasks,
        "queue": queue,
    }
    if not any(isinstance(middleware, Z4JMiddleware) for middleware in broker.middlewares):
        message = f"{asked.target} has no agent: Z4JMiddleware is missing"
        remedy = "Add Z4JMiddleware (z4j_fastapi.workers.taskiq) to its middlewares"
        return Finding("worker.not_wired", message, facts, remedy)
    said = "in memory" if isinstance(broker, InMemoryBroker) else "its broker was not asked"
    if has_redis(broker):
        try:
            async with redis_of(broker, asked.timeout_s) as redis:
                await redis.ping()
                other = await _other_list(redis, broker, queue)
        except Exception as exc:  # redis-py's, asyncio's, ssl's
            from z4j_fastapi.workers.examination.reason import reason_of  # needs redis, which is there

            reason = reason_of(exc, asked.timeout_s)
            return Finding("worker.redis_unreachable", f"can't reach its Redis: {reason}", facts)
        if other is not None:
            name, task = other
            message = f"tasks {task} wait in {name}, and this worker reads {queue}"
            return Finding("worker.queue_mismatch", message, {**facts, "other_queue": name})
        said = "Redis answers"
    taken = owner_is_taken("taskiq", asked, queue)
    if taken is not None:
        return Finding("worker.owner_taken", taken, facts)
    count = f"{len(tasks)} task{'' if len(tasks) == 1 else 's'}"
    return Finding("worker.ok", f"{count}, {f'queue {queue}, ' if queue else ''}{said}", facts)


async def _other_list(redis: Any, broker: Any, queue: str | None) -> tuple[str, str] | None:
    """Another list with a message of one of this broker's tasks."""
    number = 0
    async for key in redis.scan_iter(count=500, _type="list"):
        number += 1
        name = key.decode(errors="replace") if isinstance(key, bytes) else str(key)
        if number > _SCANNED:
            return None
        if name == queue:
            continue
        for message in await redis.lrange(key, 0, 0):
            with contextlib.suppress(Exception):  # another program's list
                task = broker.formatter.loads(message).task_name
                if broker.find_task(task) is not None:
                    return name, task
    return None
