"""From one store to another: what an exited process has left, and what was in memory before a file was."""

from __future__ import annotations

from z4j_fastapi.buffer.breath import in_bites
from z4j_fastapi.buffer.claims import END
from z4j_fastapi.buffer.event_log import CHUNK, utf8_size
from z4j_fastapi.buffer.event_store import EventStore


def adopt_chunk(orphan: EventStore, heir: EventStore) -> int:
    """Move the oldest chunk of another store's events here; 0 if it has no more, or there is no room.

    Written here before they are deleted there: a process that dies in between sends them twice. So does
    one that closes the heir, or whose disk fails, in the middle of a chunk.
    """
    rows = orphan.read((0, END), CHUNK)
    if rows is None or not heir.has_room_for(len(rows), sum(utf8_size(json) for _, json in rows)):
        return 0
    for taken, (_, json) in enumerate(in_bites(rows, lambda: heir.is_closing)):
        if not heir.intake.append(json, json.encode()):  # in no file, so it stays in the one that has it
            rows = rows[:taken]
            break
    if rows:
        try:
            for segment in list(heir.intake.segments):
                segment.sync()  # they were durable there, perhaps for days
        except OSError as exc:
            heir.fault.occurred(exc)
            return 0
        orphan.delete((rows[0][0], rows[-1][0]))
    elif orphan.dropped:
        heir.intake.refuse(orphan.dropped)
        orphan.forget_dropped()
    return len(rows)


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
