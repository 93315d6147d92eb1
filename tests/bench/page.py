"""docs/benchmarks.md: the measured tables, and what does not change from one run to the next."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence

from tests.bench import reconnect, report
from tests.bench.measure import Measure
from tests.bench.reconnect_simulation import Recovery

PAGE = """\
# Benchmarks

`make bench` made this page: {rounds} rounds on {cores} cores with Python {python}. It measures this project
and its peer, the upstream adapter (`z4j-fastapi` and `z4j-bare` 1.13.0, in an environment of their own), on
the same work in the same run, alternating, against one real brain (`z4j` 1.13.0) where one is needed. A
ratio is that of two samples that were taken one after the other; beside it stand the least and the greatest.
Where other programs keep the machine busy, seconds grow and ratios stay.

{table}
What the rows mean:

- **doctor**: a whole process, from its start to its exit status, everything verified: upgrade, token,
  project, signatures of both sides, large frames. Upstream's doctor verifies none of these. The floor imports
  what a doctor was taken to need in any design. The table is drawn on a terminal, in color.
- **a code of a fault**: a doctor that finds it, evidence included, against one that passes. Each peer answers
  at once: a closed port, an expired certificate, a brain that does not know the token, a name server that
  does not know the name (where namespaces are permitted).
- **import**: a service that imports the package, and one that also uses a name of it.
- **online**: warm, in one process. The bare client connects, says hello, and has one signed frame
  acknowledged, since online means just that here. Most of the time is the brain's: an agent that went
  without the proof would be online sooner (the row below), and would not know that its signatures are
  refused.
- **emit**: from the facts to an event that survives `kill -9`, looking for secrets included on both sides.
  No brain is in reach.
- **delivered**: the real brain needs 6 to 9 ms for each event of a batch and 13 to 18 ms for one that comes
  by itself, as upstream sends them. A bare client that does nothing but send batches of 100 shows how many it
  takes at most: that, not the agent, bounds the first row. The dev brain shows what the agent does.
- **a slow disk**: each fsync and fdatasync of the process takes 2 s longer, by a library that is preloaded.
- **threads**: the same number of events, from eight threads and from one.
- **CPU of an event**: the agent's whole process, all threads, from `emit` until the dev brain's
  acknowledgment was taken, in a burst and at a steady pace. Against a loop that makes the same event, keeps
  it (an insert that is committed, as an event must be before `emit` returns), signs it and deletes it.
- **idle**: both sides at the same time, online and without events. CPU is measured for some minutes and
  multiplied to an hour.
- **command to result**: as the brain that asked sees it, one at a time. The bare client verifies the command
  and answers; the agent also has its engine asked in the worker's loop, which is another thread's. A submit
  is written down before it is done and after it, and both times waits for the disk.
- **64 workers**: of one agent and one state directory, started at the same moment against the dev brain. The
  run fails where their slots are not 0 to 63, or where one is still online after its end. The rows below show
  what the machine itself makes of 64 starts: processes that load the same modules, and do nothing with them.
- **adopted**: an agent that emits steadily, beside what another process has left.
- **lag**: a host whose loop ticks and emits each millisecond, with and without an agent.
- **2 million**: the same emits and the same start, above a buffer with that many undelivered events.

[Where the time goes](design/benchmarks.md) says what was done about it, and what the floor of each row is.
None of it gave up a check or a promise: the options of the short way are tested against the parser, an event
is written before `emit` returns, and the doctor still proves the disk.

The [design page](design/benchmarks.md) has more of that, and the floor of each row.

## As work grows

![emit's p99 over events that are buffered already](pictures/bench-emit.svg)

![events delivered to the dev brain, over the size of a batch](pictures/bench-delivery.svg)

![the dev brain's memory over its sessions](pictures/bench-sessions.svg)

## When a brain restarts

A simulated fleet (seeded, `tests/bench/reconnect_simulation.py`): all sessions end at once, and each agent
follows its schedule. Upstream's is 1 s doubling to 30 s, and up to 30 % on top.

{simulation}
What follows from it:

- **Full jitter.** Schedules with less of it bring a fleet back in higher waves.
- **The first ceiling is 5 s, not 1 s.** When a proxy reloads or a brain restarts within a second, the first
  try of each agent succeeds, so only its ceiling spreads the fleet: 1 s means all within one second. From
  5 s on, a second brings at most about a quarter of the fleet, 99 % are back as soon as with any other, and
  an agent that lost its connection for a reason of its own waits 2.5 s on average, with its events on disk.
  Ten seconds would halve the peak once more, and double that wait.
- **The cap is 30 s**, so a fleet is back within half a minute of any outage, where the brain can take it.
- **A full door is another matter than a closed one.** A brain admits 600 connects a minute from an address
  (by the minute of its clock, as 1.13.0 does). Asking more often gets no agent in sooner and costs the brain
  a handshake each time: after such a refusal the ceiling is 10 s doubling to 120 s. That is a quarter of
  the attempts for a few percent of the time.
- A brain that handles {slow:g} connects a second needs minutes for 10,000 agents in any case.

The same with real agents, in processes of this machine against the dev brain:

{check}"""


def render(measures: Sequence[Measure], fleet: tuple[Recovery, Recovery], rounds: int) -> str:
    """The whole page."""
    return PAGE.format(
        rounds=rounds,
        cores=os.cpu_count(),
        python=platform.python_version(),
        table=report.table(measures),
        simulation=reconnect.tables(),
        slow=reconnect.SLOW_BRAIN_PER_S,
        check=reconnect.check(*fleet),
    )
