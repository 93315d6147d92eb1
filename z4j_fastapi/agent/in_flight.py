"""Batches on their way to a brain: how many, how large, and how long one may stay unacknowledged.

Sans-I/O: time comes in with each call, and the session does what follows. A brain that stores a large batch
answers no other peer meanwhile, doctors included, so batches follow what it acknowledges within a moment; one
that is fast is not asked in small bites.
"""

from __future__ import annotations

from collections.abc import Sized
from typing import Generic, TypeVar

B = TypeVar("B", bound=Sized)

# Enough to hide the round trip to a brain that takes a while to store a batch; more would only queue there.
MAX_BATCHES = 4
# A brain that acknowledges nothing for this long has lost what it was sent, or the connection is dead. One
# that is busy takes seconds: 1.13.0 needs 6 to 9 ms an event.
ACK_TIMEOUT_S = 60.0

# What one batch may cost a brain before others notice.
TARGET_S = 0.5
START_EVENTS = 50
# A batch costs a brain (1.13.0) as much as three events more: smaller ones than this keep it busy for longer.
LEAST_EVENTS = 20
# One that is signed within a millisecond of our thread's time; a tenth of what the protocol allows.
MAX_EVENTS = 500


class InFlight(Generic[B]):
    """The batches of one session that are sent and not acknowledged, by the id of their frame.

    `now_s` is any clock that never steps back, the same one in each call.
    """

    def __init__(self) -> None:
        self._sent: dict[str, tuple[B, float]] = {}
        self._pace = Pace()
        self._acknowledged_s = 0.0
        self._passed_s = 0.0
        self.latency_s = 0.0
        """How long after it was sent the batch that was acknowledged last was acknowledged."""

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def has_room(self) -> bool:
        """Whether another batch may be claimed and sent now."""
        return len(self._sent) < MAX_BATCHES

    @property
    def wanted_events(self) -> int:
        """How many events the next batch may have."""
        return self._pace.events

    def sent(self, frame_id: str, batch: B, now_s: float) -> None:
        """`batch` is about to leave in the frame with this id, which no other batch had."""
        self._sent[frame_id] = (batch, now_s)

    def acknowledged(self, frame_id: object, now_s: float) -> B | None:
        """The brain has acknowledged that frame: its batch, which is not on its way any more.

        None for what no frame on its way has as its id: a brain's mistake, which changes nothing.
        """
        if not isinstance(frame_id, str) or frame_id not in self._sent:
            return None
        batch, sent_s = self._sent.pop(frame_id)
        self.latency_s = now_s - sent_s
        # a brain works on one batch of a session at a time: its turn came with the end of the last
        self._pace.acknowledged(len(batch), now_s - max(sent_s, self._acknowledged_s))
        self._acknowledged_s, self._passed_s = now_s, max(sent_s, self._passed_s)
        return batch

    def waited_s(self, now_s: float) -> float:
        """For how long the brain has been working on the batch whose turn it is; 0 if none is on its way.

        A batch that was passed over, since a newer one was acknowledged, has waited since it was sent.
        """
        if not self._sent:
            return 0.0
        oldest_s = min(sent_s for _, sent_s in self._sent.values())
        if oldest_s < self._passed_s:
            return now_s - oldest_s
        return now_s - max(oldest_s, self._acknowledged_s)

    def is_overdue(self, now_s: float) -> bool:
        """Whether it has waited for longer than any brain that works would take."""
        return self.waited_s(now_s) > ACK_TIMEOUT_S

    def release(self) -> list[B]:
        """The session is over: what was on its way, oldest first, to be sent again by the next one."""
        batches = [batch for batch, _ in self._sent.values()]
        self._sent.clear()
        return batches


class Pace:
    """How many events a batch has: as many as the brain acknowledges within TARGET_S, within bounds.

    One batch changes it by a factor of two at most: a machine that stood still says nothing of a brain.
    """

    def __init__(self) -> None:
        self.events = START_EVENTS

    def acknowledged(self, events: int, took_s: float) -> None:
        """A batch of that many events took the brain that long."""
        if took_s <= TARGET_S and events < self.events:
            return  # a small one that was quick says nothing
        affordable = int(events * TARGET_S / took_s) if took_s else MAX_EVENTS
        bounded = max(self.events // 2, LEAST_EVENTS, min(self.events * 2, affordable))
        self.events = min(MAX_EVENTS, bounded)
