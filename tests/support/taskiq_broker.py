"""The broker and tasks of `taskiq_worker`, for the interpreter that has taskiq-redis.

With TEST_DIES "before" or "after", the first worker process is killed as by `kill -9` that is about to put a
task into the queue, or has just done so: between the two marks of that.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path

from taskiq import AsyncBroker, BrokerMessage, TaskiqScheduler
from taskiq.schedule_sources import LabelScheduleSource
from taskiq_redis import (  # type: ignore[import-not-found,unused-ignore]
    ListQueueBroker,
    ListRedisScheduleSource,
    RedisAsyncResultBackend,
    RedisStreamBroker,
)

from z4j_fastapi.workers.taskiq import Z4JMiddleware

RUNS = Path(os.environ["TEST_RUNS"])


def _note(*words: object) -> None:
    with RUNS.open("a") as file:
        file.write(" ".join(map(str, words)) + "\n")


def _works() -> bool:
    return RUNS.with_name("works").exists()


_url = os.environ["REDIS_URL"]
broker: AsyncBroker
if os.environ["TEST_BROKER"] == "list":
    # it waits for messages without an end, and newer Redis clients give up reading after 5 s
    broker = ListQueueBroker(_url, queue_name=os.environ["TEST_QUEUE"], socket_timeout=None)
else:
    # how long after its delivery a message that was not acknowledged is delivered again
    _again_ms = int(os.environ.get("TEST_AGAIN_MS", "600000"))
    broker = RedisStreamBroker(
        _url, queue_name=os.environ["TEST_QUEUE"], idle_timeout=_again_ms, xread_block=200
    )
broker = broker.with_result_backend(RedisAsyncResultBackend(_url))
if "TEST_WITHOUT_AGENT" not in os.environ:
    _sources = None
    if "TEST_SOURCES" in os.environ:
        _sources = [ListRedisScheduleSource(_url)]
    broker = broker.with_middlewares(Z4JMiddleware(schedule_sources=_sources))


if _when := os.environ.get("TEST_DIES"):
    _kick = broker.kick

    async def _kick_and_die(message: BrokerMessage) -> None:
        died = RUNS.with_name("died")
        if _when == "after":
            await _kick(message)
        if not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if _when == "before":
            await _kick(message)

    broker.kick = _kick_and_die  # type: ignore[method-assign]


# by which `taskiq scheduler` is started, and each line is one schedule of the task `note`
_schedules = json.loads(os.environ.get("TEST_SCHEDULES", "[]"))
scheduler = TaskiqScheduler(broker, [LabelScheduleSource(broker), ListRedisScheduleSource(_url)])


@broker.task(task_name="note", **({"schedule": _schedules} if _schedules else {}))
async def note(what: str = "") -> None:
    """Says that it ran."""
    _note("note", what)


@broker.task(task_name="fail")
async def fail(what: str = "") -> None:
    """Fails, but not where the test has said so."""
    _note("fail", what)
    if not _works():
        raise ValueError(what)


@broker.task(task_name="forever")
async def forever(what: str = "") -> None:
    """Runs until it is cancelled, or the test has said so."""
    _note("forever", what)
    while not _works():  # noqa: ASYNC110 - a file announces nothing
        await asyncio.sleep(0.05)


@broker.task(task_name="thread")
def thread(what: str = "") -> None:
    """The same in a thread."""
    _note("thread", what)
    while not _works():
        time.sleep(0.05)
