"""What a brain asks of an agent: `command` payloads as typed, bounded data.

A command comes from anyone who can use the dashboard, so its ids and names are data and nothing else: text of
bounded length on one line. What is not is refused here, before anything looks at it. This is the agent's
half, `asking` the brain's; both are held against frames that were recorded from a real brain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from z4j_probes.errors import ProtocolError
from z4j_probes.protocol.actions import MAX_ACTION, Action
from z4j_probes.protocol.frames import MAX_FRAME_ID_LENGTH

MAX_TASK_ID = 200
MAX_TASK_NAME = 500
MAX_QUEUE = 200
MAX_ENGINE = 40
MAX_CURSOR = 200
MAX_ISSUER = 128
MAX_CLAIM_TOKEN = 64
MAX_DEAD_LETTERS = 200
"""Of one page."""
MAX_BULK = 1_000
"""Tasks of one bulk retry."""
SHORTEST_TIMEOUT_S, LONGEST_TIMEOUT_S = 1, 3_600
LONGEST_DELAY_S = 86_400


@dataclass(frozen=True, slots=True)
class SubmitTask:
    """Put a task into a queue. `queue` is None for the worker's own."""

    task_name: str
    args: tuple[Any, ...] = field(default=(), repr=False)
    kwargs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    queue: str | None = None
    fire_id: str | None = None
    """What stays the same where a due schedule is sent again; None where a person asked."""


class CancelTask(NamedTuple):
    """Keep a task from running, or end it."""

    task_id: str


@dataclass(frozen=True, slots=True)
class RetryTask:
    """Run a task again, with what it was given or with something else. `delay_s` is from now on."""

    task_id: str
    override_args: tuple[Any, ...] | None = field(default=None, repr=False)
    override_kwargs: Mapping[str, Any] | None = field(default=None, repr=False)
    delay_s: float = 0.0


class BulkRetry(NamedTuple):
    """Run each of these tasks again, with what it was given."""

    task_ids: tuple[str, ...]


class RequeueDeadLetter(NamedTuple):
    """Take a task out of the dead letters and run it again."""

    task_id: str


class ListDeadLetters(NamedTuple):
    """A page of the tasks that failed for good, newest first. `queue` is None for all of them."""

    queue: str | None = None
    limit: int = 100
    cursor: str | None = None


class ReconcileTask(NamedTuple):
    """Say what became of a task of which the brain has heard no end."""

    task_id: str


@dataclass(frozen=True, slots=True)
class PurgeQueue:
    """Remove what waits in a queue. `confirm_token` proves which depth the person saw (see `asking`)."""

    queue: str
    confirm_token: str | None = field(default=None, repr=False)
    force: bool = False


class RestartWorker(NamedTuple):
    """End this worker process in good order; its supervisor starts another."""

    worker_name: str


Request = (
    SubmitTask
    | CancelTask
    | RetryTask
    | BulkRetry
    | RequeueDeadLetter
    | ListDeadLetters
    | ReconcileTask
    | PurgeQueue
    | RestartWorker
)


class Command(NamedTuple):
    """One command. `action` is as it was sent; `request` is None for one that is not an `Action`."""

    id: str
    action: str
    target: str
    """What it is about, as the record of it says: a task's id, a queue, a worker's name."""
    engine: str | None
    """None where the brain named none: it does not for a queue."""
    request: Request | None
    timeout_s: int
    issued_by: str
    claim_token: str | None
    """To be echoed as it is; a result with another one is ignored."""

    @property
    def fire_id(self) -> str | None:
        """What else it is remembered by."""
        return self.request.fire_id if isinstance(self.request, SubmitTask) else None


class MalformedCommand(ProtocolError):
    """A command that can't be acted on. It is refused by itself; the session is sound."""

    def __init__(self, message: str, action: str, claim_token: str | None) -> None:
        super().__init__(message)
        self.action = action
        self.claim_token = claim_token


def read_command(command_id: str, payload: Mapping[str, Any]) -> Command:
    """Read a command's payload. MalformedCommand names the field that is wrong, never its value."""
    claim_token = payload.get("delivery_claim_token")
    if not isinstance(claim_token, str) or len(claim_token) > MAX_CLAIM_TOKEN:
        claim_token = None
    action = ""
    try:
        action = _name(payload, "action", MAX_ACTION)
        _name({"id": command_id}, "id", MAX_FRAME_ID_LENGTH)
        target, parameters = _mapping(payload, "target"), _mapping(payload, "parameters")
        engine = _optional_name(target, "engine", MAX_ENGINE)
        return Command(
            id=command_id,
            action=action,
            target=_optional_name(target, "id", MAX_TASK_NAME) or "",
            engine=engine,
            request=_READERS[Action(action)](parameters) if action in _READERS else None,
            timeout_s=_integer(payload, "timeout_seconds", SHORTEST_TIMEOUT_S, LONGEST_TIMEOUT_S, default=60),
            issued_by=_optional_name(payload, "issued_by", MAX_ISSUER) or "",
            claim_token=claim_token,
        )
    except ProtocolError as exc:
        raise MalformedCommand(str(exc), action, claim_token) from None


def _submit(parameters: Mapping[str, Any], *, key: str = "name", fired: bool = False) -> SubmitTask:
    return SubmitTask(
        task_name=_name(parameters, key, MAX_TASK_NAME),
        args=tuple(_list(parameters, "args")),
        kwargs=_kwargs(parameters, "kwargs"),
        queue=_optional_name(parameters, "queue", MAX_QUEUE),
        fire_id=_name(parameters, "fire_id", MAX_FRAME_ID_LENGTH) if fired else None,
    )


def _fire(parameters: Mapping[str, Any]) -> SubmitTask:
    return _submit(parameters, key="task_name", fired=True)


def _retry(parameters: Mapping[str, Any]) -> RetryTask:
    args, kwargs = parameters.get("override_args"), parameters.get("override_kwargs")
    return RetryTask(
        task_id=_name(parameters, "task_id", MAX_TASK_ID),
        override_args=None if args is None else tuple(_list(parameters, "override_args")),
        override_kwargs=None if kwargs is None else _kwargs(parameters, "override_kwargs"),
        delay_s=_integer(parameters, "eta_seconds", 0, LONGEST_DELAY_S, default=0),
    )


def _bulk_retry(parameters: Mapping[str, Any]) -> BulkRetry:
    task_ids = _mapping(parameters, "filter").get("task_ids")
    if not isinstance(task_ids, list) or not 1 <= len(task_ids) <= MAX_BULK:
        raise ProtocolError(f"'task_ids' is not a list of 1 to {MAX_BULK} ids")
    if not all(isinstance(task_id, str) and _is_plain(task_id, MAX_TASK_ID) for task_id in task_ids):
        raise ProtocolError("'task_ids' holds what is not an id")
    limit = _integer(parameters, "max", 1, 2**53, default=MAX_BULK)
    return BulkRetry(tuple(dict.fromkeys(task_ids))[:limit])


def _list_dead_letters(parameters: Mapping[str, Any]) -> ListDeadLetters:
    return ListDeadLetters(
        queue=_optional_name(parameters, "queue", MAX_QUEUE),
        limit=_integer(parameters, "limit", 1, MAX_DEAD_LETTERS, default=100),
        cursor=_optional_name(parameters, "cursor", MAX_CURSOR),
    )


def _purge(parameters: Mapping[str, Any]) -> PurgeQueue:
    return PurgeQueue(
        queue=_name(parameters, "queue", MAX_QUEUE),
        confirm_token=_optional_name(parameters, "confirm_token", MAX_ISSUER),
        force=parameters.get("force") is True,
    )


def _task_id(make: Callable[[str], Request]) -> Callable[[Mapping[str, Any]], Request]:
    return lambda parameters: make(_name(parameters, "task_id", MAX_TASK_ID))


_READERS: Mapping[Action, Callable[[Mapping[str, Any]], Request]] = {
    Action.SUBMIT_TASK: _submit,
    Action.FIRE: _fire,
    Action.CANCEL_TASK: _task_id(CancelTask),
    Action.RETRY_TASK: _retry,
    Action.BULK_RETRY: _bulk_retry,
    Action.LIST_DEAD_LETTERS: _list_dead_letters,
    Action.REQUEUE_DEAD_LETTER: _task_id(RequeueDeadLetter),
    Action.RECONCILE_TASK: _task_id(ReconcileTask),
    Action.PURGE_QUEUE: _purge,
    Action.RESTART_WORKER: lambda parameters: RestartWorker(_name(parameters, "worker_name", MAX_TASK_NAME)),
}


def _is_plain(text: str, longest: int) -> bool:
    return 1 <= len(text) <= longest and text.isprintable()


def _name(source: Mapping[str, Any], key: str, longest: int) -> str:
    value = source.get(key)
    if not isinstance(value, str) or not _is_plain(value, longest):
        raise ProtocolError(f"'{key}' is not a text of 1 to {longest} characters on one line")
    return value


def _optional_name(source: Mapping[str, Any], key: str, longest: int) -> str | None:
    return None if source.get(key) in (None, "") else _name(source, key, longest)


def _mapping(source: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = source.get(key)
    if not isinstance(value, dict):
        raise ProtocolError(f"'{key}' is missing or not an object")
    return value


def _list(source: Mapping[str, Any], key: str) -> list[Any]:
    value = source.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ProtocolError(f"'{key}' is not a list")
    return value


def _kwargs(source: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return {} if source.get(key) is None else _mapping(source, key)


def _integer(source: Mapping[str, Any], key: str, least: int, most: int, *, default: int) -> int:
    value = source.get(key)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ProtocolError(f"'{key}' is not an integer of {least} to {most}")
    return value
