"""`emit` from many threads at once, as a host with a thread pool calls it."""

from __future__ import annotations

from tests.bench.measure import Bar, Measure
from tests.bench.stage import Stage
from tests.support.agents import closed_port

THREADS = 8


def measure(stage: Stage) -> list[Measure]:
    """The same number of events, from all threads together and from one."""
    count = stage.size(40_000, 160)
    many: list[float] = []
    one: list[float] = []
    with closed_port() as port:
        env = {"Z4J_BRAIN_URL": f"http://127.0.0.1:{port}"}
        for _ in range(stage.rounds):
            for found, threads in ((many, THREADS), (one, 1)):
                said = stage.program("ours", "threads", str(threads), str(count), env=env).said
                found.append(said["per_s"])
    bar = Bar(0.8, at_least=True)
    return [
        Measure(f"`emit` from {THREADS} threads at once", "/s", tuple(many), tuple(one), "one thread", bar)
    ]
