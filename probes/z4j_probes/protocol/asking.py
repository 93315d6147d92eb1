"""Asking for an action, as a brain does: a command's target and parameters, and what confirms a purge."""

from __future__ import annotations

import hmac
from typing import Any

from z4j_probes.protocol.actions import Action


def target_and_parameters(action: str, engine: str, **asked: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a brain puts into a command, from what a person asks: `task_id=`, `queue=`, `task_name=` …

    An action that is not known here is sent as it is asked: a dev brain may try anything.
    """
    parameters: dict[str, Any] = {"engine": engine, **asked}
    match action:
        case Action.BULK_RETRY:
            task_ids = list(asked.pop("task_ids", ()))
            wanted = {"engine": engine, "task_ids": task_ids, **asked}
            parameters = {"filter": wanted, "max": max(1, len(task_ids))}
            return {"type": "bulk", "id": None, "engine": engine}, parameters
        case Action.LIST_DEAD_LETTERS:
            parameters = {"queue": None, "limit": 100, "cursor": None, **parameters}
            return {"type": "queue", "id": parameters["queue"], "engine": engine}, parameters
        case Action.PURGE_QUEUE:
            parameters = {"confirm_token": None, "force": False, **asked}
            return {"type": "queue", "id": asked.get("queue")}, parameters
        case Action.RESTART_WORKER:
            return {"type": "worker", "id": asked.get("worker_name"), "engine": engine}, parameters
        case Action.RECONCILE_TASK:
            return {"type": "task", "id": asked.get("task_id"), "engine": engine}, parameters
        case Action.SUBMIT_TASK:
            parameters = {"args": [], "kwargs": {}, "queue": None, "filter": {"engine": engine}, **asked}
            return {"type": "schedule", "id": asked.get("schedule_id"), "engine": engine}, parameters
        case Action.FIRE:
            parameters = {"args": [], "kwargs": {}, "queue": None, **parameters}
            return {"type": "schedule", "id": asked.get("schedule_id"), "engine": engine}, parameters
        case _:
            task_id = asked.get("task_id")
            return {"type": "task", "id": task_id and f"{engine}:{task_id}", "engine": engine}, parameters


def confirm_token(project_secret: bytes, queue: str, depth: int) -> str:
    """What proves that a person saw a queue at this depth before having it purged."""
    return hmac.digest(project_secret, f"purge|{queue}|{depth}".encode(), "sha256").hex()
