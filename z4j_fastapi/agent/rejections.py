"""Rejections: what a brain did not take of its batches, counted, and whether that is a fault.

A brain keeps one event of a kind a second of each task, and knows those that were sent before a connection
was lost: it counts both as rejected, and both are as they should be. Batch after batch that is rejected
whole is not.
"""

from __future__ import annotations

# More than were on their way when a connection was lost, all of which a brain may know.
SUSPICIOUS_BATCHES = 5
# Longer than one task that is retried at once fills batches with what a brain keeps once a second.
SUSPICIOUS_S = 10.0


class Rejections:
    """Over the sessions of one agent. Not for use from several threads."""

    def __init__(self) -> None:
        self.count = 0
        """How many events brains have rejected."""
        self._batches = 0
        self._since_s = 0.0
        self._is_told = False

    def acknowledged(self, sent: int, rejected: object, now_s: float) -> bool:
        """A batch of `sent` events was acknowledged; True where it is time to tell a person.

        `rejected` is as the brain said it, so it may be anything.
        """
        count = rejected if isinstance(rejected, int) and not isinstance(rejected, bool) else 0
        count = min(max(count, 0), sent)
        self.count += count
        if count < sent:
            self._batches, self._is_told = 0, False
            return False
        if not self._batches:
            self._since_s = now_s
        self._batches += 1
        is_fault = self._batches >= SUSPICIOUS_BATCHES and now_s - self._since_s >= SUSPICIOUS_S
        if self._is_told or not is_fault:
            return False
        self._is_told = True
        return True
