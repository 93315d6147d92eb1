"""What the doctor said in every scenario, as data: tests/faults/said.json, which docs/probes shows.

    make fault-table

The tests leave one file for each scenario in the directory that Z4J_FAULT_ROWS names; this module merges
them, sorted by scenario. What differs from run to run (ports, paths, durations, dates, ids) is written in a
stable form.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.faults.doctor import Said
    from tests.faults.scenario import Case, Healthy, Scenario
    from tests.faults.stage import Stage

VARIABLE = "Z4J_FAULT_ROWS"
DATA = Path(__file__).parent / "said.json"
_GENERAL = (
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UUID"),
    (r"\bagent-[0-9a-f]{12}\b", "AGENT"),
    (r"probe-\d+-[0-9a-f]{8}\.sqlite", "probe.sqlite"),
    (r"(127\.0\.0\.1|localhost|\[::1\]):\d{4,5}\b", r"\1:PORT"),
    (r"(?<=[:\s])[3-6]\d{4}\b(?=')", "PORT"),  # ss -ltn 'sport = :43210'
    (r"\b([\w-]{12})[\w-]{29,}", r"\1…"),
    (r"\bnginx/[\d.]+", "nginx"),
    (r"(?<=within )[\d.e-]+ m?s\b|(?<=after )[\d.e-]+ m?s\b", "N s"),
    (r"/(\.z4j|volume)/[0-9a-f]{12}\b", r"/\1/IDENTITY"),
    (r"(z4j-\d+)-\w{8}\b", r"\1-RANDOM"),
    (r"\d{4}-\d\d-\d\d( \d\d:\d\d)?", "DATE"),
    (r"[\d.]+ [KMGT]iB free", "SPACE free"),
    (r"\(\d+ certificates\)", "(N certificates)"),
    (r"(?<=clock skew only )\d+\.\d s", "N s"),
    (r"/\S*/(cacert\.pem|certifi)", r"…/\1"),
    (r"limit is \d+ open", "limit is N open"),
)


def record(scenario: Scenario, case: Case, said: Said, stage: Stage) -> None:
    """Keep what was said for the data, where it is asked for."""
    row = said.probe(scenario.probe)

    def stable(text: str) -> str:
        return generalised(text, stage.directory)

    def diagnosis(row: dict[str, Any]) -> dict[str, Any]:
        steps = [{name: stable(text) for name, text in step.items()} for step in row["steps"]]
        return {
            "code": row["code"],
            "status": row["status"],
            "message": stable(row["message"]),
            "steps": steps,
        }

    found = {"title": scenario.title, "how": scenario.how, **diagnosis(row)}
    if row["causes"]:
        found["causes"] = [diagnosis(cause) for cause in row["causes"]]
    _keep("faults", scenario.name, found)


def record_sound(healthy: Healthy) -> None:
    """The same for a setup that is in order."""
    _keep("sound", healthy.name, {"title": healthy.title, "how": healthy.how})


def _keep(kind: str, name: str, found: dict[str, Any]) -> None:
    directory = os.environ.get(VARIABLE)
    if directory:
        Path(directory, f"{name}.json").write_text(json.dumps({"kind": kind, "name": name, "found": found}))


def generalised(text: str, directory: Path) -> str:
    """The text as it would be in every run."""
    text = text.replace(str(directory), "/srv/app").replace(sys.executable, "/opt/app/bin/python")
    for pattern, general in _GENERAL:
        text = re.sub(pattern, general, text)
    return text


def merged(rows: list[dict[str, Any]]) -> str:
    """The data's text: scenarios by name, in alphabetical order."""
    kinds: dict[str, dict[str, Any]] = {"faults": {}, "sound": {}}
    for row in rows:
        kinds[row["kind"]][row["name"]] = row["found"]
    return json.dumps(kinds, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main(directory: str) -> None:
    """Replace the data by what the tests left in the directory."""
    DATA.write_text(merged([json.loads(path.read_text()) for path in Path(directory).glob("*.json")]))


if __name__ == "__main__":
    main(sys.argv[1])
