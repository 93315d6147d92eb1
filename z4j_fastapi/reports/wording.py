"""What several formats say of a report, in the same words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from z4j_probes.invocation import MODULE, as_started
from z4j_probes.result import ProbeResult, Report, Status

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


def explain(code: str) -> str:
    """The command that says more about a code."""
    return as_started(f"{MODULE} explain {code}")


def counts(report: Report) -> str:
    """How many probes ended in which way: "1 failed, 4 passed, 3 not run"."""
    summary = report.summary
    warnings = summary["warn"]
    counted = (
        (summary["fail"], "failed"),
        (summary["pass"], "passed"),
        (warnings, "warning" if warnings == 1 else "warnings"),
        (summary["skip"], "not run"),
    )
    return ", ".join(f"{count} {word}" for count, word in counted if count)


def label_text(report: Report | None) -> str:
    """The labels, as they are given; empty where there are none."""
    return " ".join(f"{name}={value}" for name, value in report.labels.items()) if report else ""


def took(duration_ms: float) -> str:
    """How long a run took, for people: a tenth of a second at least."""
    return f"{max(duration_ms / 1000, 0.1):.1f} s"


def interruption(report: Report) -> str:
    """When an interrupted run was stopped, and what it waited for then."""
    waiting = f" while {report.waiting} was waiting" if report.waiting else ""
    return f"Interrupted after {took(report.duration_ms)}{waiting}: the result is incomplete."


def is_failure(report: Report, result: ProbeResult) -> bool:
    """Whether that row makes the report red: with `strict`, a warning does as well."""
    return result.status is Status.FAIL or (report.strict and result.status is Status.WARN)


def culprit(report: Report) -> ProbeResult | None:
    """The row that made the report red and is to be fixed first."""
    first_warning = next((r for r in report.results if r.status is Status.WARN), None)
    return report.first_failure or (first_warning if report.strict else None)


def diagnoses(report: Report) -> list[ProbeResult]:
    """What something is to be done about, as a row for each: what is to be fixed first stands first."""
    troubled = [result for result in report.results if result.status in (Status.FAIL, Status.WARN)]
    each = [row for result in troubled for row in by_cause(result)]
    return sorted(each, key=lambda row: row.status is not Status.FAIL)


def by_cause(result: ProbeResult) -> list[ProbeResult]:
    """A row for each of several things that are wrong at once; else the row itself."""
    return [replace(result, **cause._asdict(), causes=()) for cause in result.causes] or [result]


def message(result: ProbeResult) -> str:
    """What a row says where its status stands beside it: "not run" need not be said twice."""
    return result.message.removeprefix("not run: ")


def overview(result: ProbeResult) -> str:
    """The message; of several causes, which follow one by one, only the short form."""
    return headline(result) if result.causes else message(result)


def headline(result: ProbeResult) -> str:
    """The short form of what a row says."""
    return result.headline or message(result)


def closing_word(report: Report) -> str:
    """What a report comes to, behind its counts."""
    if report.interrupted:
        return interruption(report)
    if report.first_failure is not None:
        return ""
    if not report.ok:
        return "Warnings fail with --strict."
    if any(result.code == _DISABLED for result in report.results):
        return "The agent is disabled and will not connect."
    if any(result.code == f"{result.name}.skipped" for result in report.results):
        return "No failure in the checks that ran."
    return "The agent can connect."


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
