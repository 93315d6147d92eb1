"""Events until they are acknowledged: by the real brain, and by one that is faster than the agent."""

from __future__ import annotations

from tests.bench.dev_brain import dev_brain_process
from tests.bench.measure import Bar, Measure
from tests.bench.stage import Stage

# A brain's own pace varies from one to the next.
DELIVERIES = 15


def measure(stage: Stage) -> list[Measure]:
    """Whole deliveries, from the first emit to the last acknowledgement."""
    ours, peer, bare = [], [], []
    count = stage.size(400, 10)
    for _ in range(stage.size(DELIVERIES, 1)):
        ours.append(count / stage.program("ours", "deliver", str(count)).said["took_s"])
        peer.append(count / stage.program("peer", "deliver", str(count)).said["took_s"])
        bare.append(count / stage.program("bare", "deliver", str(count)).said["took_s"])
    alone = []
    for _ in range(min(stage.rounds, 5)):
        with dev_brain_process() as brain:
            said = stage.program("ours", "drain", str(stage.size(100_000, 1000)), env=brain.settings).said
            alone.append(said["events"] / said["took_s"])
    bar = Bar(0.95, at_least=True)
    return [
        Measure("events delivered, real brain", "/s", tuple(ours), tuple(peer), bar=Bar(3, at_least=True)),
        Measure("the same against what this brain takes", "/s", tuple(ours), tuple(bare), "bare client", bar),
        Measure(
            "events delivered, dev brain", "/s", tuple(alone), bar=Bar(10_000, of_ratio=False, at_least=True)
        ),
    ]
