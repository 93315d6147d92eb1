"""Can this user write the event buffer here?

Evidence: the directory that the runtime would choose, a real SQLite database written and read back in it (in
the service's own directory there, once an agent has made it), and the space that is left. A closer look sees
how the service's own buffers begin. No agent's buffer is written or locked.

Codes: ok, relocated, wrong_user, unwritable, not_a_directory, read_only, disk_full, unsafe_directory,
corrupt, locked, low_space, timeout.

An agent with a buffer of its own open in a directory leaves that in the climb: it is proof enough, and a
fleet that reconnects is spared a dozen fsyncs each time.

Leaves the state directory, also where it turned out to be of no use: names are derived from it.
"""

from __future__ import annotations

import asyncio

from z4j_probes.climb import Climb
from z4j_probes.probe import Probe
from z4j_probes.result import ProbeResult

# Enough for the network's rungs to ask a brain on this machine for the upgrade.
_TURNS = 16


async def run(climb: Climb) -> ProbeResult:
    """Choose the directory and do there what the buffer does."""
    if not climb.has("directory"):
        # what is loaded below keeps the loop for milliseconds: the network asks first
        for _ in range(_TURNS):
            await asyncio.sleep(0)
    from z4j_probes.rungs.buffer import check

    return await check.run(climb)


async def look_closer(climb: Climb, result: ProbeResult) -> ProbeResult:
    """See how the service's own buffers begin, and count what is set aside; an agent finds out by itself."""
    from z4j_probes.rungs.buffer import check

    return await check.look_closer(climb, result)


PROBE = Probe(
    name="buffer",
    question="Can this user write the event buffer here?",
    needs=("config",),
    run=run,
    timeout_code="buffer.timeout",
    network=False,
    look_closer=look_closer,
    waits_for=lambda climb: f"writing to {climb.settings.home or '~/.z4j'}",
)
