"""Events until they are acknowledged: by the real brain, and by one that is faster than the agent."""

from __future__ import annotations

from tests.bench.dev_brain import dev_brain_process
from tests.bench.measure import Bar, Measure
from tests.bench.stage import Side, Stage

# A brain's own pace varies from one to the next.
DELIVERIES = 15


def measure(stage: Stage) -> list[Measure]:
    """Whole deliveries, from the first emit to the last acknowledgement.

    The two whose ratio is near 1 run directly one after the other, and take turns at being the first.
    """
    rates: dict[Side, list[float]] = {"ours": [], "bare": [], "peer": []}
    count = stage.size(400, 10)
    for number in range(stage.size(DELIVERIES, 1)):
        sides: list[Side] = ["ours", "bare"] if number % 2 else ["bare", "ours"]
        if number < min(stage.rounds, 5):
            sides.append("peer")
        for side in sides:
            rates[side].append(count / stage.program(side, "deliver", str(count)).said["took_s"])
    ours, bare, peer = (tuple(rates[side]) for side in ("ours", "bare", "peer"))
    alone = []
    for _ in range(min(stage.rounds, 5)):
        with dev_brain_process() as brain:
            said = stage.program("ours", "drain", str(stage.size(100_000, 1000)), env=brain.settings).said
            alone.append(said["events"] / said["took_s"])
    bar = Bar(0.95, at_least=True)
    return [
        Measure("events delivered, real brain", "/s", ours[: len(peer)], peer, bar=Bar(3, at_least=True)),
        Measure("the same against what this brain takes", "/s", ours, bare, "bare client", bar),
        Measure(
            "events delivered, dev brain", "/s", tuple(alone), bar=Bar(10_000, of_ratio=False, at_least=True)
        ),
    ]
