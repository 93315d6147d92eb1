"""What several formats say of a report, in the same words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from z4j_probes.result import ProbeResult, Report, Status

EXPLAIN = "python -m z4j_fastapi explain"
INTERRUPTED = "Interrupted: what is here is all that is known."

# How the settings of a report are called, and their names in it. The first five are what a person has set.
SETTINGS = (
    ("Brain", "brain_url"),
    ("Project", "project_id"),
    ("Agent", "agent_name"),
    ("Token", "token"),
    ("Secret", "hmac_secret"),
    ("State directory", "buffer_dir"),
    ("Runs as", "user"),
)

# Whatever else is in order, such an agent does not come online.
_DISABLED = "config.disabled"

_COUNTED = (
    (Status.FAIL, "failed"),
    (Status.WARN, "warned"),
    (Status.PASS, "passed"),
    (Status.SKIP, "not run"),
)


def counts(report: Report) -> str:
    """How many probes ended in which way: "1 failed, 4 passed, 3 not run"."""
    summary = report.summary
    return ", ".join(f"{summary[status.value]} {word}" for status, word in _COUNTED if summary[status.value])


def is_failure(report: Report, result: ProbeResult) -> bool:
    """Whether that row makes the report red: with `strict`, a warning does as well."""
    return result.status is Status.FAIL or (report.strict and result.status is Status.WARN)


def culprit(report: Report) -> ProbeResult | None:
    """The row that made the report red and has to be mended first."""
    first_warning = next((r for r in report.results if r.status is Status.WARN), None)
    return report.first_failure or (first_warning if report.strict else None)


def message(result: ProbeResult) -> str:
    """What a row says where its status stands beside it: "not run" need not be said twice."""
    return result.message.removeprefix("not run: ")


def closing_word(report: Report) -> str:
    """What a report that is not red comes to."""
    if any(result.code == _DISABLED for result in report.results):
        return "Nothing failed, but the agent is switched off: it will not connect."
    if any(result.code == f"{result.name}.skipped" for result in report.results):
        return "Nothing failed among the probes that ran."
    if report.summary["warn"]:
        return "Nothing failed: the agent can come online. Look at the warnings when you can."
    return "Everything is in order: the agent can come online."


def flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Nested evidence as paths with values."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flat(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and any(isinstance(v, Mapping | list | tuple) for v in value):
        for index, inner in enumerate(value):
            yield from flat(inner, f"{path}[{index}]")
    elif isinstance(value, list | tuple):
        yield path, ", ".join(map(str, value)) or "none"
    else:
        yield path, "none" if value is None else str(value)
