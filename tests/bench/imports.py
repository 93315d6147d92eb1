"""What a service pays for importing the package: time, and memory at its peak."""

from __future__ import annotations

from tests.bench.measure import Bar, Measure
from tests.bench.stage import Stage

PACKAGE = "import z4j_fastapi"
# What a service then does; ours loads it at first use.
NAMES = {
    "ours": "from z4j_fastapi import Z4JAgent",
    "peer": "from z4j_fastapi import z4j_lifespan",
}


# As `programs/peak.py` does, in a process of its own, so that it costs the timed one nothing.
PEAK = "; print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"


def measure(stage: Stage) -> list[Measure]:
    """Whole processes that import and end."""
    rows = []
    for what, ours, peer in (
        (f"`{PACKAGE}`", PACKAGE, PACKAGE),
        ("import of what a service uses", NAMES["ours"], NAMES["peer"]),
    ):
        seconds, mib = _compare(stage, ours, peer)
        rows += [
            Measure(what, "s", *seconds, bar=Bar(0.35)),
            Measure(f"{what}, peak memory", "MiB", *mib, bar=Bar(0.6)),
        ]
    floor = [stage.run("ours", "-c", "pass").wall_s for _ in range(stage.rounds)]
    rows.append(Measure("an empty Python", "s", tuple(floor)))
    return rows


def _compare(stage: Stage, ours: str, peer: str) -> tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]:
    seconds: tuple[list[float], list[float]] = ([], [])
    mib: tuple[list[float], list[float]] = ([], [])
    for _ in range(stage.rounds + 1):  # the first writes .pyc files
        for index, (side, code) in enumerate((("ours", ours), ("peer", peer))):
            seconds[index].append(stage.run(side, "-c", code).wall_s)  # type: ignore[arg-type]
            mib[index].append(int(stage.run(side, "-c", code + PEAK).said) / 1024)  # type: ignore[arg-type]
    return tuple((tuple(ours[1:]), tuple(peer[1:])) for ours, peer in (seconds, mib))
