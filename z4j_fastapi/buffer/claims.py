"""Claims: which events are on their way to the brain, and which come next. Ids only, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# The ids from the first to the last of it, both included. Ids in it whose event is gone do no harm.
Span = tuple[int, int]

END = 2**63 - 1  # SQLite's greatest id


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that are claimed together, oldest first: their ids and their JSON. False if empty."""

    ids: tuple[int, ...] = ()
    payloads: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Batch({len(self.ids)} events)"  # events hold the arguments of a user's tasks


class Claims:
    """Hands out spans to read, oldest first, and takes back what was not delivered. Not thread-safe."""

    def __init__(self) -> None:
        self._in_flight: dict[int, Batch] = {}
        self._returned: list[Span] = []
        self._claimed_through = 0

    def next_span(self) -> Span:
        """Where the next event to claim is, if there is one."""
        return self._returned[0] if self._returned else (self._claimed_through + 1, END)

    def claimed(self, span: Span, last: int | None, *, exhausted: bool) -> None:
        """Of `span`, the events through `last` are claimed (None: no event); `exhausted`: it has no more."""
        if not self._returned:
            self._claimed_through = last or self._claimed_through
        elif exhausted or (last is not None and last >= span[1]):
            del self._returned[0]
        elif last is not None:
            self._returned[0] = (last + 1, span[1])

    def start(self, batch: Batch) -> None:
        """`batch` is on its way."""
        self._in_flight[batch.ids[0]] = batch

    def end(self, batch: Batch) -> bool:
        """`batch` is not on its way any more; False if it was not, or is again as another batch."""
        if not batch.ids or self._in_flight.get(batch.ids[0]) is not batch:
            return False
        del self._in_flight[batch.ids[0]]
        return True

    def give_back(self, batch: Batch) -> None:
        """The events of `batch` are to be claimed again, before all newer ones."""
        if self.end(batch):
            self.return_ids(batch.ids)

    def return_ids(self, ids: Iterable[int]) -> None:
        """These events, of a batch that has ended, are to be claimed again, before all newer ones."""
        self._returned = sorted([*self._returned, *spans(ids)])

    def give_back_all(self) -> None:
        """The same for every batch on its way."""
        ids = sorted(id_ for batch in self._in_flight.values() for id_ in batch.ids)
        self._in_flight.clear()
        self.return_ids(ids)

    @property
    def has_returned(self) -> bool:
        """True while something that was given back waits to be claimed again."""
        return bool(self._returned)


def spans(ids: Iterable[int], longest: int | None = None) -> Iterator[Span]:
    """Rising ids as runs of consecutive ones, of at most `longest` each."""
    first = last = None
    for id_ in ids:
        if first is None or last is None:
            first = last = id_
        elif id_ == last + 1 and (longest is None or id_ - first < longest):
            last = id_
        else:
            yield first, last
            first = last = id_
    if first is not None and last is not None:
        yield first, last
