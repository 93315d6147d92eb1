"""Events: what happened to a task, as canonical JSON of bounded size.

The text is rendered once: it is stored, signed and sent as it is. `host_values` makes safe what a host says.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from z4j_fastapi.agent.event_id import new_event_id
from z4j_fastapi.agent.host_values import HostValues, rendered_name
from z4j_fastapi.agent.redaction import Redaction
from z4j_probes.protocol import render, timestamp

# A brain takes frames of 1 MiB; one event must leave room for others and for a smaller limit.
MAX_EVENT_BYTES = 64 * 1024


class EventKind(StrEnum):
    """What a brain knows to happen."""

    TASK_SENT = "task.sent"
    TASK_RECEIVED = "task.received"
    TASK_STARTED = "task.started"
    TASK_SUCCEEDED = "task.succeeded"
    TASK_FAILED = "task.failed"
    TASK_RETRIED = "task.retried"
    TASK_REVOKED = "task.revoked"
    TASK_REJECTED = "task.rejected"
    WORKER_ONLINE = "worker.online"
    WORKER_OFFLINE = "worker.offline"
    WORKER_HEARTBEAT = "worker.heartbeat"
    QUEUE_DEPTH_REPORT = "queue.depth_report"


class EventEncoder:
    """Renders events.

    `redact_keys` adds words to those that mark a secret; `redact_patterns` adds regular expressions to those
    for values that are one. Raises re.error for what is none.
    """

    def __init__(self, redact_keys: tuple[str, ...] = (), redact_patterns: tuple[str, ...] = ()) -> None:
        redaction = Redaction(redact_keys, redact_patterns)
        self._values = HostValues(redaction)
        self.redacted = redaction.text
        """A text without what looks like a secret."""

    def safe(self, value: Any) -> Any:
        """A value of a host's as JSON without secrets, as it stands in an event."""
        return json.loads(self._values.value(value))

    def encode(
        self,
        kind: str,
        *,
        task_id: str,
        engine: str,
        data: Mapping[str, Any],
        occurred_at: datetime | None = None,
    ) -> str:
        """One event as canonical JSON of at most MAX_EVENT_BYTES."""
        safe = self._values.mapping(data)
        name = self._values.name
        rest = (
            f'"engine":{name(engine)},"id":"{new_event_id()}","kind":{name(kind)},'
            f'"occurred_at":"{_moment(occurred_at)}","task_id":{rendered_name(task_id)}}}'
        )
        text = f'{{"data":{safe},{rest}'
        # a character is at most four bytes; most events need no exact count
        if len(text) * 4 > MAX_EVENT_BYTES and len(text.encode()) > MAX_EVENT_BYTES:
            # what stands beside the data is bounded by its own limits, and far below this reserve
            text = f'{{"data":{render(_shrunk(json.loads(safe), MAX_EVENT_BYTES // 2))},{rest}'
        return text


_second = (-1, "")


def _moment(given: object) -> str:
    """As `timestamp` has it: the moment that is given, or now. Each second is rendered once."""
    global _second
    if given is not None:
        try:
            if isinstance(given, datetime) and given.tzinfo is not None:
                return timestamp(given)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # noqa: S110 - what a time zone of the host's raises, or the end of time
            pass
    second, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    rendered, text = _second
    if rendered != second:
        text = timestamp(datetime.fromtimestamp(second, UTC))[:19]
        _second = second, text
    return f"{text}.{nanoseconds // 1000:06d}Z"


def _shrunk(data: dict[str, Any], limit: int) -> dict[str, Any]:
    """The data with its largest fields named instead of shown, until the rest fits."""
    sizes = {key: len(render({key: value}).encode()) for key, value in data.items()}
    excess = sum(sizes.values()) - limit
    shrunk = dict(data)
    for key in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if excess <= 0:
            break
        shrunk[key] = f"[left out: {sizes[key]} bytes]"
        excess -= sizes[key] - len(render({key: shrunk[key]}).encode())
    # names alone may be too much: of 200 fields, in a script of four bytes a character
    return shrunk if excess <= 0 else {"…": f"[left out: {len(data)} fields]"}
