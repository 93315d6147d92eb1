"""Whom the doctor acts as, and what it has to say about that before anything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from z4j_fastapi.as_service.child import Service
from z4j_probes.result import ProbeResult


@dataclass(frozen=True, slots=True)
class Target:
    """What `--unit` or `--pid` named: the row about it, and the service, None where it can't be acted as.

    `remarks` says in sentences what the doctor did not take over.
    """

    service: Service | None
    finding: ProbeResult | None
    remarks: tuple[str, ...] = ()


def remarks_on(name: str, left_out: Sequence[str]) -> tuple[str, ...]:
    """What was not taken over, in a sentence; none where it is nothing."""
    return (f"not taken over of {name}: {', '.join(left_out)}",) if left_out else ()
