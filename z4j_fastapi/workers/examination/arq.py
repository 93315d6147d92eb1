"""An arq worker's settings: its agent, its Redis, its queue, its owner, and whether it may abort."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Any

from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.constants import default_queue_name, job_key_prefix
from arq.jobs import deserialize_job

from z4j_fastapi.workers.arq.decorate import MARK, Instrumentation
from z4j_fastapi.workers.examination.finding import Asked, Finding
from z4j_fastapi.workers.examination.owner import owner_is_taken
from z4j_fastapi.workers.examination.reason import reason_of

_SCANNED = 2_000
"""Keys of a Redis that are looked at to find another queue, and how many jobs of each."""
_JOBS = 5


def is_arq(found: object) -> bool:
    """Whether it is what an arq worker is made from."""
    if isinstance(found, dict):
        return "functions" in found or "cron_jobs" in found
    return hasattr(found, "functions") or hasattr(found, "cron_jobs")


async def examine(found: Any, asked: Asked) -> Finding:
    """The first thing that is wrong, or that all is well."""
    settings: Mapping[str, Any] = found if isinstance(found, dict) else _Attributes(found)
    cron_jobs = list(settings.get("cron_jobs") or ())
    queue = settings.get("queue_name") or default_queue_name
    redis = settings.get("redis_settings") or RedisSettings()
    facts: dict[str, Any] = {
        "framework": "arq",
        "functions": [_name_of(function) for function in (*(settings.get("functions") or ()), *cron_jobs)],
        "cron_jobs": len(cron_jobs),
        "queue": queue,
        "redis": _address(redis),
        "allow_abort_jobs": bool(settings.get("allow_abort_jobs")),
    }
    if not isinstance(settings.get(MARK), Instrumentation):
        message = f"{asked.target} has no agent: @z4j_worker is missing"
        return Finding("worker.not_wired", message, facts, "Add @z4j_worker (z4j_fastapi.workers.arq) to it")
    try:
        async with asyncio.timeout(asked.timeout_s):  # arq's own bounds the connection, not the answer
            pool = await create_pool(_impatient(redis, asked.timeout_s))
    except Exception as exc:  # redis-py's, asyncio's, ssl's
        reason = reason_of(exc, asked.timeout_s)
        message = f"can't reach Redis at {facts['redis']}: {reason}"
        return Finding("worker.redis_unreachable", message, {**facts, "reason": reason})
    try:
        async with asyncio.timeout(2 * asked.timeout_s):
            functions = set(facts["functions"])
            other = await _other_queue(pool, queue, functions, settings.get("job_deserializer"))
    except Exception as exc:  # as above
        reason = reason_of(exc, asked.timeout_s)
        message = f"Redis at {facts['redis']} does not answer: {reason}"
        return Finding("worker.redis_unreachable", message, {**facts, "reason": reason})
    finally:
        with contextlib.suppress(Exception):  # nothing is asked of it any more
            await pool.aclose()
    if other is not None:
        name, function = other
        message = f"jobs of {function} wait in {name}, and this worker reads {queue}"
        return Finding("worker.queue_mismatch", message, {**facts, "other_queue": name})
    taken = owner_is_taken("arq-cron", asked, queue) if cron_jobs else None
    if taken is not None:
        return Finding("worker.owner_taken", taken, facts)
    if not facts["allow_abort_jobs"]:
        return Finding("worker.abort_off", "allow_abort_jobs is off: running jobs can't be canceled", facts)
    count = len(facts["functions"])
    plural = "" if count == 1 else "s"
    return Finding("worker.ok", f"{count} function{plural}, queue {queue}, Redis answers", facts)


class _Attributes(dict[str, Any]):
    """A settings class as arq reads it."""

    def __init__(self, found: object) -> None:
        super().__init__({name: getattr(found, name) for name in dir(found) if not name.startswith("__")})


def _name_of(function: Any) -> str:
    return str(getattr(function, "name", None) or getattr(function, "__qualname__", function))


def _address(redis: Any) -> str:
    if redis.unix_socket_path:
        return str(redis.unix_socket_path)
    host = redis.host if isinstance(redis.host, str) else ", ".join(f"{h}:{p}" for h, p in redis.host)
    return f"{host}:{redis.port}" if isinstance(redis.host, str) else host


def _impatient(redis: RedisSettings, timeout_s: float) -> RedisSettings:
    return dataclasses.replace(redis, conn_timeout=max(1, int(timeout_s)), conn_retries=0)


async def _other_queue(
    pool: ArqRedis, queue: str, functions: set[str], deserializer: Any
) -> tuple[str, str] | None:
    """Another queue with a job of this worker's functions, and no worker that reads it."""
    async for number, key in _numbered(pool.scan_iter(count=500, _type="zset")):
        if number >= _SCANNED:
            return None
        name = key.decode(errors="replace")
        if name == queue or await pool.exists(f"{name}:health-check"):
            continue
        for member in await pool.zrange(key, 0, _JOBS - 1):
            definition = await pool.get(job_key_prefix + member.decode(errors="replace"))
            with contextlib.suppress(Exception):  # another program's key, or another serializer
                function = deserialize_job(definition, deserializer=deserializer).function
                if function in functions:
                    return name, function
    return None


async def _numbered(keys: Any) -> Any:
    number = 0
    async for key in keys:
        yield number, key
        number += 1
