"""Naming, in a failure above dns, the source of the address where that is not the DNS: the likelier fault.

An address of the hosts file or of the search list leads to another machine in silence, and what fails there
has a remedy of its own that can't help: issue a certificate, start the brain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from z4j_probes.climb import Climb
from z4j_probes.hostname import is_loopback_name
from z4j_probes.result import ProbeResult

# What a failure may spend on asking the DNS: name servers answer within milliseconds.
ORIGIN_S = 1.0
# Of the time that is left, and of this again for the name servers: the rest is for what is said of it.
_SHARE = 0.7
# Faults of this machine, or of what was said to it, wherever the address leads.
_NOT_BY_THE_ADDRESS = frozenset(
    {"tcp.blocked", "tcp.no_descriptors", "tls.empty_trust_store", "tls.clock_suspect", "tls.not_strict"}
)

Run = Callable[[Climb], Awaitable[ProbeResult]]


def naming_origin(run: Run) -> Run:
    """The rung, whose failures name the source of the address that it was climbed with."""

    async def run_and_name(climb: Climb) -> ProbeResult:
        result = await run(climb)
        if result.ok or result.code in _NOT_BY_THE_ADDRESS or not climb.has("resolved"):
            return result
        loopback = all(address.is_loopback for address in climb.addresses)
        if loopback and is_loopback_name(climb.resolved):  # as it should be
            return result
        return await _with_origin(climb, result)

    return run_and_name


async def _with_origin(climb: Climb, result: ProbeResult) -> ProbeResult:
    if climb.has("origin"):
        origin = climb.origin
    else:
        budget_s = min(ORIGIN_S, climb.time_left() * _SHARE)
        try:
            async with asyncio.timeout(budget_s):
                found = await climb.trace_origin(budget_s * _SHARE)
        except TimeoutError:
            return result
        if found is None:
            return result
        climb.origin = origin = found
    steps = (origin.step, *result.steps) if origin.step else result.steps
    return replace(
        result,
        message=f"{result.message} ({origin})",
        steps=steps,
        details={**result.details, **origin.to_details()},
    )
