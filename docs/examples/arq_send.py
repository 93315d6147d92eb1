"""Send one job to arq_worker.py and print its result: `python arq_send.py`."""

import asyncio
import os

from arq.connections import RedisSettings, create_pool


async def main() -> None:
    redis = await create_pool(RedisSettings.from_dsn(os.environ.get("REDIS_URL", "redis://localhost")))
    job = await redis.enqueue_job("add", 1, 2)
    assert job is not None, "a job with this id exists already"
    print("1 + 2 =", await job.result(timeout=10))
    await redis.aclose()


asyncio.run(main())
