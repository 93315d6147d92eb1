"""The queues of a broker: their names, and which of them is a list."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from z4j_fastapi.workers.taskiq.broker_redis import has_redis

if TYPE_CHECKING:
    from taskiq import AsyncBroker


def queues_of(broker: AsyncBroker) -> list[str]:
    """All that its workers read, the default one first; an empty name where it has no queues."""
    return [getattr(broker, "queue_name", ""), *getattr(broker, "additional_streams", ())]


def queue_of(broker: AsyncBroker, labels: Mapping[str, Any]) -> str:
    """The one that a message with these labels is in."""
    return str(labels.get("queue_name") or getattr(broker, "queue_name", ""))


def is_list(broker: AsyncBroker) -> bool:
    """By its name: taskiq-redis is not needed here, and hosts derive their own."""
    names: Collection[str] = [kind.__name__ for kind in type(broker).__mro__]
    return has_redis(broker) and any(name.startswith("ListQueue") for name in names)
