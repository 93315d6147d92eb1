"""Cuts: whether sessions are ended again and again after the same time, as a proxy's timeout does it."""

from __future__ import annotations

# Twice is chance.
TIMES = 3
# Two ends of one timeout differ by how long the handshake took and how busy the machine is.
TOLERANCE = 0.1
TOLERANCE_S = 0.5
# A connection that is gone at once has met no timeout: what ends it is what was sent.
SHORTEST_S = 1.0


class Cuts:
    """Over the sessions of one agent: how long the last ones lasted that were lost without a reason."""

    def __init__(self) -> None:
        self._lasted_s: list[float] = []

    def lost(self, lasted_s: float) -> str:
        """A session was lost after that time; says how often and after how long, empty where it is chance."""
        if lasted_s < SHORTEST_S:
            self._lasted_s.clear()
            return ""
        first_s = self._lasted_s[0] if self._lasted_s else lasted_s
        if abs(lasted_s - first_s) > max(TOLERANCE_S, first_s * TOLERANCE):
            self._lasted_s.clear()
        self._lasted_s.append(lasted_s)
        times = len(self._lasted_s)
        if times < TIMES:
            return ""
        return f"cut after {sum(self._lasted_s) / times:.0f} s, {times} times in a row"

    def ended(self) -> None:
        """One ended with a reason, which was no timeout."""
        self._lasted_s.clear()
