"""Outage: what the log says while an agent has no session, and when it has one again.

One line for each code in an outage: a lost session as a WARNING, what keeps the agent from getting one as an
ERROR. Coming back is logged at the highest of these levels, so that a log that shows the one shows the other.
"""

from __future__ import annotations

import logging
import math

from z4j_fastapi.log import log
from z4j_probes import ProbeResult
from z4j_probes.codes import lookup
from z4j_probes.result import Step


class Outage:
    """From the start, or from the loss of a session, to the next session. Of one agent, in its thread."""

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._level = logging.INFO

    def lost(self, code: str, reason: str, steps: tuple[Step, ...], retry_s: float) -> None:
        """The session is over; the next attempt comes in that many seconds."""
        row = lookup(code).title
        self._say(logging.WARNING, "offline", code, reason, steps, row=row, ending=_retrying(retry_s))

    def failed(self, failure: ProbeResult, retry_s: float) -> None:
        """An attempt to connect has failed."""
        self._say_of(failure, "offline", _retrying(retry_s))

    def gave_up(self, failure: ProbeResult, *, keeps_events: bool) -> None:
        """The agent is off for the rest of this process."""
        kept = " Events are kept on disk." if keeps_events else ""
        self._say_of(failure, "disabled", f"Stays off until restarted.{kept}")

    def over(self, what: str) -> None:
        """There is a session."""
        extra = {"z4j_state": "online"}
        log.log(self._level, "online%s: %s", " again" if self._said else "", what, extra=extra)
        self._said.clear()
        self._level = logging.INFO

    def _say_of(self, failure: ProbeResult, state: str, ending: str) -> None:
        row = failure.headline or failure.message
        self._say(logging.ERROR, state, failure.code, failure.message, failure.steps, row=row, ending=ending)

    def _say(
        self,
        level: int,
        state: str,
        code: str,
        reason: str,
        steps: tuple[Step, ...],
        *,
        row: str,
        ending: str,
    ) -> None:
        if code in self._said:
            return
        self._said.add(code)
        self._level = max(self._level, level)
        extra = {"z4j_code": code, "z4j_state": state}
        log.fault(level, f"{state} ({code})", reason, steps, row=row, ending=ending, extra=extra)


def _retrying(retry_s: float) -> str:
    return f"Retrying in {math.ceil(retry_s)} s."
