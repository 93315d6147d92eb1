"""Sending a registered task through a broker under a given id, and knowing afterwards whether it was sent.

Not by `kiq`: its parameters are the task's own, and a brain's may be called `self`. Where the broker has a
Redis, a mark says `sending` before and `sent` after, so that it is known after a crash. Between the two marks
only the queue itself knows.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from taskiq import TaskiqMessage, TaskiqMiddleware
from taskiq.labels import prepare_label
from taskiq.utils import maybe_awaitable
from taskiq_dependencies import DependencyGraph

from z4j_fastapi.commands.engine import Failed, Refused
from z4j_fastapi.log import log
from z4j_fastapi.workers.taskiq.broker_redis import ANSWERS_S, OWN_PREFIX, has_redis, redis_of
from z4j_fastapi.workers.taskiq.executions import function_of

if TYPE_CHECKING:
    from taskiq import AsyncBroker

# Labels of one sending, which the next one is to begin without.
RETRIES_LABEL = "_retries"
REQUEUE_LABEL = "X-Taskiq-requeue"
PARENT_LABEL = "z4j_parent"
ROOT_LABEL = "z4j_root"

MARK_S = 2 * 3600
"""How long it is known that a task was sent: a brain asks for nothing again after an hour."""
SCANNED = 10_000
"""Messages of a queue that are looked at to find one."""
_AT_A_TIME = 200
_SENDING, _SENT = "sending ", "sent"
# Clocks of two hosts that are set by the same time differ by less.
_CLOCKS_DIFFER_S = 60.0


class UnknownWhetherSentError(Exception):
    """The broker did not answer, or said no in the middle of it."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A task to send. `labels` are as a task declares them."""

    task_id: str
    name: str
    labels: Mapping[str, Any]
    args: Sequence[Any] = field(default=(), repr=False)
    kwargs: Mapping[str, Any] = field(default_factory=dict, repr=False)


def registered(broker: AsyncBroker, name: str) -> Any:
    """The task of that name; Refused where this worker has none."""
    task = broker.find_task(name)
    if task is None:
        raise Refused("command.unknown_task", f"this worker has no task {name}")
    return task


def require_no_injected(task: Any, kwargs: Mapping[str, Any]) -> None:
    """To taskiq, an argument of that name replaces what the worker injects: its user, its database."""
    graph = DependencyGraph(function_of(task))
    injected = {dependency.param_name for found in graph.dependencies.values() for dependency in found}
    if injected & kwargs.keys():
        cause = "it gives arguments that the worker itself injects"
        raise Refused("command.unsupported", cause, "Leave them out")


async def send(broker: AsyncBroker, new: NewMessage) -> None:
    """As `kiq` does: through all middlewares.

    Failed where it can't be put into words, Refused where the broker's Redis is away or a middleware keeps
    it back, and UnknownWhetherSentError where it may have been sent.
    """
    with _put_into_words():
        message = _message(new)
    for middleware in broker.middlewares:
        if middleware.__class__.pre_send is not TaskiqMiddleware.pre_send:
            message = await _before_it_is_sent(middleware, message)
    with _put_into_words():
        written = broker.formatter.dumps(message)
    queue = message.labels.get("queue_name") or getattr(broker, "queue_name", "")
    await _mark(broker, new.task_id, f"{_SENDING}{queue}")
    await _require_group(broker)
    # a task of its own: some brokers run what they are sent at once, and that is not to be cancelled
    kicking = asyncio.ensure_future(broker.kick(written))
    await asyncio.wait({kicking}, timeout=ANSWERS_S)
    if not kicking.done():
        kicking.add_done_callback(_look)
        raise UnknownWhetherSentError(f"the broker did not answer within {ANSWERS_S:g} s")
    error = kicking.exception()
    if error is not None:
        raise UnknownWhetherSentError(f"the broker did not take it: {type(error).__name__}") from error
    with contextlib.suppress(Refused):  # else `was_sent` asks the queue
        await _mark(broker, new.task_id, _SENT)
    for middleware in reversed(broker.middlewares):
        if middleware.__class__.post_send is not TaskiqMiddleware.post_send:
            try:
                await maybe_awaitable(middleware.post_send(message))
            except Exception as exc:  # a host's own: the task is sent, whatever is done about it
                name = type(middleware).__name__
                log.warning("post_send of %s raised %s; the task was sent", name, type(exc).__name__)


@contextlib.contextmanager
def _put_into_words() -> Iterator[None]:
    try:
        yield
    except Exception as exc:  # pydantic's, the serializer's
        raise Failed(f"the task can't be sent: {type(exc).__name__}") from exc


async def _before_it_is_sent(middleware: TaskiqMiddleware, message: TaskiqMessage) -> TaskiqMessage:
    """Refused, not Failed, where it raises: its database may be away, and a schedule is not to be switched
    off for that."""
    try:
        return await maybe_awaitable(middleware.pre_send(message))
    except Exception as exc:  # a host's own
        cause = f"pre_send of {type(middleware).__name__} raised {type(exc).__name__}"
        raise Refused("command.no_worker_here", cause, "Fix that, then send the command again") from exc


async def was_sent(broker: AsyncBroker, task_id: str, since: datetime) -> bool | None:
    """Whether it was sent at or after `since`; None where that can't be told."""
    age_s = (datetime.now(UTC) - since).total_seconds()
    if age_s > MARK_S - _CLOCKS_DIFFER_S or not has_redis(broker):
        return None
    async with redis_of(broker) as redis:
        mark = await redis.get(_mark_key(task_id))
        if mark is None:
            server = await redis.info("server")
            # one that has started since may have forgotten
            return None if server.get("uptime_in_seconds", 0) + 1 < age_s else False
        text = mark.decode() if isinstance(mark, bytes) else str(mark)
        if text == _SENT:
            return True
        return await _is_in_stream(redis, broker, text.removeprefix(_SENDING), task_id, since)


async def _is_in_stream(redis: Any, broker: Any, queue: str, task_id: str, since: datetime) -> bool | None:
    """A stream keeps what was taken from it, so it shows what was sent; other queues, and cut ones, don't."""
    if not hasattr(broker, "consumer_group_name"):
        return None
    info = await redis.xinfo_stream(queue)
    if info.get("entries-added") != info["length"]:
        return None
    start = f"{max(0, int((since.timestamp() - _CLOCKS_DIFFER_S) * 1000))}-0"
    for _ in range(SCANNED // _AT_A_TIME):
        found = await redis.xrange(queue, min=start, count=_AT_A_TIME)
        for entry, fields in found:
            if _task_id(broker, fields.get(b"data")) == task_id:
                return True
            start = f"({entry.decode() if isinstance(entry, bytes) else entry}"
        if len(found) < _AT_A_TIME:
            return False
        await asyncio.sleep(0)
    return None


def _task_id(broker: AsyncBroker, data: bytes | None) -> str | None:
    try:
        return None if data is None else broker.formatter.loads(data).task_id
    except Exception:  # another program's
        return None


def _look(kicking: asyncio.Future[None]) -> None:
    if not kicking.cancelled():
        kicking.exception()  # nothing waits for it any more


async def _require_group(broker: Any) -> None:
    """A group gets what comes after it was made, and a broker makes it when its agent has begun."""
    if hasattr(broker, "consumer_group_name"):
        from redis.exceptions import ResponseError

        async with redis_of(broker) as redis:
            with contextlib.suppress(ResponseError):  # it is there
                await redis.xgroup_create(
                    broker.queue_name, broker.consumer_group_name, id=broker.consumer_id, mkstream=True
                )


async def _mark(broker: AsyncBroker, task_id: str, mark: str) -> None:
    if has_redis(broker):
        async with redis_of(broker) as redis:
            await redis.set(_mark_key(task_id), mark, ex=MARK_S)


def _mark_key(task_id: str) -> str:
    return f"{OWN_PREFIX}sent:{task_id}"


def _message(new: NewMessage) -> TaskiqMessage:
    labels, types = {}, {}
    for name, value in new.labels.items():
        if name != "types_of_exceptions":  # classes, which are read from the registered task
            labels[name], types[name] = prepare_label(value)
    return TaskiqMessage(
        task_id=new.task_id,
        task_name=new.name,
        labels=labels,
        labels_types=types,
        args=list(new.args),
        kwargs=dict(new.kwargs),
    )
