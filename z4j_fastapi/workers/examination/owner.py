"""Whether another service of this host tells a brain of schedules under the name that this worker has."""

from __future__ import annotations

from pathlib import Path

from z4j_fastapi.schedules.memory import FILE_NAME, ScheduleMemory
from z4j_fastapi.workers.examination.finding import Asked
from z4j_probes.errors import StorageError
from z4j_probes.protocol.schedules import owner_of_service


def owner_is_taken(kind: str, asked: Asked, queue: str | None) -> str | None:
    """Who has it, by the schedules that were sent last; None where it is free, or this worker's own."""
    if not asked.directory or not (Path(asked.directory) / FILE_NAME).exists():
        return None
    owner = owner_of_service(kind, asked.agent_name)
    try:
        with ScheduleMemory(Path(asked.directory)) as memory:
            rows = memory.rows_of(owner)
    except StorageError:
        return None
    queues = {str(row.get("queue")) for row in rows if row.get("queue")}
    if not queues or queue in queues:
        return None
    return f"{owner} is the owner of schedules in the queue {min(queues)}; this worker reads {queue}"
