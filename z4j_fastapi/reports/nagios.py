"""The report as a Nagios plug-in prints it, for Nagios, Icinga, Naemon, Checkmk and the like.

One line with the verdict, `|`, performance data; then, as long output, a line for each probe. The exit
status is the plug-in's: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN (see `exit_status`).
"""

from __future__ import annotations

from z4j_fastapi.reports.fleet import Entry, in_order
from z4j_fastapi.reports.fleet_table import count
from z4j_fastapi.reports.text import printable
from z4j_fastapi.reports.wording import by_cause, counts, culprit, interruption, is_failure, message
from z4j_probes.result import ProbeResult, Report, Status

SERVICE = "Z4J"
OK, WARNING, CRITICAL, UNKNOWN = range(4)
WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")

# Nagios keeps so much of a plug-in's first line; performance data has to fit in as well.
_HEADLINE_LENGTH = 500
_SEVERITY = {"fail": CRITICAL, "warn": WARNING, "pass": OK}
_PROBE_WORDS = {Status.PASS: "OK", Status.WARN: "WARNING", Status.FAIL: "CRITICAL", Status.SKIP: "not run"}


def render(report: Report) -> str:
    """What the plug-in prints."""
    lines = [f"{verdict(exit_status(report), _headline(report))} | {_performance(report)}"]
    for result in report.results:
        lines += _rows(report, result)
    return "\n".join(lines) + "\n"


def render_all(found: list[Entry]) -> str:
    """What a plug-in prints of many reports: the worst code with its hosts, and a line for each report."""
    entries = in_order(found)
    worst = [entry for entry in entries if (entry.status, entry.code) == (entries[0].status, entries[0].code)]
    said = count(found)
    if worst[0].status != "pass":
        said = f"{worst[0].code}: {', '.join(entry.host for entry in worst)} ({said})"
    totals = {status: sum(entry.status == status for entry in found) for status in _SEVERITY}
    numbers = " ".join(f"{status}={total};;;0" for status, total in totals.items())
    first = f"{verdict(exit_status_of_all(found), _limited(said))} | {numbers}"
    return "\n".join([first, *map(_row_of, entries)]) + "\n"


def _row_of(entry: Entry) -> str:
    word = WORDS[_SEVERITY[entry.status]]
    return _plain(f"[{word}] {entry.whose}: {entry.code} {entry.message}")


def exit_status_of_all(found: list[Entry]) -> int:
    """The plug-in's status for many reports: that of the worst."""
    return max(_SEVERITY[entry.status] for entry in found)


def exit_status(report: Report) -> int:
    """The plug-in's status. A run that was interrupted proves nothing, unless it has found a failure."""
    if any(is_failure(report, result) for result in report.results):
        return CRITICAL
    if report.interrupted:
        return UNKNOWN
    return WARNING if report.summary["warn"] else OK


def verdict(status: int, text: str) -> str:
    """A first line without its performance data."""
    return f"{SERVICE} {WORDS[status]} - {_plain(text)}"


def _headline(report: Report) -> str:
    reason = culprit(report)
    if reason is None and report.interrupted:  # a warning is not what it waited for
        return f"{interruption(report).rstrip('.')} ({counts(report)})"
    reason = reason or next((r for r in report.results if r.status is Status.WARN), None)
    if reason is None:
        return f"the agent can connect to {report.config.get('brain_url')} ({counts(report)})"
    return f"{reason.code}: {_limited(reason.message)} ({counts(report)})"


def _limited(text: str) -> str:
    return text if len(text) <= _HEADLINE_LENGTH else f"{text[:_HEADLINE_LENGTH]} …"


def _rows(report: Report, result: ProbeResult) -> list[str]:
    word = "CRITICAL" if is_failure(report, result) else _PROBE_WORDS[result.status]
    rows = [_plain(f"[{word}] {result.name}: {message(result)}")]
    if result.status in (Status.FAIL, Status.WARN):
        rows[0] += f" ({result.code})"
        rows += [f"  fix: {_plain(str(step))}" for row in by_cause(result) for step in row.steps[:1]]
    return rows


def _performance(report: Report) -> str:
    """Durations and counts. A label with an equals sign or a quote can't be written; ours have none."""
    ran = [result for result in report.results if result.status is not Status.SKIP]
    values = [f"time={report.duration_ms / 1000:.4f}s;;;0"]
    values += [f"{status}={count};;;0" for status, count in report.summary.items()]
    values += [f"{result.name}={result.duration_ms / 1000:.4f}s;;;0" for result in ran]
    return " ".join(values)


def _plain(text: str) -> str:
    """One line without the character that begins performance data."""
    return " ".join(printable(text).replace("|", "¦").split())
