"""taskiq worker taskiq_worker:broker, with REDIS_URL and Z4J_* in the environment."""

import os

from taskiq_redis import RedisStreamBroker

from z4j_fastapi.workers.taskiq import Z4JMiddleware

broker = RedisStreamBroker(os.environ.get("REDIS_URL", "redis://localhost")).with_middlewares(
    Z4JMiddleware(agent_name="taskiq")
)


@broker.task
async def divide(a: int, b: int) -> float:
    return a / b
