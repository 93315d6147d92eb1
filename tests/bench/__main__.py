"""Run the benchmarks: `python -m tests.bench [--smoke] [--rounds N] [--page] [SUBJECT ...]`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench import (
    answers,
    big_buffer,
    commands,
    cpu,
    delivery,
    doctor,
    emit,
    fleet,
    growth,
    idle,
    imports,
    lag,
    online,
    page,
    reconnect,
    red_doctor,
    report,
    slow_disk,
    threads,
    workers,
)
from tests.bench.measure import Measure
from tests.bench.stage import Stage, stage
from tests.support.real_brain import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "benchmarks.md"
PICTURES = PROJECT_ROOT / "docs" / "pictures"

SUBJECTS: dict[str, Callable[[Stage], list[Measure]]] = {
    "doctor": doctor.measure,
    "red_doctor": red_doctor.measure,
    "imports": imports.measure,
    "online": online.measure,
    "emit": emit.measure,
    "slow_disk": slow_disk.measure,
    "threads": threads.measure,
    "cpu": cpu.measure,
    "delivery": delivery.measure,
    "idle": idle.measure,
    "lag": lag.measure,
    "commands": commands.measure,
    "answers": answers.measure,
    "workers": workers.measure,
    "big_buffer": big_buffer.measure,
}


def main() -> None:
    """Measure the subjects that are named, or all and the fleet; print the tables as they grow."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"of: {', '.join(SUBJECTS)}")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--smoke", action="store_true", help="each once, as small as it works: no numbers")
    parser.add_argument("--page", action="store_true", help="write docs/benchmarks.md")
    arguments = parser.parse_args()
    unknown = set(arguments.subjects) - set(SUBJECTS)
    if unknown or (arguments.page and arguments.subjects):
        parser.error(f"no such subject: {unknown}" if unknown else "the page needs all subjects")
    measures: list[Measure] = []
    rounds = 1 if arguments.smoke else arguments.rounds
    with stage(rounds=rounds, smoke=arguments.smoke) as ready, TemporaryDirectory() as directory:
        for name in arguments.subjects or SUBJECTS:
            started_s = time.monotonic()
            found = SUBJECTS[name](ready)
            measures += found
            print(f"{name}: {time.monotonic() - started_s:.0f} s", file=sys.stderr, flush=True)
            if not arguments.smoke:
                print(report.table(found), flush=True)
        if arguments.subjects:
            return
        plots = growth.measure(ready)
        growth.draw(plots, Path(directory) if arguments.smoke else PICTURES)
    recoveries = fleet.measure(agents=4, down_s=0.5) if arguments.smoke else fleet.measure()
    if arguments.smoke:
        print("every benchmark works", file=sys.stderr)
        return
    print(reconnect.check(*recoveries))
    if arguments.page:
        PAGE.write_text(page.render(measures, recoveries, rounds), encoding="utf-8")


if __name__ == "__main__":
    main()
