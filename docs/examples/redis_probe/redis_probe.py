"""A probe of your own: does the task queue's Redis answer?"""

import asyncio

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError

from z4j_probes import Climb, Code, Probe, ProbeResult, Status, Step, outcome


async def run(climb: Climb) -> ProbeResult:
    """Send PING to REDIS_URL, with the environment that the service has."""
    url = climb.settings.environ.get("REDIS_URL", "redis://localhost")
    client: Redis = Redis.from_url(url)
    try:
        async with asyncio.timeout(climb.time_left()):
            await client.ping()  # type: ignore[misc, unused-ignore] - its stubs differ from release to release
    except AuthenticationError:
        return outcome("redis.password_wrong", "Redis rejected the password in REDIS_URL")
    except (TimeoutError, RedisError, OSError) as exc:
        return outcome("redis.unreachable", f"Redis does not answer: {type(exc).__name__}")
    finally:
        await client.aclose()
    return outcome("redis.ok", "Redis answers PING")


PROBE = Probe(
    name="redis",
    question="Does the task queue's Redis answer?",
    needs=("config",),
    run=run,
    timeout_code="redis.unreachable",
    codes=(
        Code("redis.ok", "Redis answers", status=Status.PASS),
        Code(
            "redis.unreachable",
            "Redis does not answer",
            remedy=Step("Check whether it is running", "redis-cli ping"),
        ),
        Code("redis.password_wrong", "Redis rejected the password", remedy="Correct it in REDIS_URL"),
    ),
)
