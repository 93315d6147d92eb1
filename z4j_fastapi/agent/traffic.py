"""Traffic: what a brain has acknowledged, when last, and how long each batch took."""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime
from typing import NamedTuple

# Seconds. From a brain next door to one that is about to be given up (see `in_flight`).
LATENCY_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Latency(NamedTuple):
    """How many batches took at most each of LATENCY_BOUNDS, and all together longer ones too; their sum."""

    counts: tuple[int, ...] = (0,) * (len(LATENCY_BOUNDS) + 1)
    sum_s: float = 0.0

    def with_one(self, seconds: float) -> Latency:
        """The same and one more batch."""
        place = bisect_left(LATENCY_BOUNDS, seconds)
        counts = tuple(count + (number >= place) for number, count in enumerate(self.counts))
        return Latency(counts, self.sum_s + seconds)


class Traffic:
    """Over the sessions of one agent. Written in its thread, read in any."""

    def __init__(self) -> None:
        self.acknowledged = 0
        """How many events brains have acknowledged, with those that they rejected."""
        self.last_at: datetime | None = None
        """When that was the last time."""
        self.latency = Latency()

    def took(self, events: int, seconds: float) -> None:
        """A batch of that many events was acknowledged, that long after it was sent."""
        self.acknowledged += events
        self.last_at = datetime.now(UTC)
        self.latency = self.latency.with_one(seconds)
