"""The event of a task that has ended, as `emit` is given it, and as it is sent."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any


def data_of(number: int) -> dict[str, Any]:
    """What is told of the task."""
    return {
        "task_name": "send_mail",
        "queue": "default",
        "args": ["someone@example.com", number],
        "runtime_ms": 12.5,
    }


def make_event(task_id: str, number: int) -> dict[str, Any]:
    """The whole event, as it is on the wire."""
    return {
        "id": str(uuid.uuid4()),
        "engine": "arq",
        "task_id": task_id,
        "kind": "task.succeeded",
        "occurred_at": datetime.now(UTC).isoformat(),
        "data": data_of(number),
    }
