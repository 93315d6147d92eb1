"""What a brain was told of tasks, in short."""

from __future__ import annotations

from typing import Any

from tests.support.agents import until
from z4j_fastapi.devbrain import DevBrain

ENDS = {"task.succeeded", "task.failed", "task.retried", "task.revoked", "task.rejected"}


def kinds(brain: DevBrain, task_id: str) -> list[str]:
    """What happened to one task, in order, without the `task.` of each kind."""
    return [event["kind"].removeprefix("task.") for event in events_of(brain, task_id)]


def events_of(brain: DevBrain, task_id: str) -> list[dict[str, Any]]:
    return [event for event in brain.seen.events.values() if event["task_id"] == task_id]


async def last_event(brain: DevBrain, task_id: str, *, ends: int = 1) -> dict[str, Any]:
    """The data, and the kind, of what ended a task; once it has ended so many times."""

    def ended() -> list[dict[str, Any]]:
        return [event for event in events_of(brain, task_id) if event["kind"] in ENDS]

    await until(lambda: len(ended()) >= ends, f"task {task_id} ended {ends} times")
    last = ended()[-1]
    return {"kind": last["kind"], **last["data"]}
