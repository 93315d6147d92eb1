"""Tail: the newest events, which are in a journal (or in memory only) and not in the database yet.

Knows of each event its JSON and in which segment it is, hands out ids that rise in the order of arrival, and
drops the oldest of those that are in memory only where they would need too much of it. Not thread-safe.

A signal handler that raises leaves no event half added or half removed: CPython gives handlers the turn where
something is called and where a loop begins anew, and neither is done between the first change and the last.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from z4j_fastapi.buffer.claims import Span
from z4j_fastapi.buffer.event_log import Row
from z4j_fastapi.buffer.journal import Segment


class Entry(NamedTuple):
    """An event, how many bytes it has, and where it was written: in which segment, under which number."""

    json: str
    size: int
    segment: Segment
    number: int


class Tail:
    """Events by rising id."""

    def __init__(self, memory_events: int, memory_bytes: int) -> None:
        self._memory_events = memory_events
        self._memory_bytes = memory_bytes
        # Not a dict: taking the first of a dict again and again walks over all that were taken before.
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._by_segment: dict[Segment, int] = {}
        self._in_memory: OrderedDict[int, None] = OrderedDict()
        self._in_memory_bytes = 0
        self.bytes = 0
        self.next_id = 1
        self.newest: Entry | None = None
        """What was added last, whether it is still there or not."""

    @property
    def depth(self) -> int:
        """How many events are in it."""
        return len(self._entries)

    @property
    def first_id(self) -> int:
        """The oldest one's id; the next one's where there is none."""
        return next(iter(self._entries), self.next_id)

    def add(self, entry: Entry) -> int:
        """Add the newest event; how many older ones had to go that were in memory only."""
        segment, size = entry.segment, entry.size
        is_file, count = segment.is_file, self._by_segment.get(segment, 0)
        id_ = self.next_id
        # all or nothing, from here …
        self.next_id = id_ + 1
        self._entries[id_] = entry
        self._by_segment[segment] = count + 1
        self.bytes += size
        if not is_file:
            self._in_memory[id_] = None
            self._in_memory_bytes += size
        self.newest = entry
        # … to here
        if is_file:
            return 0
        dropped = 0
        while len(self._in_memory) > self._memory_events or self._in_memory_bytes > self._memory_bytes:
            dropped += self.remove(next(iter(self._in_memory))) is not None
        return dropped

    def take_ids(self, events: int) -> int:
        """The first of so many ids that are never an event's of this tail."""
        first = self.next_id
        self.next_id = first + events
        return first

    def add_again(self, id_: int, entry: Entry) -> None:
        """Add an event under the id that it has had before, to memory; call `sort` after the last one."""
        self._entries[id_] = entry
        self._by_segment[entry.segment] = self.events_in(entry.segment) + 1
        self.bytes += entry.size
        self._in_memory[id_] = None
        self._in_memory_bytes += entry.size

    def sort(self) -> None:
        """Put events that were added again in their place."""
        self._entries = OrderedDict(sorted(self._entries.items(), key=lambda item: item[0]))
        self._in_memory = OrderedDict.fromkeys(sorted(self._in_memory))

    def remove(self, id_: int) -> Entry | None:
        """Take one event out, if it is there."""
        entry = self._entries.get(id_)
        if entry is None:
            return None
        segment, size = entry.segment, entry.size
        # all or nothing, from here …
        del self._entries[id_]
        self.bytes = self.bytes - size if self._entries else 0
        if self._by_segment[segment] > 1:
            self._by_segment[segment] -= 1
        else:
            del self._by_segment[segment]
        if id_ in self._in_memory:
            del self._in_memory[id_]
            self._in_memory_bytes = self._in_memory_bytes - size if self._in_memory else 0
        # … to here
        return entry

    def events_in(self, segment: Segment) -> int:
        """How many of the events were written to that segment."""
        return self._by_segment.get(segment, 0)

    def remove_memory(self) -> int:
        """Take out the events that are in memory only; how many they were."""
        return sum(self.remove(id_) is not None for id_ in list(self._in_memory))

    def remove_span(self, span: Span) -> list[Entry]:
        """Take out the events with ids in `span`, as many as are there."""
        removed = (self.remove(id_) for id_ in self._ids(span))
        return [entry for entry in removed if entry]

    def remove_oldest(self, after: int = 0) -> tuple[int, Entry] | None:
        """Take out the oldest event with an id above `after`."""
        ids = self._ids((after + 1, self.next_id)) if after >= self.first_id else iter(self._entries)
        id_ = next((id_ for id_ in ids if id_ in self._entries), 0)
        entry = self.remove(id_)
        return (id_, entry) if entry else None

    def read(self, span: Span, limit: int) -> list[Row]:
        """The oldest events with ids in `span`."""
        found: list[Row] = []
        for id_ in self._ids(span):
            if len(found) == limit:
                break
            if entry := self._entries.get(id_):
                found.append((id_, entry.json))
        return found

    def oldest_settled(self, limit: int | None = None) -> list[tuple[int, Entry]]:
        """The oldest events (so many, or all), up to the first one whose segment is still written to."""
        settled = []
        for id_, entry in itertools.islice(self._entries.items(), limit):
            if entry.segment.is_file and not entry.segment.is_sealed:
                break
            settled.append((id_, entry))
        return settled

    def _ids(self, span: Span) -> Iterable[int]:
        """Ids rise by one from event to event, so walking over them is walking over the events."""
        if not self._entries:
            return range(0)
        return range(max(span[0], self.first_id), min(span[1], self.next_id - 1) + 1)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))
