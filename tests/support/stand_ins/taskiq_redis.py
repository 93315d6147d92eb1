"""The part of taskiq-redis that an example uses, for tests: a queue in Redis.

The real one wants a newer Redis client than arq allows, so one environment can't hold both.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from redis.asyncio import Redis
from taskiq import AsyncBroker, BrokerMessage

WAKE_UP_EVERY_S = 0.5


class RedisStreamBroker(AsyncBroker):
    """Tasks in a list: sent at its left end, taken from its right. The real one has a stream, and groups."""

    def __init__(self, url: str, queue_name: str = "taskiq") -> None:
        super().__init__()
        self.queue_name = queue_name
        self._url = url

    async def kick(self, message: BrokerMessage) -> None:
        async with Redis.from_url(self._url) as redis:
            await redis.lpush(self.queue_name, message.message)

    async def listen(self) -> AsyncGenerator[bytes, None]:
        async with Redis.from_url(self._url) as redis:
            while True:
                # taskiq 0.13 notices a signal only when its event loop next has something to do
                reply = await redis.brpop([self.queue_name], timeout=WAKE_UP_EVERY_S)
                if reply is not None:
                    yield reply[1]
