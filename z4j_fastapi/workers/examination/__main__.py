"""The process that examines a worker: asked on stdin, answered on stdout, both JSON."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import Any

from z4j_fastapi.workers.examination.finding import Asked, Finding
from z4j_fastapi.workers.examination.target import NotImported, load
from z4j_probes.portable import loop


def main() -> None:
    """Examine, and say what was found. What the worker's module prints goes to stderr."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    asked = Asked(**json.load(sys.stdin))
    try:
        found = _examine(load(asked.target), asked)
    except NotImported as exc:
        found = exc.finding
    except Exception as exc:  # what looks like a worker's settings, and holds something else
        message = f"{asked.target} can't be examined: {type(exc).__name__}"
        found = Finding("worker.import_failed", message, remedy="Correct its settings: one has a wrong type")
    with answer:
        json.dump(asdict(found), answer)
    sys.stdout.flush()
    os._exit(0)  # a module may have started threads that never end


def _examine(found: Any, asked: Asked) -> Finding:
    if "taskiq" in sys.modules:
        from z4j_fastapi.workers.examination import taskiq

        if taskiq.is_taskiq(found):
            return loop.run(taskiq.examine(found, asked))
    if "arq" in sys.modules:
        from z4j_fastapi.workers.examination import arq

        if arq.is_arq(found):
            return loop.run(arq.examine(found, asked))
    kind = type(found).__name__
    raise NotImported(
        f"{asked.target} is neither arq settings nor a taskiq broker, but of type {kind}",
        remedy="Name what the worker is started with: arq's settings, or taskiq's broker",
    )


main()
