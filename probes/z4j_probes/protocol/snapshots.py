"""Snapshots of an owner's schedules: what is sent in which order, and what a brain makes of it.

A snapshot is complete: a row that is left out is deleted in the brain. It leaves as events of one batch
each, rows first, then a terminal one. Sequences rise by one in an epoch; a brain acknowledges nothing behind
a gap, and takes a snapshot that it has acknowledged once more.

The trap of the brain 1.13.0: an epoch's first snapshot that lacks a row of an earlier epoch is rejected, and
so is everything of that owner ever after. So the first one repeats what was sent before, and the second one
leaves out what is gone (`Publication`). What was sent has to be known after a restart.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from z4j_probes.errors import ProtocolError
from z4j_probes.protocol.answers import ENVELOPE_BYTES, size
from z4j_probes.protocol.frames import new_frame_id, timestamp
from z4j_probes.protocol.schedules import Stream, digest

EVENT_KIND = "schedule.snapshot"
PROTOCOL_VERSION = 1
MAX_ROWS = 500
"""Of one owner: a brain needs some milliseconds for each."""
_FRAME_BYTES = 14 * 1024
"""Of rows: below the least limit of a brain that an agent connects to, with the envelope around them."""

Rows = Mapping[str, Mapping[str, Any]]
"""Payloads of rows by their source key."""


def by_key(rows: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Rows as they are sorted on the wire."""
    return dict(sorted((str(row["source_key"]), row) for row in rows))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot, ready to send: a payload of an `event_batch` by the id of its frame."""

    sequence: int
    rows: Rows = field(repr=False)
    frames: Mapping[str, Mapping[str, Any]] = field(repr=False)
    receipt: Mapping[str, Any]
    """What the result of a command that it belongs to has to name."""


def snapshot(stream: Stream, sequence: int, rows: Rows, reason: str, now: datetime) -> Snapshot:
    """All of an owner's rows as frames."""
    listed = [dict(rows[key]) for key in sorted(rows)]
    shared = {"protocol_version": PROTOCOL_VERSION, **stream.ids, "sequence": sequence}
    parts = _parts(listed)
    common = {
        **shared,
        "snapshot_id": str(uuid.uuid4()),
        "frame_count": len(parts),
        "row_count": len(listed),
        "snapshot_digest": projection_digest(shared, listed),
        "stable_source": True,
    }
    bodies = [
        {**common, "frame_kind": "rows", "frame_index": index, "schedules": part}
        for index, part in enumerate(parts)
    ]
    bodies.append({**common, "frame_kind": "terminal", "frame_index": len(parts), "schedules": []})
    occurred_at = timestamp(now)
    frames = {}
    for body in bodies:
        data = {"external_snapshot_frame": body, "frame_digest": digest(body), "reason": reason}
        event = {"id": str(uuid.uuid4()), "engine": stream.owner, "task_id": "", "kind": EVENT_KIND}
        frames[new_frame_id()] = {"events": [{**event, "occurred_at": occurred_at, "data": data}]}
    receipt = {
        "scheduler": stream.owner,
        "stream_id": stream.stream_id,
        "epoch_uuid": stream.epoch_uuid,
        "epoch_number": stream.epoch_number,
        "sequence": sequence,
        "adapter_instance_id": stream.adapter_instance_id,
        "schedule_count": len(listed),
        "frame_count": len(parts),
    }
    return Snapshot(sequence, rows, frames, receipt)


def projection_digest(shared: Mapping[str, Any], listed: Sequence[Mapping[str, Any]]) -> str:
    """What all frames of a snapshot have in common: the digest of what the brain is to show."""
    projection = {
        **shared,
        "kind": "snapshot",
        "complete": True,
        "stable_source": True,
        "operation_id": None,
        "schedules": list(listed),
        "deleted_source_keys": [],
    }
    return digest(projection)


def _parts(listed: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    parts: list[list[dict[str, Any]]] = []
    room = 0
    for row in listed:
        taken = size(row) + 1
        if not parts or taken > room:
            parts.append([])
            room = _FRAME_BYTES - 2 * ENVELOPE_BYTES
        parts[-1].append(row)
        room -= taken
    return parts


class Publication:
    """One epoch of an owner, from its activation to the end of the session. Sans-I/O.

    `known` is what was sent in earlier epochs of this stream. Before a snapshot is sent, `sent_rows` has to
    be on disk; it is what an epoch after this one has to know.
    """

    def __init__(self, stream: Stream, known: Rows) -> None:
        self.stream = stream
        self._known: dict[str, Mapping[str, Any]] = dict(known)
        self._pending: Snapshot | None = None
        self._unacknowledged: set[str] = set()
        self.accepted: Snapshot | None = None
        """The newest that the brain has taken."""
        self.is_rejected = False
        """The brain takes no more of this owner."""

    @property
    def pending(self) -> Snapshot | None:
        """What is on its way: until it is acknowledged it is sent again as it is, and no other."""
        return self._pending

    @property
    def sent_rows(self) -> Rows:
        """What a brain may hold."""
        return {**self._known, **(self._pending.rows if self._pending else {})}

    def is_current(self, rows: Rows) -> bool:
        """Whether the brain holds exactly these."""
        return self.accepted is not None and self._pending is None and self.accepted.rows == rows

    def next(self, rows: Rows, reason: str, now: datetime) -> Snapshot | None:
        """The next snapshot on the way to `rows`; None while one is on its way, or once one was rejected.

        The first of an epoch holds what is gone as well: ask again after it.
        """
        if self._pending is not None or self.is_rejected:
            return None
        sequence = 1 if self.accepted is None else self.accepted.sequence + 1
        shown = {**self._known, **rows} if self.accepted is None else rows
        self._pending = snapshot(self.stream, sequence, by_key(shown.values()), reason, now)
        self._unacknowledged = set(self._pending.frames)
        return self._pending

    def acknowledged(self, frame_id: object, rejected: object) -> bool:
        """The brain has answered one frame; False where it is none of what is on its way."""
        if self._pending is None or not isinstance(frame_id, str) or frame_id not in self._pending.frames:
            return False
        if rejected:
            self.is_rejected = True
            self._pending, self._unacknowledged = None, set()
            return True
        self._unacknowledged.discard(frame_id)
        if not self._unacknowledged:
            self.accepted, self._pending = self._pending, None
            self._known = dict(self.accepted.rows)
        return True


class SnapshotReader:
    """A brain's half of one owner, as strict as a real one: what it shows, and what it takes.

    `accept` gives what an `event_batch_ack` says of a frame: True for taken, False for rejected, None for no
    acknowledgement at all.
    """

    def __init__(self) -> None:
        self.rows: Rows = {}
        """What the page shows."""
        self.sequence = 0
        self.is_frozen = False
        self._stream: Stream | None = None
        self._parts: dict[str, list[Mapping[str, Any]]] = {}

    def activate(self, stream: Stream) -> None:
        """A session was asked to begin this epoch."""
        self._stream, self.sequence, self._parts = stream, 0, {}

    def accept(self, event: Mapping[str, Any]) -> bool | None:
        """One event of kind `schedule.snapshot`. ProtocolError where it is not one of this stream's."""
        data = event.get("data")
        body = data.get("external_snapshot_frame") if isinstance(data, dict) else None
        if not isinstance(data, dict) or not isinstance(body, dict) or self._stream is None:
            raise ProtocolError("a schedule event that is not a frame of a snapshot")
        if data.get("frame_digest") != digest(body) or event.get("engine") != self._stream.owner:
            raise ProtocolError("a frame of a snapshot with a wrong digest or engine")
        if {name: body.get(name) for name in self._stream.ids} != self._stream.ids or self.is_frozen:
            return False
        sequence = body.get("sequence")
        if not isinstance(sequence, int) or sequence > self.sequence + 1:
            return None
        if body.get("frame_kind") == "rows":
            self._parts.setdefault(str(body["snapshot_id"]), []).extend(body["schedules"])
            return True
        listed = self._parts.pop(str(body.get("snapshot_id")), [])
        shared = {"protocol_version": PROTOCOL_VERSION, **self._stream.ids, "sequence": sequence}
        whole = len(listed) == body.get("row_count")
        if not whole or body.get("snapshot_digest") != projection_digest(shared, listed):
            return None
        rows = by_key(listed)
        if sequence == 1 and not self.rows.keys() <= rows.keys():
            self.is_frozen = True
            return False
        self.rows, self.sequence = rows, sequence
        return True
