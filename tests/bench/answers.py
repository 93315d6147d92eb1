"""From a command to its result, against a client that answers at once."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.bench.measure import Bar, Measure, percentile
from tests.bench.stage import PROGRAMS, Stage

MEDIAN = 0.5


def measure(stage: Stage) -> list[Measure]:
    """One command at a time, to both in turn, as the brain that asked sees it."""
    found: dict[str, dict[str, list[float]]] = {}
    for _ in range(min(stage.rounds, 5)):
        command = [sys.executable, str(PROGRAMS / "asking_brain.py"), str(stage.size(300, 3))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as brain:
            assert brain.stdout is not None
            settings = json.loads(brain.stdout.readline())
            clients = [
                subprocess.Popen(
                    [sys.executable, str(PROGRAMS / f"answer_{side}.py")],
                    env=stage.environment("ours") | settings[side],
                    stdin=subprocess.PIPE,
                )
                for side in ("ours", "bare")
            ]
            try:
                took_ms = json.loads(brain.stdout.readline())
            finally:
                for client in clients:
                    client.kill()
                    client.communicate()
        for side, by_action in took_ms.items():
            for action, took in by_action.items():
                found.setdefault(side, {}).setdefault(action, []).append(percentile(took, MEDIAN))
    return [
        Measure(what, "ms", tuple(found["ours"][action]), tuple(found["bare"][action]), "bare client", bar)
        for what, action, bar in (
            ("command to result, p50: a cancel", "cancel_task", Bar(1.5)),
            ("the same, remembered on disk before and after: a submit", "submit_task", None),
        )
    ]
