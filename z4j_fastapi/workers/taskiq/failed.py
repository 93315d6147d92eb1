"""FailedTasks: tasks that failed for good. Their messages are kept, listed, and sent again as new tasks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from z4j_fastapi.commands.engine import DeadLetters, Failed, Refused, Retry
from z4j_fastapi.workers.task_run import error_text
from z4j_fastapi.workers.taskiq.broker_redis import ANSWERS_S
from z4j_fastapi.workers.taskiq.dead_letters import Kept, KeptMessages
from z4j_fastapi.workers.taskiq.executions import Execution
from z4j_fastapi.workers.taskiq.sending import (
    PARENT_LABEL,
    REQUEUE_LABEL,
    RETRIES_LABEL,
    ROOT_LABEL,
    NewMessage,
    registered,
    require_no_injected,
    send,
)
from z4j_probes.errors import StorageError
from z4j_probes.threads import in_daemon_thread

if TYPE_CHECKING:
    from taskiq import AsyncBroker

T = TypeVar("T")


class FailedTasks:
    """Of one worker process. `most` is how many messages are kept, 0 for none; `directory` says where, None
    where the agent has no state directory. What the disk refuses is Refused with the disk's code."""

    def __init__(self, broker: AsyncBroker, most: int, directory: Callable[[], str | None]) -> None:
        self._broker = broker
        self.most = most
        self._directory = directory
        self._kept: KeptMessages | None = None

    def close(self) -> None:
        """Close the messages' file."""
        if self._kept is not None:
            self._kept.close(0.0)  # this is the host's loop

    def begin(self, execution: Execution) -> None:
        """A task is about to run: its message as it came is what is kept if it fails."""
        if self.most > 0:
            with contextlib.suppress(Exception):  # what can't be written can't be kept
                execution.sent = self._broker.formatter.dumps(execution.message).message

    async def keep(self, execution: Execution, error: BaseException, failed_at: datetime) -> None:
        """Keep the message of a task that failed for good. Never raises: nothing depends on it."""
        if execution.sent is None:
            return
        run = execution.run
        kept = Kept(
            run.task_id,
            run.name or "",
            run.queue or "",
            failed_at,
            error_text(error),
            run.retry_count + 1,
            execution.sent,
        )
        with contextlib.suppress(StorageError, RuntimeError, TimeoutError, Refused):
            messages = self._messages()
            async with asyncio.timeout(ANSWERS_S):
                await in_daemon_thread(lambda: messages.keep(kept))

    async def find(self, task_id: str) -> Kept | None:
        """What is kept of a task."""
        messages = self._messages()
        return await _on_disk(lambda: messages.find(task_id))

    async def find_if_possible(self, task_id: str) -> Kept | None:
        """The same; None also where nothing is kept here, or the disk fails."""
        if self.most <= 0:
            return None
        with contextlib.suppress(Refused):
            return await self.find(task_id)
        return None

    async def page(self, queue: str | None, limit: int, cursor: str | None) -> DeadLetters:
        """A page of those whose messages are kept on this host."""
        messages = self._messages()
        return await _on_disk(lambda: messages.page(queue, limit, cursor))

    async def send_again_once(self, kept: Kept, new_id: str) -> None:
        """Send it as a new task, and take it off the list; Refused where that was done before."""
        task_id, messages = kept.task_id, self._messages()
        if not await _on_disk(lambda: messages.claim(task_id, new_id)):
            cause = "it was requeued before"
            raise Refused("command.result_not_kept", cause, "Find the new task: this one is its parent")
        try:
            await self.send_again(kept, Retry(task_id, new_id))
        except (Refused, Failed):
            await _on_disk(lambda: messages.put_back(task_id, new_id))
            raise

    async def send_again(self, kept: Kept, retry: Retry) -> None:
        """Send it as a new task, with its own arguments or with those that `retry` has."""
        try:
            message = self._broker.formatter.loads(kept.message)
            message.parse_labels()
        except Exception as exc:  # of a broker with another formatter
            raise Failed(f"what is kept of it can't be read: {type(exc).__name__}") from exc
        require_no_injected(registered(self._broker, message.task_name), retry.kwargs or {})
        labels: dict[str, Any] = {
            name: value
            for name, value in message.labels.items()
            if name not in (RETRIES_LABEL, REQUEUE_LABEL, PARENT_LABEL, ROOT_LABEL)
        }
        labels[PARENT_LABEL] = retry.task_id
        labels[ROOT_LABEL] = message.labels.get(ROOT_LABEL) or retry.task_id
        args = message.args if retry.args is None else retry.args
        kwargs: Mapping[str, Any] = message.kwargs if retry.kwargs is None else retry.kwargs
        await send(self._broker, NewMessage(retry.new_id, message.task_name, labels, args, kwargs))

    def _messages(self) -> KeptMessages:
        if self._kept is None:
            directory = self._directory()
            if directory is None:
                cause = "this agent has no state directory to keep messages in"
                raise Refused("command.result_not_kept", cause, "Set Z4J_HOME to a directory it can write")
            self._kept = KeptMessages(Path(directory), self.most)
        return self._kept


async def _on_disk(call: Callable[[], T]) -> T:
    try:
        return await in_daemon_thread(call)
    except StorageError as exc:
        raise Refused(exc.code, str(exc)) from exc
