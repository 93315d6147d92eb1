"""Many reports as one: what each comes to, their order, and one document of them for scripts.

The document's schema is `z4j.reports/1`, in the package: `z4j.reports.v1.schema.json`, beside this file. It
holds each report as it was read, so that what a newer version added is not lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from z4j_fastapi.reports.wording import culprit, headline, interruption, label_text
from z4j_probes.result import SCHEMA as REPORT_SCHEMA
from z4j_probes.result import ProbeResult, Report, Status

SCHEMA = "z4j.reports/1"
OK, INTERRUPTED, UNREADABLE = "ok", "interrupted", "unreadable"
_ORDER = ("fail", "warn", "pass")


@dataclass(frozen=True, slots=True)
class Entry:
    """One report, as it was read and as it is understood; without either, a file that is not a report.

    `file` is where it came from, `reason` why nothing could be read there.
    """

    file: str
    document: Mapping[str, Any] | None = None
    report: Report | None = None
    reason: str = ""

    @property
    def status(self) -> str:
        """What the row of it is: fail, warn, or pass."""
        if self.report is None or not self.report.ok:
            return "fail"
        return "warn" if self._told(self.report) is not None else "pass"

    @property
    def code(self) -> str:
        """What it comes to: the code to fix first; ok, interrupted, or unreadable where there is none."""
        if self.report is None:
            return UNREADABLE
        told = self._told(self.report)
        if told is not None and (told.status is Status.FAIL or not self.report.interrupted):
            return told.code
        return INTERRUPTED if self.report.interrupted else OK

    @property
    def host(self) -> str:
        """Whose it is; older reports only have the agent's name, which is the host's by default."""
        if self.report is None:
            return self.file
        return self.report.host or str(self.report.config.get("agent_name") or "") or self.file

    @property
    def whose(self) -> str:
        """The host, and what tells one service of it from another."""
        return " ".join(filter(None, (self.host, label_text(self.report))))

    @property
    def message(self) -> str:
        """What a row says of it."""
        if self.report is None:
            return self.reason
        if self.code == INTERRUPTED:
            return interruption(self.report)
        told = self._told(self.report)
        return "" if told is None else headline(told)

    @staticmethod
    def _told(report: Report) -> ProbeResult | None:
        return culprit(report) or next((r for r in report.results if r.status is Status.WARN), None)


def entries(document: Any, file: str) -> Iterable[Entry]:
    """The reports that a JSON document holds: itself, or those of an earlier merge."""
    if isinstance(document, Mapping) and document.get("schema") == SCHEMA:
        reports, lost = document.get("reports"), document.get("unreadable", [])
        if isinstance(reports, list) and isinstance(lost, list):
            for report in reports:
                yield _entry(report, file)
            for one in lost:
                row = one if isinstance(one, Mapping) else {}
                yield Entry(str(row.get("file", file)), reason=str(row.get("reason", "unreadable")))
            return
    yield _entry(document, file)


def _entry(document: Any, file: str) -> Entry:
    schema = document.get("schema") if isinstance(document, Mapping) else None
    if schema != REPORT_SCHEMA:
        said = f"its schema is {schema}" if isinstance(schema, str) else "it has no schema"
        return Entry(file, reason=f"not a report of the doctor: {said}, expected {REPORT_SCHEMA}")
    try:
        report = Report.from_dict(document)
        _check(report)
        entry = Entry(file, document, report)
        report.to_dict()
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        return Entry(file, reason=f"not a complete report: {type(exc).__name__} {exc}")
    return entry


def _check(report: Report) -> None:
    """TypeError or ValueError where a field is not what the schema says: the document may be anyone's."""
    rows = report.results
    causes = [cause for row in rows for cause in row.causes]
    steps = [step for row in rows for step in row.steps] + [step for cause in causes for step in cause.steps]
    texts = [report.version, report.host, *report.labels.values()]
    texts += [text for row in rows for text in (row.name, row.code, row.message, row.headline)]
    texts += [text for cause in causes for text in (cause.code, cause.message)]
    texts += [text for step in steps for text in (step.text, step.command)]
    numbers = [report.duration_ms, *(row.duration_ms for row in rows)]
    mappings = [report.config, report.labels, *(row.details for row in rows)]
    for values, kind in ((texts, str), (numbers, int | float), (mappings, Mapping)):
        for value in values:
            if not isinstance(value, kind):
                raise TypeError(f"a field is {type(value).__name__}")
    if report.interrupted and report.exit_code not in (1, 130, 143):
        raise ValueError(f"an interrupted run has not the exit code {report.exit_code}")
    if any(not name.isidentifier() or not name.isascii() for name in report.labels):
        raise ValueError("a label has a name that no label has")
    if report.started_at.tzinfo is None:
        raise ValueError("started_at has no time zone")


def without_repeats(found: Iterable[Entry]) -> Iterable[Entry]:
    """Each report once, where files overlap: a report, and an earlier merge that has it."""
    seen = set[str]()
    for entry in found:
        text = json.dumps(entry.document, sort_keys=True, default=str)
        if entry.document is None or text not in seen:
            yield entry
        seen.add(text)


def in_order(found: Iterable[Entry]) -> list[Entry]:
    """Failures, warnings, then the rest; of each, by code, then by host and service."""
    return sorted(found, key=lambda e: (_ORDER.index(e.status), e.code, e.host, label_text(e.report), e.file))


def exit_status(found: Iterable[Entry]) -> int:
    """1 where a report is not ok, or could not be read; else 0."""
    return int(any(entry.status == "fail" for entry in found))


def document(found: list[Entry]) -> dict[str, Any]:
    """The document of schema `z4j.reports/1`."""
    status = exit_status(found)
    return {
        "schema": SCHEMA,
        "ok": status == 0,
        "exit_code": status,
        "summary": {name: sum(e.status == name for e in found) for name in _ORDER},
        "codes": [
            {"code": code, "status": status, "hosts": [entry.host for entry in group]}
            for (status, code), group in groupby(in_order(found), lambda e: (e.status, e.code))
        ],
        "reports": [dict(e.document) for e in in_order(found) if e.document is not None],
        "unreadable": [{"file": e.file, "reason": e.reason} for e in in_order(found) if e.document is None],
    }


def render(found: list[Entry]) -> str:
    """The document, indented, in ASCII."""
    return json.dumps(document(found), indent=2, default=str) + "\n"
