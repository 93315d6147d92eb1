"""When to climb again: one schedule for each way in which a fault heals, with full random jitter.

The numbers are those that a simulated fleet of 10,000 agents does best with (docs/benchmarks.md).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection
from typing import NamedTuple

from z4j_probes import ProbeResult, Status
from z4j_probes.codes import Heals, lookup


class Schedule(NamedTuple):
    """Delays that double from `base_s` to `cap_s`; each is drawn evenly from nothing to there."""

    base_s: float
    cap_s: float

    def delay_s(self, failures: int, draw: Callable[[float, float], float]) -> float:
        """Seconds to wait after the n-th failure in a row (the first is 1)."""
        # beyond 2**32 the cap has long been reached
        ceiling_s = min(self.cap_s, self.base_s * 2.0 ** min(failures - 1, 32))
        return draw(0.0, ceiling_s)


# A network that comes back, a brain that restarts. When a proxy reloads, all agents are cut off at once and
# the first try of each succeeds: it is the first ceiling, not the later ones, that spreads them.
QUICK = Schedule(base_s=5.0, cap_s=30.0)
# Too many connects from one address: asking more often gets none of them in sooner, and keeps the brain busy.
LIMITED = Schedule(base_s=10.0, cap_s=120.0)
# Refused for what we are: only a person heals that, and the brain limits how often it may be asked.
SLOW = Schedule(base_s=10.0, cap_s=600.0)
# Refused for how old we are: only an upgrade heals that.
UPGRADE = Schedule(base_s=120.0, cap_s=3600.0)

_SCHEDULES = {
    Heals.BY_ITSELF: QUICK,
    Heals.BY_WAITING: LIMITED,
    Heals.BY_A_PERSON: SLOW,
    Heals.BY_AN_UPGRADE: UPGRADE,
}

# A session that lived this long was a good one: the next failure is the first of its kind again.
STABLE_S = 30.0

# What the buffer's place on disk is made from. One that changes has another buffer.
_IDENTITY = frozenset({"brain_url", "project_id", "agent_name"})


def healing_of(failure: ProbeResult, files: Collection[str]) -> Heals:
    """What ends this failure of a climb: what its code says, unless what is wrong comes from a file.

    Arguments and environment stay as they are, and files are read again before each climb. `files` are the
    settings that come from one. Of several faults, the one that lasts longest counts.
    """
    faults = [
        Heals.BY_ITSELF if setting in files else lookup(code).heals for code, setting in _broken(failure)
    ]
    return max(faults or [lookup(failure.code).heals], key=list(Heals).index)


def names_a_buffer(failure: ProbeResult) -> bool:
    """Whether URL, project and name are sound, so that a start with corrected settings finds the events."""
    return not _IDENTITY & {setting for _, setting in _broken(failure)}


def _broken(failure: ProbeResult) -> list[tuple[str, str]]:
    """What the `config` probe found wrong: code and setting. Warnings keep no agent from connecting."""
    problems = failure.details.get("problems", ()) if failure.name == "config" else ()
    found = [(problem["code"], problem["setting"]) for problem in problems]
    return [(code, setting) for code, setting in found if lookup(code).status is Status.FAIL]


class Backoff:
    """Counts failures in a row by schedule, and says how long to wait; tests have a `draw` of their own."""

    def __init__(self, draw: Callable[[float, float], float] = random.uniform) -> None:
        self._draw = draw
        self._failures: Counter[Schedule] = Counter()

    def next_s(self, heals: Heals) -> float:
        """Seconds until the next climb, after a failure that ends like this."""
        schedule = _SCHEDULES[heals]
        self._failures[schedule] += 1  # each on its own: an hour's wait is not for what has failed once
        return schedule.delay_s(self._failures[schedule], self._draw)

    def session_lasted(self, seconds: float) -> None:
        """A session ended; forget the failures before it where it was a stable one."""
        if seconds >= STABLE_S:
            self._failures.clear()
