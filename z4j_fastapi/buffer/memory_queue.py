"""MemoryQueue: events without a file, for an agent that has no disk or whose disk is full at the moment."""

from __future__ import annotations

from collections import OrderedDict

from z4j_fastapi.buffer.event_log import Row, utf8_size


class MemoryQueue:
    """Events by rising id, within bounds: above them the oldest go, and are counted. Not thread-safe."""

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        # Not a dict: taking the first of a dict again and again walks over all that were taken before.
        self._rows: OrderedDict[int, str] = OrderedDict()
        self.bytes = 0
        self.dropped = 0

    @property
    def depth(self) -> int:
        """How many events are in it."""
        return len(self._rows)

    def append(self, id_: int, json: str, size: int) -> None:
        """Add one event, newer than all others."""
        self._rows[id_] = json
        self.bytes += size
        while len(self._rows) > self._max_events or self.bytes > self._max_bytes:
            _, oldest = self._rows.popitem(last=False)
            self.bytes -= utf8_size(oldest)
            self.dropped += 1

    def read(self, first: int, last: int, limit: int) -> list[Row]:
        """The oldest events with ids from `first` to `last`."""
        if not self._rows:
            return []
        # Ids rise by one from append to append, so walking over them is walking over the events.
        first = max(first, next(iter(self._rows)))
        last = min(last, next(reversed(self._rows)))
        found: list[Row] = []
        for id_ in range(first, last + 1):
            if len(found) == limit:
                break
            if id_ in self._rows:
                found.append((id_, self._rows[id_]))
        return found

    def delete(self, first: int, last: int) -> None:
        """Remove the events with ids from `first` to `last`, as many as are there."""
        for id_, json in self.read(first, last, len(self._rows)):
            del self._rows[id_]
            self.bytes -= utf8_size(json)
