"""Climbing for the doctor: once, until it is green, or again and again; what an interruption leaves of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from z4j_fastapi.cli.signals import interruptible
from z4j_probes import Climb, Ladder, Probe, ProbeResult, Report
from z4j_probes.doctor import introduce_second_doctor, was_replaced

if TYPE_CHECKING:
    from z4j_probes.protocol import Hello

# --wait: a service that starts takes seconds, and a brain counts the connections of one address.
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 5.0

Introduce = Callable[[Climb], Awaitable["Hello"]]


class Observer(Protocol):
    """Sees a climb while it happens."""

    def head(self, report: Report) -> None:
        """The climb begins; the report has the settings and no results yet."""

    def running(self, name: str, question: str) -> None:
        """That probe's result is the next one to come."""

    def row(self, result: ProbeResult) -> None:
        """A probe has ended."""


class Silent:
    """The observer of climbs that are shown when they are over, or not at all."""

    def head(self, report: Report) -> None:
        """Show nothing."""

    def running(self, name: str, question: str) -> None:
        """Show nothing."""

    def row(self, result: ProbeResult) -> None:
        """Show nothing."""


class MakeLadder(Protocol):
    """Makes the ladder of one climb, from settings that it loads afresh."""

    def __call__(self, *, introduce: Introduce | None = None, budget_s: float | None = None) -> Ladder:
        """With a hello of its own, and with no more than this budget, unless one probe needs more."""


def climb_once(make_ladder: MakeLadder, observer: Observer, *, budget_s: float | None = None) -> Report:
    """One climb, released; after Ctrl-C the report of what was known by then."""
    for introduce in (None, introduce_second_doctor):
        ladder = make_ladder(introduce=introduce, budget_s=budget_s)
        climb = ladder.start()
        observer.head(ladder.report(climb, ()))
        results: list[ProbeResult] = []
        try:
            with interruptible():
                asyncio.run(_watched(ladder, climb, observer, results, first=introduce is None))
        except KeyboardInterrupt:
            return ladder.report(climb, results, interrupted=True)
        if len(results) == len(ladder.registry.names):
            break
    return ladder.report(climb, results)


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


def climb_until_green(climb: Climber, wait_s: float, teller: Teller) -> Report:
    """Climb until the report is green or the time is up; the last report. The teller hears of the others.

    What could not heal by itself is tried again too: a container's secrets may be mounted any moment.
    """
    deadline_s = time.monotonic() + wait_s
    pause_s, last_code = FIRST_PAUSE_S, ""
    while True:
        left_s = deadline_s - time.monotonic()
        report = climb(budget_s=max(left_s, 0))
        teller.wipe()
        left_s = deadline_s - time.monotonic()
        if report.ok or report.interrupted or left_s <= 0:
            return report
        reason = next(r for r in report.results if not r.ok or (report.strict and r.status == "warn"))
        news = "" if reason.code == last_code else f": {reason.message}"  # a reason is said once
        teller.say(f"not yet ({reason.code}){news}; {left_s:.0f} s left")
        last_code = reason.code
        if not teller.sleep(min(pause_s, left_s), left_s):
            return replace(report, interrupted=True)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


def climb_forever(climb: Callable[[], Report], every_s: float, show: Callable[[Report], bool]) -> Report:
    """Climb and show the report, at that interval, until Ctrl-C or nobody looks any more; the last report."""
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


async def _watched(
    ladder: Ladder, climb: Climb, observer: Observer, results: list[ProbeResult], *, first: bool
) -> None:
    """Climb; append each result as it comes. The `first` climb stops short of losing its worker id."""
    probes = iter(ladder.registry)
    async with climb, aclosing(ladder.climb(climb)) as coming:
        _tell_next(probes, observer)
        async for result in coming:
            if first and was_replaced([result]):
                return
            results.append(result)
            observer.row(result)
            _tell_next(probes, observer)


def _tell_next(probes: Iterator[Probe], observer: Observer) -> None:
    probe = next(probes, None)
    if probe is not None:
        observer.running(probe.name, probe.question)
