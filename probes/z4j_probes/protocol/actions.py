"""Actions: what an agent may be asked for, what an owner allows of it, and what a hello says of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

MAX_ACTION = 80


class Action(StrEnum):
    """What an agent may be asked for. Everything else is refused as not supported."""

    SUBMIT_TASK = "submit_task"
    """A person runs a schedule of the brain's now."""
    FIRE = "schedule.fire"
    """A schedule of the brain's is due."""
    CANCEL_TASK = "cancel_task"
    RETRY_TASK = "retry_task"
    BULK_RETRY = "bulk_retry"
    LIST_DEAD_LETTERS = "dlq.list"
    REQUEUE_DEAD_LETTER = "requeue_dead_letter"
    RECONCILE_TASK = "reconcile_task"
    PURGE_QUEUE = "purge_queue"
    RESTART_WORKER = "restart_worker"
    RUN_SCHEDULE = "schedule.external.mutate"
    """A person runs a schedule of the worker's own now (see `schedules`)."""


DESTRUCTIVE = frozenset({Action.PURGE_QUEUE, Action.RESTART_WORKER})
"""What an owner has to allow: it loses jobs, or ends a process."""

REPEATABLE = frozenset({Action.CANCEL_TASK, Action.LIST_DEAD_LETTERS, Action.RECONCILE_TASK})
"""What may be done twice without harm."""

SENT_AGAIN = frozenset(
    {"schedule.fire", "schedule.trigger_now", "schedule.resync", "schedule.enable", "schedule.disable"}
    | {"cancel_task", "reconcile_task"}
)
"""What a brain sends again where no answer has come; everything else it sends once."""

_TOKENS: Mapping[Action, tuple[str, ...]] = {
    Action.CANCEL_TASK: ("cancel_task",),
    Action.RETRY_TASK: ("retry_task", "retry_by_reference_v1"),
    Action.BULK_RETRY: ("bulk_retry", "retry_by_reference_v1"),
    Action.LIST_DEAD_LETTERS: ("list_dead_letters",),
    Action.REQUEUE_DEAD_LETTER: ("requeue_dead_letter",),
    Action.RESTART_WORKER: ("restart_worker",),
}


def capabilities(actions: Collection[str]) -> tuple[str, ...]:
    """The words of a hello without which a brain does not offer these actions; many need none."""
    tokens = [token for action, words in _TOKENS.items() if action in actions for token in words]
    return tuple(dict.fromkeys(tokens))


def allowed_actions(choice: str) -> frozenset[Action]:
    """What an owner allows: `default` (all but DESTRUCTIVE), `all`, `none`, or names of actions and sets.

    Names are separated by commas or white space: "default, purge_queue". ValueError names what is not one.
    """
    sets = {"default": frozenset(Action) - DESTRUCTIVE, "all": frozenset(Action), "none": frozenset[Action]()}
    allowed: set[Action] = set()
    for name in choice.replace(",", " ").split() or ["default"]:
        known = sets.get(name)
        if known is None and name not in set(Action):
            raise ValueError(f"{name[:MAX_ACTION]!r} is not a command")
        allowed |= {Action(name)} if known is None else known
    return frozenset(allowed)
