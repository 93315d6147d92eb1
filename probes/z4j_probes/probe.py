"""A probe as data: one question, what it needs, and the function that answers it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from z4j_probes.codes import Code
from z4j_probes.result import ProbeResult

if TYPE_CHECKING:
    from z4j_probes.climb import Climb


# One probe: a SYN through a lossy path, a handshake and a brain under load all end within this.
PROBE_TIMEOUT_S = 5.0
# All that a host waits for with `preflight="strict"`: a probe that takes longer passes here and fails there.
STRICT_START_S = 3.0


@dataclass(frozen=True, slots=True)
class Probe:
    """One rung of the ladder, as data.

    `needs` must have succeeded before `run` is called; `after` must merely have ended, or, with `when_ready`,
    have set their `Climb.ready`. `timeout_code` is the verdict where `run` outlives its budget. `network` is
    False for a probe that touches this machine only. `codes` are the catalogue's rows of a probe that is not
    built in. `waits_for` says, from what the rungs below have left, what the probe waits for while it runs:
    "connecting to 203.0.113.7:443". `budget_s` is how long it may take where no other time is asked for; the
    whole climb's budget caps it.

    `run` is what an agent does to connect. `look_closer` is for the doctor only: it is called where `run` has
    passed (a warning included), with what is left of the same budget, and gives that result or another one.
    What is worth a warning and costs more than a look belongs there.
    """

    name: str
    question: str
    needs: tuple[str, ...]
    run: Callable[[Climb], Awaitable[ProbeResult]]
    timeout_code: str
    network: bool = True
    after: tuple[str, ...] = ()
    codes: tuple[Code, ...] = ()
    budget_s: float = PROBE_TIMEOUT_S
    look_closer: Callable[[Climb, ProbeResult], Awaitable[ProbeResult]] | None = None
    waits_for: Callable[[Climb], str] | None = None
    when_ready: bool = False
