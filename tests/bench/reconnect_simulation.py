"""A fleet whose brain restarts, on paper: what a schedule does to the brain, and how soon all are back.

Seeded and without sockets: the same numbers come out on every machine. At t = 0 every session ends; the brain
is up again at `down_s`. An attempt while it is down is refused at once. One while it is up may be refused
by the limit of connects per address, or has to wait for its turn and is given up after `patience_s`.
What this leaves out: the network's delay, and the work that an attempt which was given up has already caused.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from z4j_fastapi.agent.reconnect import Backoff, Schedule
from z4j_probes.codes import Heals

Draw = Callable[[float, float], float]

# Nobody waits longer for a fleet to come back than this.
HORIZON_S = 7200.0
_BASE_S, _CAP_S = 1.0, 30.0


@dataclass(frozen=True, slots=True)
class Outage:
    """A fleet, a brain, and for how long it is down."""

    down_s: float
    agents: int = 10_000
    addresses: int = 10_000
    connects_per_minute: int = 600
    """Of one address, by the minute of the clock: what 1.13.0 was seen to do."""
    connects_per_second: float = float("inf")
    """How many handshakes the brain gets done; 1.13.0 does some 50."""
    patience_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Recovery:
    """What became of it. Times count from the moment the brain is up."""

    peak_per_s: int
    """The most attempts that reached the brain within one second."""
    attempts: int
    """How many reached it in all."""
    half_s: float | None
    most_s: float | None
    """When 50 % and 99 % were back; None where they never were within the horizon."""


class Policy:
    """One agent's reconnect schedule: seconds to wait after the failure that `refused` tells the kind of."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.failures = 0

    def next_s(self, *, limited: bool) -> float:
        self.failures += 1
        return self.delay_s()

    def ceiling_s(self) -> float:
        return min(_CAP_S, _BASE_S * 2.0 ** min(self.failures - 1, 32))

    def delay_s(self) -> float:
        raise NotImplementedError


class Ours(Policy):
    """`z4j_fastapi.agent.reconnect` itself."""

    def __init__(self, draw: Draw) -> None:
        super().__init__(draw)
        self._backoff = Backoff(draw)

    def next_s(self, *, limited: bool) -> float:
        return self._backoff.next_s(Heals.BY_WAITING if limited else Heals.BY_ITSELF)


class Upstream(Policy):
    """1 s doubling to 30 s, and up to 30 % on top."""

    def delay_s(self) -> float:
        return self.ceiling_s() * (1 + self.draw(0.0, 0.3))


class EqualJitter(Policy):
    """Half the ceiling, and evenly up to it."""

    def delay_s(self) -> float:
        return self.ceiling_s() / 2 + self.draw(0.0, self.ceiling_s() / 2)


class Decorrelated(Policy):
    """Evenly from the base to three times the last delay."""

    _last_s = _BASE_S

    def delay_s(self) -> float:
        self._last_s = min(_CAP_S, self.draw(_BASE_S, 3 * self._last_s))
        return self._last_s


class Full(Policy):
    """Full jitter with another first ceiling, and perhaps a schedule of its own for a brain that is full."""

    def __init__(self, draw: Draw, quick: Schedule, limited: Schedule | None = None) -> None:
        super().__init__(draw)
        self._quick, self._limited = quick, limited or quick

    def next_s(self, *, limited: bool) -> float:
        self.failures += 1
        return (self._limited if limited else self._quick).delay_s(self.failures, self.draw)


def full(base_s: float, limited: Schedule | None = None) -> Callable[[Draw], Policy]:
    """Full jitter from `base_s` to the cap."""
    return lambda draw: Full(draw, Schedule(base_s, _CAP_S), limited)


POLICIES: dict[str, Callable[[Draw], Policy]] = {
    "ours": Ours,
    "upstream": Upstream,
    "full jitter, 1 to 30 s": full(1),
    "full jitter, 2 to 30 s": full(2),
    "full jitter, 10 to 30 s": full(10),
    "full jitter, 30 s at once": full(30),
    "equal jitter, 1 to 30 s": EqualJitter,
    "decorrelated, 1 to 30 s": Decorrelated,
}


class _Brain:
    def __init__(self, outage: Outage) -> None:
        self._outage = outage
        self._admitted: Counter[tuple[int, int]] = Counter()
        self._free_at_s = 0.0

    def admits(self, address: int, now_s: float) -> bool:
        minute = (address, int(now_s // 60))
        self._admitted[minute] += 1
        return self._admitted[minute] <= self._outage.connects_per_minute

    def done_s(self, now_s: float) -> float | None:
        """When an attempt that comes now is through; None where it is given up before."""
        done_s = max(now_s, self._free_at_s) + 1 / self._outage.connects_per_second
        if done_s - now_s > self._outage.patience_s:
            return None
        self._free_at_s = done_s
        return done_s


def simulate(policy: Callable[[Draw], Policy], outage: Outage, seed: int = 1) -> Recovery:
    """Play the outage through."""
    draw = random.Random(seed).uniform
    agents = [policy(draw) for _ in range(outage.agents)]
    brain = _Brain(outage)
    attempts = [(agent.next_s(limited=False), number) for number, agent in enumerate(agents)]
    heapq.heapify(attempts)
    arrivals: Counter[int] = Counter()
    back_s: list[float] = []
    while attempts:
        now_s, number = heapq.heappop(attempts)
        if now_s - outage.down_s > HORIZON_S:
            break
        limited, failed_s = False, now_s
        if now_s >= outage.down_s:
            arrivals[int(now_s - outage.down_s)] += 1
            if brain.admits(number % outage.addresses, now_s):
                done_s = brain.done_s(now_s)
                if done_s is not None:
                    back_s.append(done_s - outage.down_s)
                    continue
                failed_s = now_s + outage.patience_s
            else:
                limited = True
        heapq.heappush(attempts, (failed_s + agents[number].next_s(limited=limited), number))
    back_s.sort()
    return Recovery(
        peak_per_s=max(arrivals.values(), default=0),
        attempts=arrivals.total(),
        half_s=_share(back_s, outage.agents, 0.5),
        most_s=_share(back_s, outage.agents, 0.99),
    )


def _share(back_s: list[float], agents: int, share: float) -> float | None:
    needed = int(agents * share)
    return round(back_s[needed - 1], 2) if len(back_s) >= needed else None
