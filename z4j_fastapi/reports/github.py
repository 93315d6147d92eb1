"""The report as workflow commands of GitHub Actions: an annotation for each failure and each warning.

A runner reads commands from a job's output, so nothing that a peer said may begin a line, or contain the
`##[` of the older syntax. The last line is the sum, for people who read the log.
"""

from __future__ import annotations

from collections.abc import Iterator

from z4j_fastapi.reports.fleet import Entry, in_order
from z4j_fastapi.reports.fleet_table import count
from z4j_fastapi.reports.text import printable, sentence
from z4j_fastapi.reports.wording import (
    closing_word,
    counts,
    culprit,
    diagnoses,
    explain,
    interruption,
    is_failure,
    took,
)
from z4j_probes.result import ProbeResult, Report


def render(report: Report) -> str:
    """The commands, and the sum."""
    lines = [
        _command("error" if is_failure(report, result) else "warning", result.code, "\n".join(_told(result)))
        for result in diagnoses(report)
    ]
    if report.interrupted and culprit(report) is None:
        lines.append(_command("error", "interrupted", interruption(report)))
    said = f"z4j doctor {report.version}: {counts(report)} in {took(report.duration_ms)}. "
    lines.append(_plain(f"{said}{closing_word(report)}").rstrip())
    return "\n".join(lines) + "\n"


def render_all(found: list[Entry]) -> str:
    """An annotation for each report that failed, or warned, and the sum."""
    lines = []
    for entry in in_order(found):
        if entry.status != "pass":
            kind = "error" if entry.status == "fail" else "warning"
            lines.append(_command(kind, entry.code, _plain(f"{entry.whose}: {entry.message}")))
    return "\n".join([*lines, _plain(f"z4j: {count(found)}")]) + "\n"


def _told(result: ProbeResult) -> Iterator[str]:
    yield _plain(result.message)
    for step in result.steps:
        if step.text:
            yield _plain(f"Fix: {sentence(step)}")
        if step.command:
            yield _plain(f"    {step.command}")
    yield _plain(f"More: {explain(result.code)}")


def _command(kind: str, title: str, text: str) -> str:
    name = _escape(_plain(f"z4j {title}")).replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={name}::{_escape(text)}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _plain(text: str) -> str:
    return printable(text).replace("##[", "## [")
