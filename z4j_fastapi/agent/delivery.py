"""Delivery: what of a buffer may travel how, learned from what was acknowledged and how sessions ended.

It outlives sessions. Sans-I/O: a session asks how large its next batch may be, tells what became of it, and
does what follows. Three things can be wrong with a batch, and none of them may hold up other events:

- It is larger than something in between lets pass (1009): the frame size is halved, and kept for this brain.
- One of its events makes the brain end the session (1011, 4400): one batch at a time, split until that event
  is by itself. After the third close behind it, it waits and lets all others pass. It is set aside only once
  the brain has acknowledged others since: a brain that fails at everything costs no event.
- It is lost, and the connection with it: small batches first, until it is known what passes. Nothing is ever
  set aside for that; what is too large waits, and smaller events pass it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from z4j_fastapi.agent.in_flight import MAX_EVENTS
from z4j_fastapi.buffer import Batch
from z4j_probes.protocol import CloseCode

# What an event can bring about. Any other close has reasons of its own.
_BY_CONTENT = (CloseCode.FRAME_TOO_BIG, CloseCode.BRAIN_ERROR, CloseCode.MALFORMED)
# So many closes behind an event that was sent by itself.
STRIKES = 3
# A close costs a connection, a batch a moment: better eight small batches than four halvings.
_SPLIT = 8
# A path that loses this much carries nothing, whatever its size: that is no reason to wait with an event.
LEAST_BYTES = 1024
# After so many acknowledged batches a learned size doubles: gateways are reconfigured, networks change.
GROW_AFTER = 100
# What waits for others to pass may cost the next connection, too, and a lost one costs all other events a
# minute: it waits, twice as long each time.
AGAIN_S = 5.0
AGAIN_MAX_S = 600.0


@dataclass(frozen=True, slots=True)
class Sent:
    """A batch and the size of its events as JSON in bytes."""

    batch: Batch
    size: int

    @classmethod
    def of(cls, batch: Batch) -> Sent:
        """The batch with its size."""
        return cls(batch, sum(len(json) if json.isascii() else len(json.encode()) for json in batch.payloads))

    def __len__(self) -> int:
        return len(self.batch)


class Delivery:
    """Of one agent and one brain, in one thread. `now_s` is any clock that never steps back.

    `learned_bytes` is what frames may have, None where nothing but the brain's own limit is known.
    """

    def __init__(self, learned_bytes: int | None = None) -> None:
        self.learned_bytes = learned_bytes
        self._acknowledged_batches = 0
        self._careful: int | None = None
        self._suspects: set[int] = set()
        self._strikes = Counter[int]()
        self._doubtful: set[int] = set()
        self._proven: set[int] = set()
        self._is_brain_sound = True
        self._lost_bytes: int | None = None
        self._passed_bytes = 0
        self._again_s = 0.0
        self._waits_for_s = AGAIN_S
        self._told_limit: int | None = None
        self._waited_s = 0.0
        self._waits_since_s: float | None = None

    @property
    def one_at_a_time(self) -> bool:
        """Whether a batch leaves only when the one before it was acknowledged."""
        return self._careful is not None

    def wanted(self, events: int, limit_bytes: int) -> tuple[int, int]:
        """Events and bytes of the next batch, of those that pace and brain would allow."""
        events = min(events, self._careful or events)
        return events, min(limit_bytes, self.learned_bytes or limit_bytes)

    def waits(self, sent: Sent, room_bytes: int) -> bool:
        """Whether this is to let other events pass: by itself, too large or under doubt."""
        return len(sent) == 1 and (sent.size > room_bytes or sent.batch.ids[0] in self._doubtful)

    def is_mixed(self, batch: Batch) -> bool:
        """Whether this is to be claimed one event at a time: it has one that others must not travel with."""
        return len(batch) > 1 and not self._doubtful.isdisjoint(batch.ids)

    def may_try(self, sent: Sent, now_s: float) -> bool:
        """Whether this, which waits, may be sent by itself now that everything else has passed."""
        return now_s >= self._again_s or sent.batch.ids[0] in self._proven

    def tells_of_limit(self, limit_bytes: int) -> bool:
        """Whether a person has not been told yet that events are above this limit of the brain."""
        was, self._told_limit = self._told_limit, limit_bytes
        return was != limit_bytes

    def sent(self, now_s: float) -> None:
        """A batch is about to leave."""
        if self._waits_since_s is None:
            self._waits_since_s = now_s

    def unacknowledged_s(self, now_s: float) -> float:
        """For how long, over sessions, batches were on their way and none was acknowledged."""
        return self._waited_s + (0.0 if self._waits_since_s is None else now_s - self._waits_since_s)

    def acknowledged(self, sent: Sent, now_s: float, *, more_on_their_way: bool, limit_bytes: int) -> None:
        """The brain has taken that batch."""
        self._waited_s, self._waits_since_s = 0.0, now_s if more_on_their_way else None
        self._is_brain_sound = True
        self._clear(sent.batch.ids)
        self._learn_to_grow(sent.size, limit_bytes)
        self._passed_bytes = max(self._passed_bytes, sent.size)
        if self._lost_bytes is not None and sent.size >= self._lost_bytes:
            self._lost_bytes = None
        if self._suspects or self._careful is None:
            return
        self._careful *= 2
        if self._lost_bytes is None or self._careful >= MAX_EVENTS:
            self._careful = self._lost_bytes = None

    def _clear(self, ids: Sequence[int]) -> None:
        for id_ in ids:
            self._strikes.pop(id_, None)
        self._suspects.difference_update(ids)
        if self._suspects and ids[0] > max(self._suspects):  # in order: the buffer has dropped them
            self._suspects.clear()
        if not self._doubtful.isdisjoint(ids):
            self._doubtful.difference_update(ids)
            self._waits_for_s = AGAIN_S
        self._proven = set(self._doubtful)  # the brain works: one more close behind one of these tells

    def _learn_to_grow(self, size: int, limit_bytes: int) -> None:
        if self.learned_bytes is None:
            return
        self._acknowledged_batches += 1
        if size > self.learned_bytes:
            self.learned_bytes, self._waits_for_s = size, AGAIN_S
        if self._acknowledged_batches >= GROW_AFTER:
            self._acknowledged_batches = 0
            self.learned_bytes *= 2
        if self.learned_bytes >= limit_bytes:
            self.learned_bytes = None

    def ended(
        self, on_their_way: Sequence[Sent], close_code: int | None, now_s: float, *, is_lost: bool
    ) -> Sent | None:
        """The session is over, with these batches on their way, oldest first; which one is set aside.

        `is_lost`: the peer did not close it: a lost connection, or a timeout of ours.
        """
        if self._waits_since_s is not None:
            self._waited_s, self._waits_since_s = self.unacknowledged_s(now_s), None
        if not on_their_way:
            return None
        if close_code in _BY_CONTENT:
            return self._closed_behind(on_their_way, close_code, now_s)
        if is_lost:
            self._lost(on_their_way, now_s)
        return None

    def _closed_behind(self, on_their_way: Sequence[Sent], close_code: int, now_s: float) -> Sent | None:
        largest = max(on_their_way, key=lambda sent: sent.size)
        events = max(len(sent) for sent in on_their_way)
        is_too_big = close_code == CloseCode.FRAME_TOO_BIG
        if is_too_big:
            half = max(LEAST_BYTES, largest.size // 2)
            self.learned_bytes = min(self.learned_bytes or half, half)
            self._acknowledged_batches = 0
        suspects = {id_ for sent in on_their_way for id_ in sent.batch.ids}
        if not suspects <= self._proven:
            self._proven.clear()  # it fails at others, too, by now
        if not suspects <= self._doubtful:  # else it had waited for all others, and they need no care
            self._careful = max(1, events // (2 if is_too_big else _SPLIT))
            self._suspects = suspects
        if len(suspects) > 1:
            return None
        (id_,) = suspects
        self._strikes[id_] += 1
        if self._strikes[id_] < STRIKES:
            return None
        self._suspects.clear()
        # that a frame is too big says itself; a broken brain closes behind one event after another
        is_known = is_too_big and largest.size > LEAST_BYTES and self._is_brain_sound
        if not is_known and id_ not in self._proven:
            self._doubtful.add(id_)
            self._wait(now_s)
            return None
        del self._strikes[id_]
        self._doubtful.discard(id_)
        self._proven.discard(id_)
        self._is_brain_sound = False
        return largest

    def _lost(self, on_their_way: Sequence[Sent], now_s: float) -> None:
        oldest = on_their_way[0]
        is_large = self.learned_bytes is not None and oldest.size > self.learned_bytes
        if is_large and len(oldest) == len(on_their_way) == 1:
            self._wait(now_s)
        elif self._lost_bytes is None or oldest.size <= LEAST_BYTES:
            self._lost_bytes, self._passed_bytes, self._careful = oldest.size, 0, 1
        else:
            # the second time, and now it is known what has passed in between
            passed = self._passed_bytes if self._passed_bytes < oldest.size else 0
            self.learned_bytes = max(LEAST_BYTES, passed or oldest.size // 2)
            self._acknowledged_batches = 0
            self._lost_bytes = self._careful = None
            if len(oldest) == 1:
                self._wait(now_s)

    def _wait(self, now_s: float) -> None:
        self._again_s = now_s + self._waits_for_s
        self._waits_for_s = min(AGAIN_MAX_S, 2 * self._waits_for_s)
