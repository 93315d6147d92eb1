"""The Redis of a broker, where it has one: a client on the broker's own connections, and our keys in it.

Ids come from a brain, so they are members of sets and fields of hashes, or the end of a key that begins with
OWN_PREFIX; never a key of their own, and never a pattern.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from z4j_fastapi.commands.engine import Refused

if TYPE_CHECKING:
    from taskiq import AsyncBroker

OWN_PREFIX = "z4j:taskiq:"
ANSWERS_S = 10.0
"""How long a broker or its Redis may take for one thing."""


def has_redis(broker: AsyncBroker) -> bool:
    """Whether this broker's queue is in a Redis: taskiq-redis, with one server, sentinels or a cluster."""
    return _client(broker) is not None


@contextlib.asynccontextmanager
async def redis_of(broker: AsyncBroker, within_s: float = ANSWERS_S) -> AsyncIterator[Any]:
    """A client of it. Refused where it does not answer in time: what is done in here is only looked at, or
    can be done again."""
    from redis.exceptions import RedisError

    client = _client(broker)
    if client is None:
        raise Refused("command.unsupported", "this worker's broker has no Redis", "")
    try:
        async with asyncio.timeout(within_s):
            yield client
    except (RedisError, OSError) as exc:  # a timeout is an OSError
        cause = f"this worker can't use its broker's Redis: {type(exc).__name__}"
        raise Refused("command.no_worker_here", cause, "Fix that, then send the command again") from exc


def is_stream(broker: Any) -> bool:
    """Whether its queue is a stream with a consumer group."""
    return hasattr(broker, "consumer_group_name") and has_redis(broker)


async def lags(broker: Any, queues: Sequence[str]) -> dict[str, int]:
    """How many messages of each stream the broker's group has not been given.

    Never the stream's length: it keeps what was acknowledged. A queue is left out where Redis can't tell: one
    before 7.0, or where messages were deleted by hand.
    """
    async with redis_of(broker) as redis, redis.pipeline(transaction=False) as pipe:
        for queue in queues:
            pipe.xinfo_groups(queue)
        answers = await pipe.execute(raise_on_error=False)
    found: dict[str, int] = {}
    for queue, groups in zip(queues, answers, strict=True):
        if isinstance(groups, Exception):  # no such stream yet
            continue
        for group in groups:
            name = group["name"]
            name = name.decode() if isinstance(name, bytes) else name
            if name == broker.consumer_group_name and isinstance(group.get("lag"), int):
                found[queue] = group["lag"]
    return found


def _client(broker: Any) -> Any:
    """By what the broker has, not by its class: hosts derive their own. Making one opens no connection."""
    try:
        from redis.asyncio import ConnectionPool, Redis, RedisCluster, Sentinel
    except ImportError:
        return None
    pool, sentinel = getattr(broker, "connection_pool", None), getattr(broker, "sentinel", None)
    if isinstance(pool, ConnectionPool):
        return Redis(connection_pool=pool)
    if isinstance(sentinel, Sentinel):
        return sentinel.master_for(broker.master_name)
    cluster = getattr(broker, "redis", None)
    return cluster if isinstance(cluster, RedisCluster) else None
