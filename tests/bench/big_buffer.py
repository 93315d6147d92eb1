"""What two million undelivered events cost the next start, the events after it, and those who adopt them."""

from __future__ import annotations

from tests.bench.measure import Bar, Measure, percentile
from tests.bench.stage import Stage
from tests.support.agents import closed_port


def measure(stage: Stage) -> list[Measure]:
    """The start is `async with` without a preflight: until the buffer is open."""
    events = stage.size(2_000_000, 2000)
    full, empty = stage.fresh_home(), stage.fresh_home()
    p99: dict[bool, list[float]] = {True: [], False: []}
    start: dict[bool, list[float]] = {True: [], False: []}
    with closed_port() as port:
        url = f"http://127.0.0.1:{port}"
        filled = stage.program("ours", "fill", str(events), "0", home=full, env={"Z4J_BRAIN_URL": url})
        assert filled.said["depth"] == events
        for _ in range(stage.rounds + 1):
            for is_full, home in ((True, full), (False, empty)):
                count = str(stage.size(5000, 10))
                said = stage.program("ours", "emit", count, home=home, env={"Z4J_BRAIN_URL": url}).said
                assert (said["buffered"] >= events) == is_full
                p99[is_full].append(percentile(said["took_us"], 0.99))
                start[is_full].append(said["start_ms"])
    return [
        Measure(what, unit, tuple(of[True][1:]), tuple(of[False][1:]), "empty buffer", Bar(limit))
        for what, unit, of, limit in (
            ("`emit` above 2 million buffered events, p99", "µs", p99, 1.5),
            ("start above 2 million buffered events", "ms", start, 1.2),
        )
    ] + _adoption(stage, events // 4)


def _adoption(stage: Stage, events: int) -> list[Measure]:
    """An agent that finds so many in the slot of another process, and one that finds none."""
    p99: dict[bool, list[float]] = {True: [], False: []}
    pace = []
    with closed_port() as port:
        env = {"Z4J_BRAIN_URL": f"http://127.0.0.1:{port}"}
        for _ in range(min(stage.rounds, 3)):
            for adopts in (True, False):
                home = stage.fresh_home()
                if adopts:
                    stage.program("ours", "fill", str(events), "1", home=home, env=env)
                seconds = str(stage.size(15, 1))
                said = stage.program("ours", "adopt", str(events * adopts), seconds, home=home, env=env).said
                p99[adopts].append(percentile(said["took_us"], 0.99))
                if adopts:
                    assert said["adopted"] == events
                    pace.append(events / said["took_s"])
    what = "`emit` while half a million events are adopted, p99"
    return [
        Measure(what, "µs", tuple(p99[True]), tuple(p99[False]), "nothing to adopt", Bar(1.5)),
        Measure("adopted meanwhile", "/s", tuple(pace)),
    ]
