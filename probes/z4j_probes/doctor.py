"""A doctor's examination: one climb, and a second one where another doctor cut the first one off.

Two doctors of one machine have the same worker id, so that a dashboard has one row for all of them. A brain
that sees both at the same moment closes the older connection: that one climbs again, with an id of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from itertools import takewhile
from typing import Protocol

from z4j_probes.climb import Climb
from z4j_probes.doctor_hello import doctor_hello, second_doctor_hello
from z4j_probes.ladder import Ladder
from z4j_probes.probe import Probe
from z4j_probes.protocol import CloseCode, Hello
from z4j_probes.registry import Registry
from z4j_probes.result import ProbeResult, Report
from z4j_probes.settings import Settings

MakeHello = Callable[[Climb], Awaitable[Hello]]


class Observer(Protocol):
    """Sees an examination while it happens."""

    def head(self, report: Report) -> None:
        """A climb begins; the report has the settings and no results yet."""

    def running(self, name: str, waits_for: str, budget_s: float) -> None:
        """That probe's result is the next one to come; what it waits for, and for how long at most."""

    def row(self, result: ProbeResult) -> None:
        """A probe has ended."""


class MakeLadder(Protocol):
    """Makes the ladder of one climb, from settings that it may load afresh."""

    def __call__(self, *, make_hello: MakeHello) -> Ladder:
        """With that hello."""


async def examine(registry: Registry, settings: Settings) -> Report:
    """What a doctor finds with these settings, within the default budgets."""

    def make_ladder(*, make_hello: MakeHello) -> Ladder:
        return Ladder(registry, settings, make_hello=make_hello)

    return await Examination(make_ladder).run()


class Examination:
    """One doctor's examination. The caller may interrupt `run` and still has `report`.

    Making it makes the first ladder, and tells the observer of it.
    """

    def __init__(self, make_ladder: MakeLadder, observer: Observer | None = None) -> None:
        self._make_ladder = make_ladder
        self._observer = observer
        self._begin(doctor_hello)

    async def run(self) -> Report:
        """Climb, release everything, and report; climb again where another doctor took the worker id over."""
        if not await self._climb(until_replaced=True):
            self._begin(second_doctor_hello)
            await self._climb()
        return self.report()

    def report(self, *, interrupted: bool = False) -> Report:
        """What is known by now: an interruption may come before the last result was taken."""
        results = self._results
        if interrupted:
            known = self._state.results
            ended = takewhile(lambda probe: probe.name in known, self._ladder.registry)
            results = [known[probe.name] for probe in ended]
        return self._ladder.report(self._state, results, interrupted=interrupted)

    def _begin(self, make_hello: MakeHello) -> None:
        self._ladder = self._make_ladder(make_hello=make_hello)
        self._state = self._ladder.start()
        self._results: list[ProbeResult] = []
        if self._observer is not None:
            self._observer.head(self._ladder.report(self._state, ()))

    async def _climb(self, *, until_replaced: bool = False) -> bool:
        """Whether it came to its end. One that is cut off there is no finding: the next one has its rows."""
        probes = iter(self._ladder.registry)
        async with self._state, aclosing(self._ladder.climb(self._state)) as coming:
            self._tell_next(probes)
            async for result in coming:
                if until_replaced and was_replaced([result]):
                    return False
                self._results.append(result)
                if self._observer is not None:
                    self._observer.row(result)
                self._tell_next(probes)
        return True

    def _tell_next(self, probes: Iterator[Probe]) -> None:
        probe = next(probes, None)
        if probe is not None and self._observer is not None:
            waits_for = self._ladder.waits_for(probe, self._state)
            self._observer.running(probe.name, waits_for, self._ladder.budget_of(probe))


def was_replaced(results: Iterable[ProbeResult]) -> bool:
    """Whether another doctor of this machine took the connection over: both ran at the same moment."""
    return any(result.details.get("close_code") == CloseCode.REPLACED for result in results)
