"""`--wait` in words: what is still missing, and on a terminal a line that counts down beside it.

Reasons go to stderr, a line each, where a log keeps them. The counting line is for a terminal only, and
wipes itself out before anything else is said.
"""

from __future__ import annotations

import os
import sys
import time

from z4j_fastapi.cli.output import note
from z4j_fastapi.signals import interruptible

_TICK_S = 1.0
_WIPE = "\r\x1b[K"  # carriage return, erase in line (ECMA-48 EL)


class Countdown:
    """Tells of the attempts of one `--wait`."""

    def __init__(self) -> None:
        self._ticks = (
            sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        )

    def say(self, text: str) -> None:
        """A line that stays."""
        note(text)

    def sleep(self, seconds: float, left_s: float) -> bool:
        """Sleep, of so many seconds that are left; False where Ctrl-C ended it."""
        end_s, over_s = time.monotonic() + seconds, time.monotonic() + left_s
        try:
            while (pause_s := end_s - time.monotonic()) > 0:
                self._count(pause_s, over_s - time.monotonic())
                with interruptible():
                    time.sleep(min(pause_s, _TICK_S))
        except KeyboardInterrupt:
            return False
        finally:
            self._write(_WIPE)
        self._write("retrying ...")
        return True

    def wipe(self) -> None:
        """Leave no counting line behind."""
        self._write(_WIPE)

    def _count(self, pause_s: float, left_s: float) -> None:
        self._write(f"{_WIPE}next attempt in {pause_s:.0f} s, {left_s:.0f} s left")

    def _write(self, text: str) -> None:
        if self._ticks:
            print(text, end="", file=sys.stderr, flush=True)
