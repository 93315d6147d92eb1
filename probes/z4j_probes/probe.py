"""A probe as data: one question, what it needs, and the function that answers it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from z4j_probes.codes import Code
from z4j_probes.result import ProbeResult

if TYPE_CHECKING:
    from z4j_probes.climb import Climb


@dataclass(frozen=True, slots=True)
class Probe:
    """One rung of the ladder, as data.

    `needs` must have succeeded before `run` is called; `after` must merely have ended. `timeout_code` is the
    verdict where `run` outlives its budget. `network` is False for a probe that touches this machine alone.
    `codes` are the catalogue's rows of a probe that is not built in.
    """

    name: str
    question: str
    needs: tuple[str, ...]
    run: Callable[[Climb], Awaitable[ProbeResult]]
    timeout_code: str
    network: bool = True
    after: tuple[str, ...] = ()
    codes: tuple[Code, ...] = ()
