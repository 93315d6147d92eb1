"""The report as Markdown (CommonMark with GitHub's tables): for issues, merge requests, CI summaries.

What probes say is text and stays text: nothing in it can be a link, a mention, an image or a tag.
"""

from __future__ import annotations

import re

from z4j_fastapi.reports.fleet import Entry, in_order
from z4j_fastapi.reports.fleet_table import count
from z4j_fastapi.reports.text import printable, sentence
from z4j_fastapi.reports.wording import (
    SETTINGS,
    closing_word,
    counts,
    culprit,
    diagnoses,
    explain,
    flat,
    label_text,
    overview,
    took,
)
from z4j_probes.result import ProbeResult, Report, Status

_LOOK = {
    Status.PASS: "✅ pass",
    Status.WARN: "⚠️ **warn**",
    Status.FAIL: "❌ **fail**",
    Status.SKIP: "➖ skip",
}
_MARKS = {"pass": "✅", "warn": "⚠️", "fail": "❌"}
# All that can begin a construct inside a line; and what GitHub makes a link (https://…, www.…) or a picture
# (:name:) of without any mark.
_SPECIAL = re.compile(r"[\\`*_\[\]<>|~#&$]|:(?=//|\w+:)|(?<=www)\.")


def render(report: Report) -> str:
    """The document."""
    blocks = [f"## {_headline(report)}", _summary(report), _table(report)]
    blocks += [_diagnosis(result) for result in diagnoses(report)]
    blocks += [_settings(report), _evidence(report)]
    return "\n\n".join(blocks) + "\n"


def render_all(found: list[Entry]) -> str:
    """A table of many reports, by code, then host."""
    rows = ["| Code | Host | Labels | Message |", "|---|---|---|---|"]
    for entry in in_order(found):
        labels, code = label_text(entry.report), f"{_MARKS[entry.status]} {_code(entry.code)}"
        rows.append(f"| {code} | {_text(entry.host)} | {_text(labels)} | {_text(entry.message)} |")
    return f"## z4j doctor\n\n{_text(count(found))}\n\n" + "\n".join(rows) + "\n"


def _headline(report: Report) -> str:
    worst = culprit(report)
    if worst is not None:
        return f"❌ z4j doctor: {_code(worst.code)}"
    if report.interrupted:
        return "❔ z4j doctor: interrupted"
    return "⚠️ z4j doctor: passed, with warnings" if report.summary["warn"] else "✅ z4j doctor: passed"


def _summary(report: Report) -> str:
    return f"{counts(report)} in {took(report.duration_ms)}. {closing_word(report)}".rstrip()


def _table(report: Report) -> str:
    rows = ["| Check | Result | Message | Time |", "|---|---|---|---:|"]
    for result in report.results:
        time = "" if result.status is Status.SKIP else f"{result.duration_ms:.1f} ms"
        rows.append(f"| {_code(result.name)} | {_LOOK[result.status]} | {_text(overview(result))} | {time} |")
    return "\n".join(rows)


def _diagnosis(result: ProbeResult) -> str:
    """What to do about one row, with each command in a block from which it can be copied."""
    blocks = [f"### {_code(result.code)}", _text(result.message)]
    label = "**Fix:** "
    for step in result.steps:
        if step.text:
            blocks.append(label + _text(sentence(step)))
            label = ""
        if step.command:
            blocks.append(_fenced(printable(step.command), "sh"))
    blocks.append(f"More: {_code(explain(result.code))}")
    return "\n\n".join(blocks)


def _settings(report: Report) -> str:
    sources = report.config.get("sources", {})
    rows = ["| Setting | Value | Source |", "|---|---|---|"]
    for label, key in SETTINGS:
        value = report.config.get(key)
        if value is not None:
            rows.append(f"| {label} | {_text(str(value))} | {_text(str(sources.get(key, '')))} |")
    return _folded("Settings", "\n".join(rows))


def _evidence(report: Report) -> str:
    lines = [
        f"{result.name}.{path}: {value}" for result in report.results for path, value in flat(result.details)
    ]
    lines.append(f"version: {report.version}")
    lines.append(f"host: {report.host}")
    lines += [f"labels.{name}: {value}" for name, value in report.labels.items()]
    lines.append(f"started_at: {report.to_dict()['started_at']}")
    return _folded("Evidence", _fenced("\n".join(map(printable, lines)), "text"))


def _folded(title: str, block: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{block}\n\n</details>"


def _text(text: str) -> str:
    escaped = _SPECIAL.sub(lambda special: f"\\{special[0]}", printable(text))
    # GitHub mentions people even in escaped text: an invisible joiner parts the sign from the name
    return re.sub(r"@(?=\w)", "@\u2060", escaped)


def _code(text: str) -> str:
    """A code span: nothing in it is special but backticks (and in a table the bar, which no name has)."""
    ticks = "`" * (_longest_run(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{printable(text)}{pad}{ticks}"


def _fenced(text: str, language: str) -> str:
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
