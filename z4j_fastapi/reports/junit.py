"""The report as JUnit XML, for CI systems: Jenkins, GitLab, GitHub actions that show test results.

The dialect is the one that Maven's surefire writes and Jenkins reads: one `testsuite`, one `testcase` a
probe. The dialect knows no warnings: one is a test that passed, with the warning as its output, and with
`strict` it is a failure.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from typing import Any
from xml.etree import ElementTree as ET

from z4j_fastapi.reports.text import printable, sentence
from z4j_fastapi.reports.wording import by_cause, counts, explain, flat, interruption, is_failure
from z4j_probes.result import ProbeResult, Report, Status

SUITE = "z4j.doctor"
_PROPERTIES = ("brain_url", "project_id", "agent_name", "user", "buffer_dir", "token", "hmac_secret")


def render(report: Report) -> str:
    """The document. Characters that XML has no way to write are replaced."""
    return _document([(SUITE, report)])


def render_all(reports: Iterable[Report]) -> str:
    """A document with a suite for each report, named for its host and its labels."""
    named = []
    for report in reports:
        whose = (report.host or report.config.get("agent_name") or "unknown", *report.labels.values())
        named.append((".".join((SUITE, *map(str, whose))), report))
    return _document(named)


def _document(named: list[tuple[str, Report]]) -> str:
    root = _element(None, "testsuites", name=SUITE)
    for name, report in named:
        _suite(root, name, report)
    for number in ("tests", "failures", "errors", "skipped"):
        root.set(number, str(sum(int(suite.get(number, "0")) for suite in root)))
    root.set("time", _seconds(sum(report.duration_ms for _, report in named)))
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode", short_empty_elements=True)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _suite(root: ET.Element, name: str, report: Report) -> None:
    failed = [result for result in report.results if is_failure(report, result)]
    numbers = {
        "tests": len(report.results) + report.interrupted,
        "failures": len(failed),
        "errors": int(report.interrupted),
        "skipped": report.summary["skip"],
        "time": _seconds(report.duration_ms),
    }
    # without a zone: the dialect's pattern has no place for one
    started = report.started_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    suite = _element(root, "testsuite", name=name, **numbers, timestamp=started, hostname=report.host)
    properties = _element(suite, "properties")
    _element(properties, "property", name="version", value=report.version)
    for key, value in report.labels.items():
        _element(properties, "property", name=f"label.{key}", value=value)
    for key in _PROPERTIES:
        if report.config.get(key) is not None:
            _element(properties, "property", name=key, value=report.config[key])
    for result in report.results:
        _case(suite, name, report, result)
    if report.interrupted:
        # without it, a run that was cut short could pass for a green one
        case = _element(suite, "testcase", classname=name, name="run", time=_seconds(report.duration_ms))
        _element(case, "error", message=interruption(report), type="interrupted")
    _text(_element(suite, "system-out"), [counts(report)])


def _case(suite: ET.Element, name: str, report: Report, result: ProbeResult) -> None:
    time = _seconds(result.duration_ms)
    case = _element(suite, "testcase", classname=name, name=result.name, time=time)
    if result.status is Status.SKIP:
        _element(case, "skipped", message=result.message)
        return
    if is_failure(report, result):
        failure = _element(case, "failure", message=f"{result.message} ({result.code})", type=result.code)
        _text(failure, _told(result))
    _text(_element(case, "system-out"), _output(result))


def _output(result: ProbeResult) -> list[str]:
    """The warning, where there is one, and the evidence."""
    lines = [f"{result.status.value}: {result.message} ({result.code})"]
    if result.status is Status.WARN:
        lines += [line for row in by_cause(result) for line in _advice(row)]
    return lines + [f"{path}: {value}" for path, value in flat(result.details)]


def _told(result: ProbeResult) -> list[str]:
    """Each cause with its fix."""
    return [line for row in by_cause(result) for line in (row.message, *_advice(row))]


def _advice(row: ProbeResult) -> list[str]:
    lines = []
    for step in row.steps:
        lines += [f"fix: {printable(sentence(step))}"] if step.text else []
        lines += [f"    {printable(step.command)}"] if step.command else []
    return [*lines, f"more: {explain(row.code)}"]


def _element(parent: ET.Element | None, tag: str, **attributes: Any) -> ET.Element:
    shown = {name: printable(str(value)) for name, value in attributes.items()}
    return ET.Element(tag, shown) if parent is None else ET.SubElement(parent, tag, shown)


def _text(element: ET.Element, lines: list[str]) -> None:
    element.text = "\n".join(printable(line) for text in lines for line in text.splitlines())


def _seconds(duration_ms: float) -> str:
    return f"{duration_ms / 1000:.3f}"
