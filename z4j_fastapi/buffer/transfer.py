"""From one store to another: what an exited process has left, and what was in memory before a file was."""

from __future__ import annotations

from z4j_fastapi.buffer.event_store import EventStore


def adopt_pack(orphan: EventStore, heir: EventStore) -> int:
    """Move another store's oldest events here; 0 if it has no more, or there is no room.

    Written here before they are deleted there: a process that dies in between sends them twice.
    """
    events, size = heir.room
    if not events:
        return 0
    pack = orphan.pack(events, size)
    if pack is None:
        if orphan.dropped and not orphan.fault.code:
            heir.intake.refuse(orphan.dropped)
            orphan.forget_dropped()
        return 0
    if pack.bytes > size or not heir.take_in(pack):
        return 0
    orphan.delete((pack.first, pack.last))
    return pack.events


def pour(source: EventStore, target: EventStore) -> None:
    """Give another store the events that are in memory here, and what was counted; take none any more."""
    source.intake.close()
    with source.locks.memory:
        source.intake.drain()
        events = [entry.json for entry in source.intake.tail]
    answers = [target.intake.append(json, json.encode()) for json in events]
    with target.locks.memory:
        target.intake.not_durable += answers.count(True)  # they were not when they were appended
    if lost := source.intake.memory.dropped + answers.count(None):
        target.intake.refuse(lost)
