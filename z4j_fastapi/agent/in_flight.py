"""How many events a batch has: as many as the brain acknowledges within a moment.

A brain that stores a large batch answers nobody meanwhile, doctors included; one that is fast is not to be
asked in small bites.
"""

from __future__ import annotations

# What one batch may cost a brain before others notice.
TARGET_S = 0.5
START_EVENTS = 50
# One that is signed within a millisecond of our thread's time; a tenth of what the protocol allows.
MAX_EVENTS = 500


class Pace:
    """Follows one session's acknowledgements."""

    def __init__(self) -> None:
        self.events = START_EVENTS

    def acknowledged(self, events: int, took_s: float) -> None:
        """A batch of that many events took the brain that long."""
        if took_s > TARGET_S:
            self.events = max(1, min(self.events, int(events * TARGET_S / took_s)))
        elif took_s < TARGET_S / 2 and events >= self.events:
            self.events = min(MAX_EVENTS, self.events * 2)
