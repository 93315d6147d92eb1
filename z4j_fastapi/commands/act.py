"""One command done through the worker's engine: what is asked of it, and how its answer looks.

Runs in the worker's loop. Raises what the engine raises: `Refused` where nothing was done, `Failed` where it
was tried; anything else leaves the outcome unknown.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from z4j_fastapi.commands.policy import unknown_action
from z4j_fastapi.commands.refusal import Failed, Refused
from z4j_probes.protocol import answers, timestamp
from z4j_probes.protocol.asking import confirm_token
from z4j_probes.protocol.commands import (
    BulkRetry,
    CancelTask,
    Command,
    ListDeadLetters,
    PurgeQueue,
    ReconcileTask,
    RequeueDeadLetter,
    RestartWorker,
    RetryTask,
    SubmitTask,
)

if TYPE_CHECKING:
    from z4j_fastapi.commands.engine import Engine

_REFUSAL_LENGTH = 200
# Of a task's error that is searched for secrets: more than any answer shows.
_SEARCHED = 2 * answers.MAX_ERROR


def new_task_id(command: Command) -> str:
    """The id of the task that a command makes: the same each time it is delivered."""
    return f"z4j-{command.fire_id or command.id}"


async def act(
    engine: Engine,
    command: Command,
    *,
    project_secret: bytes,
    max_frame_bytes: int,
    redacted: Callable[[str], str],
) -> Mapping[str, Any]:
    """Do it, and return the result's object. `redacted` is what an event's texts go through."""
    from z4j_fastapi.commands.engine import NewTask, Retry  # where there is an engine, it is loaded

    match command.request:
        case SubmitTask() as submit:
            task_id = new_task_id(command)
            await engine.submit(NewTask(task_id, submit.task_name, submit.args, submit.kwargs, submit.queue))
            return {"task_id": task_id, "engine": engine.name}
        case CancelTask(task_id):
            await engine.cancel(task_id)
            return {"task_id": task_id, "aborted": True}
        case RetryTask() as retry:
            new_id = new_task_id(command)
            await engine.retry(
                Retry(retry.task_id, new_id, retry.override_args, retry.override_kwargs, retry.delay_s)
            )
            return {"task_id": new_id, "engine": engine.name}
        case BulkRetry(task_ids):
            return await _bulk_retry(engine, new_task_id(command), task_ids)
        case RequeueDeadLetter(task_id):
            return {"task_id": await engine.requeue(task_id, new_task_id(command))}
        case ListDeadLetters() as listing:
            return await _list_dead_letters(engine, listing, max_frame_bytes, redacted)
        case PurgeQueue() as purge:
            return await _purge(engine, purge, project_secret)
        case ReconcileTask(task_id):
            found = await engine.reconcile(task_id)
            finished_at = None if found.finished_at is None else timestamp(found.finished_at)
            exception = found.exception and redacted(found.exception[:_SEARCHED])[: answers.MAX_ERROR]
            return {
                "task_id": task_id,
                "engine_state": found.state.value,
                "finished_at": finished_at,
                "exception": exception,
            }
        case RestartWorker(worker_name):
            await engine.restart(worker_name)
            return {"worker_name": worker_name, "restarting": True}
        case None:
            raise unknown_action(command.action)


async def _bulk_retry(engine: Engine, new_id: str, task_ids: tuple[str, ...]) -> Mapping[str, Any]:
    from z4j_fastapi.commands.engine import Retry

    refusals: dict[str, Refused | Failed] = {}
    for number, task_id in enumerate(task_ids):
        try:
            await engine.retry(Retry(task_id, f"{new_id}-{number}" if len(task_ids) > 1 else new_id))
        except (Refused, Failed) as exc:
            refusals[task_id] = exc
    done = len(task_ids) - len(refusals)
    if not done:
        first = next(iter(refusals.values()))
        message = f"none of {len(task_ids)} tasks could be retried: {first}"
        if isinstance(first, Refused) and not any(isinstance(exc, Failed) for exc in refusals.values()):
            raise Refused(first.code, message, first.remedy)
        raise Failed(message)
    errors = {task_id: answers.one_line(str(exc), _REFUSAL_LENGTH) for task_id, exc in refusals.items()}
    return {"retried": done, "failed": len(refusals), "errors": errors}


async def _list_dead_letters(
    engine: Engine, listing: ListDeadLetters, max_frame_bytes: int, redacted: Callable[[str], str]
) -> Mapping[str, Any]:
    limit = listing.limit
    while True:
        page = await engine.dead_letters(listing.queue, limit, listing.cursor)
        entries = [
            answers.dead_letter(
                task_id=letter.task_id,
                task_name=letter.task_name,
                queue=letter.queue,
                failed_at=letter.failed_at,
                error=redacted(letter.error[:_SEARCHED]),
                attempts=letter.attempts,
            )
            for letter in page.entries
        ]
        named = [entry for entry in entries if entry is not None]
        body = answers.dead_letters(engine.name, named, page.next_cursor, page.total)
        if limit == 1 or answers.size(body) + answers.ENVELOPE_BYTES <= max_frame_bytes:
            return body
        limit = max(1, limit // 2)  # a shorter page has a cursor that fits it


async def _purge(engine: Engine, purge: PurgeQueue, project_secret: bytes) -> Mapping[str, Any]:
    if not purge.force:
        if purge.confirm_token is None:
            raise Refused("command.wrong_token", f"purging {purge.queue} is neither confirmed nor forced")
        depth = await engine.depth(purge.queue)
        expected = confirm_token(project_secret, purge.queue, depth)
        if not hmac.compare_digest(expected.encode(), purge.confirm_token.encode()):
            raise Refused(
                "command.wrong_token", f"{purge.queue} holds {depth} tasks now, not what was confirmed"
            )
    return {"purged": await engine.purge(purge.queue)}
