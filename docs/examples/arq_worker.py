"""arq arq_worker.WorkerSettings, with REDIS_URL and Z4J_* in the environment."""

import os
from typing import Any

from arq.connections import RedisSettings

from z4j_fastapi.workers.arq import z4j_worker


async def add(ctx: dict[str, Any], a: int, b: int) -> int:
    return a + b


@z4j_worker(agent_name="arq")
class WorkerSettings:
    functions = [add]
    redis_settings = RedisSettings.from_dsn(os.environ.get("REDIS_URL", "redis://localhost"))
