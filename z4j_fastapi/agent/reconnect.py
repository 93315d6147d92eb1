"""When to climb again: one schedule per kind of failure, with full random jitter.

The numbers are those that a simulated fleet of 10,000 agents does best with (docs/benchmarks.md).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

from z4j_probes import ProbeResult
from z4j_probes.protocol import meaning_of


@dataclass(frozen=True, slots=True)
class Schedule:
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
# Too many connects from one address: asking more often gets nobody in sooner, and keeps the brain busy.
LIMITED = Schedule(base_s=10.0, cap_s=120.0)
# Refused for what we are: only a person heals that, and the brain limits how often it may be asked.
SLOW = Schedule(base_s=10.0, cap_s=600.0)
# Refused for how old we are: only an upgrade heals that.
UPGRADE = Schedule(base_s=120.0, cap_s=3600.0)

_SCHEDULES = {
    "auth.token_rejected": SLOW,
    "auth.address_refused": SLOW,
    "auth.project_mismatch": SLOW,
    "signing.secret_missing": SLOW,
    "signing.secret_wrong": SLOW,
    "signing.clock_skew": SLOW,
    "auth.rate_limited": LIMITED,
    "auth.protocol_unsupported": UPGRADE,
    "auth.version_skew": UPGRADE,
}

# A session that lived this long was a good one: the next failure is the first of its kind again.
STABLE_S = 30.0


def schedule_for(code: str, close_code: int | None = None) -> Schedule:
    """The schedule for a failure with this code of the catalogue, where the brain closed with that one."""
    # what a brain says by its close code says more than the step at which it came
    meant = meaning_of(close_code).before_hello_ack
    return _SCHEDULES.get(meant) or _SCHEDULES.get(code, QUICK)


# What the buffer's place on disk is made from. One that changes has another buffer.
_IDENTITY = frozenset({"brain_url", "project_id", "agent_name"})
# They stand among a failure's problems, and keep no agent from connecting.
_WARNINGS = ("config.disabled", "config.unknown_variable")


def may_heal(failure: ProbeResult, files: Collection[str]) -> bool:
    """Whether a later climb of this process can succeed where one failed like this.

    Arguments and environment stay as they are. Files change: the CA file, and those of the settings in
    `files`. So do the network, the brain, and the limits of this process.
    """
    return _broken(failure) <= {*files, "ca_file"}


def names_a_buffer(failure: ProbeResult) -> bool:
    """Whether URL, project and name are sound, so that a start with corrected settings finds the events."""
    return not _broken(failure) & _IDENTITY


def _broken(failure: ProbeResult) -> set[str]:
    """The settings that the `config` probe found wrong."""
    problems = failure.details.get("problems", ()) if failure.name == "config" else ()
    return {problem["setting"] for problem in problems if problem["code"] not in _WARNINGS}


class Backoff:
    """Counts failures of one kind in a row, and says how long to wait; tests have a `draw` of their own."""

    def __init__(self, draw: Callable[[float, float], float] = random.uniform) -> None:
        self._draw = draw
        self._failures: Counter[Schedule] = Counter()

    def next_s(self, code: str, close_code: int | None = None) -> float:
        """Seconds until the next climb, after a failure with this code."""
        schedule = schedule_for(code, close_code)
        self._failures[schedule] += 1  # each on its own: an hour's wait is not for what has failed once
        return schedule.delay_s(self._failures[schedule], self._draw)

    def session_lasted(self, seconds: float) -> None:
        """A session ended; forget the failures before it where it was a stable one."""
        if seconds >= STABLE_S:
            self._failures.clear()
