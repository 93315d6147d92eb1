"""StoreLocks: the two locks of a store, the order in which they are taken, and what a fork makes of them."""

from __future__ import annotations

from z4j_fastapi.buffer.rlock import SignalSafeRLock, release


class StoreLocks:
    """What needs both takes `disk` first."""

    def __init__(self) -> None:
        self.disk = SignalSafeRLock()
        """For the database; may be held while it waits for the disk."""
        self.memory = SignalSafeRLock()
        """For what is in memory; held for moments, never while something waits for the disk."""

    def hold(self, seconds: float) -> None:
        """Let what goes on come to its end, if that takes no longer, and nothing else begin."""
        self.disk.acquire(timeout=seconds)
        self.memory.acquire()

    def let_go(self) -> None:
        """What `hold` has taken; also where it was not called, or did not come to its end."""
        release(self.memory)
        release(self.disk)  # unless a disk that does not answer has it

    def renew(self) -> None:
        """In a child process: what had them may be a thread of the parent."""
        self.disk, self.memory = SignalSafeRLock(), SignalSafeRLock()
