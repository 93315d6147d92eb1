"""Climbing for the doctor: once, until it is green, or again and again; what an interruption leaves of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from z4j_fastapi.cli import status_when_interrupted
from z4j_fastapi.signals import interruptible, run_interruptible
from z4j_probes import Report
from z4j_probes.doctor import Examination, MakeLadder, Observer

# --wait: a service that starts takes seconds, and a brain counts the connections of one address.
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 5.0
# The last attempt begins no later before the time is up: one that is cut short says nothing but that.
LAST_ONE_S = 0.5


def climb_once(make_ladder: MakeLadder, observer: Observer | None = None) -> Report:
    """One examination; after Ctrl-C the report of what was known by then."""
    examination = Examination(make_ladder, observer)
    try:
        return run_interruptible(examination.run())
    except KeyboardInterrupt:
        return interrupted(examination.report(interrupted=True))


def interrupted(report: Report) -> Report:
    """The report of a climb that was ended before its end, with the status that the process has then."""
    return replace(report, interrupted=True, interrupted_status=status_when_interrupted())


class Climber(Protocol):
    """Makes one climb, with no more than this budget, unless one probe needs more."""

    def __call__(self, *, budget_s: float | None = None) -> Report:
        """Its report."""


class Teller(Protocol):
    """Hears of the attempts that were not green, and passes the time between them."""

    def say(self, text: str) -> None:
        """A line about an attempt."""

    def sleep(self, seconds: float, left_s: float) -> bool:
        """Sleep that long, of so many seconds that are left; False where Ctrl-C ended it."""

    def wipe(self) -> None:
        """What was only for the moment is over."""


def climb_until_green(
    climb: Climber, wait_s: float, teller: Teller, lasting: Callable[[Report], str | None]
) -> Report:
    """Climb until the report is green or the time is up; the last report that was not cut short by that.

    The teller hears of the others. What could not heal by itself is tried again too: a container's secrets
    may be mounted any moment. `lasting` has the code of what can't even change so: behind that one no attempt
    follows.
    """
    deadline_s = time.monotonic() + wait_s
    pause_s, last_code, last = FIRST_PAUSE_S, "", None
    while True:
        started_s = time.monotonic()
        report = climb(budget_s=max(deadline_s - started_s, 0))
        teller.wipe()
        ended_s = time.monotonic()
        left_s = deadline_s - ended_s
        if report.ok or report.interrupted:
            return report
        if left_s <= 0:  # which cut it short, so that it says little else
            return report if last is None else last
        pause_until_last_s = left_s - min(2 * (ended_s - started_s), LAST_ONE_S)
        if pause_until_last_s <= 0:
            return report
        if code := lasting(report):
            teller.say(f"not retrying ({code}): the environment can't change while this runs")
            return report
        reason = next(r for r in report.results if not r.ok or (report.strict and r.status == "warn"))
        news = "" if reason.code == last_code else f": {reason.message}"  # a reason is said once
        teller.say(f"not ready ({reason.code}){news}; {left_s:.0f} s left")
        last, last_code = report, reason.code
        if not teller.sleep(min(pause_s, pause_until_last_s), left_s):
            return interrupted(report)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


def climb_forever(climb: Callable[[], Report], every_s: float, show: Callable[[Report], bool]) -> Report:
    """Climb and show the report, at that interval, until Ctrl-C or no one looks any more; the last report."""
    while True:
        started_s = time.monotonic()
        report = climb()
        is_seen = show(report)
        if report.interrupted or not is_seen:
            return report
        if not pause(max(0.0, started_s + every_s - time.monotonic())):
            return report


def pause(seconds: float) -> bool:
    """Sleep; False where Ctrl-C ended it."""
    try:
        with interruptible():
            time.sleep(seconds)
    except KeyboardInterrupt:
        return False
    return True
