"""The report as one HTML page, for people: to be mailed, kept with a build, or served by `health`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from z4j_fastapi.reports.fleet import Entry, in_order
from z4j_fastapi.reports.fleet_table import count
from z4j_fastapi.reports.page import advice, document, text
from z4j_fastapi.reports.wording import (
    SETTINGS,
    by_cause,
    closing_word,
    counts,
    culprit,
    explain,
    flat,
    interruption,
    label_text,
    message,
    overview,
    took,
)
from z4j_probes.result import ProbeResult, Report, Status

# The shapes differ, not only the colors. Paths in a square of 24.
_SHAPES = {
    Status.PASS: "M7.5 12.5l3 3 6-7",
    Status.WARN: "M12 7v6M12 16.75v.1",
    Status.FAIL: "M8.5 8.5l7 7M15.5 8.5l-7 7",
    Status.SKIP: "M8 12h8",
}
_WORDS = {Status.PASS: "passed", Status.WARN: "warning", Status.FAIL: "failed", Status.SKIP: "not run"}


def render(report: Report) -> str:
    """The page."""
    agent = text(report.config.get("agent_name") or "")
    doctor = f"<span><strong>z4j doctor</strong> {text(report.version)}</span>"
    labels = "".join(f" · {text(name)}={text(value)}" for name, value in report.labels.items())
    brow = f'<p class="brow">{doctor}<span>{agent}{labels} · {text(report.host)}</span></p>'
    return document(f"{_tone(report).upper()} – z4j doctor", brow, *sections(report))


def render_all(found: list[Entry]) -> str:
    """The page of many reports: a section for each code, failures first."""
    entries = in_order(found)
    brow = '<p class="brow"><span><strong>z4j doctor</strong></span></p>'
    verdict = (
        f'<header class="verdict {entries[0].status}"><h1><span>{text(count(found))}</span></h1></header>'
    )
    parts = []
    for code, group in groupby(entries, lambda entry: entry.code):
        rows = [
            (
                " ".join(filter(None, (entry.host, label_text(entry.report)))),
                entry.message or _WORDS[Status.PASS],
            )
            for entry in group
        ]
        parts.append(f"<section><h2>{text(code)}</h2>{pairs(rows)}</section>")
    return document(f"{entries[0].status.upper()} – z4j doctor", brow, verdict, *parts)


def sections(report: Report) -> Iterable[str]:
    """The parts of the page: the verdict and its fix, the checks, the settings."""
    return _verdict(report), _ladder(report), _settings(report)


def pairs(rows: Iterable[tuple[str, object]]) -> str:
    """Names and values."""
    return f'<dl class="pairs">{"".join(f"<dt>{text(k)}</dt><dd>{text(v)}</dd>" for k, v in rows)}</dl>'


def _verdict(report: Report) -> str:
    worst = culprit(report)
    if worst is not None:
        title = f"<span>{text(worst.name)} {_WORDS[worst.status]}:</span> {text(overview(worst))}"
    elif report.interrupted:
        title = f"<span>{text(interruption(report))}</span>"
    else:
        title = f"<span>{text(closing_word(report))}</span>"
    started = text(report.to_dict()["started_at"])
    moment = text(f"{report.started_at:%Y-%m-%d %H:%M:%S} UTC")
    parts = [
        f"<h1>{title}</h1>",
        f'<p class="facts">{text(counts(report))} in {took(report.duration_ms)} · '
        f'<time datetime="{started}">{moment}</time></p>',
    ]
    if worst is not None and worst.steps:
        first = advice(step for row in by_cause(worst) for step in row.steps[:1])
        parts.append(f'<div class="first"><h2>Fix</h2><div class="advice">{first}</div></div>')
    return f'<header class="verdict {_tone(report)}">{"".join(parts)}</header>'


def _ladder(report: Report) -> str:
    rungs = "\n".join(map(_rung, report.results))
    return f'<section><h2>Checks</h2><ol class="ladder">\n{rungs}\n</ol></section>'


def _rung(result: ProbeResult) -> str:
    status = result.status
    troubled = status in (Status.FAIL, Status.WARN)
    time = "" if status is Status.SKIP else f'<span class="took">{result.duration_ms:.1f} ms</span>'
    code = f'<span class="code">{text(result.code)}</span>' if troubled else ""
    mark = f'<svg viewBox="0 0 24 24"><path d="{_SHAPES[status]}"/></svg>'
    head = f'<h3>{text(result.name)}</h3><span class="status">{_WORDS[status]}</span>{code}{time}'
    parts = [f'<span class="mark" aria-hidden="true">{mark}</span><div class="head">{head}</div>']
    for row in by_cause(result):
        parts.append(f"<p>{text(message(row))}</p>")
        if troubled:
            more = f'<p class="facts">More: <code>{text(explain(row.code))}</code></p>'
            parts.append(f'<div class="advice">{advice(row.steps)}{more}</div>')
    if result.details:
        unfolded = " open" if status is Status.FAIL else ""
        parts.append(f"<details{unfolded}><summary>Evidence</summary>{pairs(flat(result.details))}</details>")
    return f'<li class="rung {status.value}">{"".join(parts)}</li>'


def _settings(report: Report) -> str:
    sources = report.config.get("sources", {})
    rows = []
    for label, key in SETTINGS:
        value = report.config.get(key) or "missing"
        source = f" <small>({text(sources[key])})</small>" if key in sources else ""
        kind = ' class="missing"' if value == "missing" else ""
        rows.append(f"<dt>{label}</dt><dd{kind}>{text(value)}{source}</dd>")
    return f'<section><h2>Settings</h2><dl class="pairs">{"".join(rows)}</dl></section>'


def _tone(report: Report) -> str:
    """The color of the whole, by the name of a status."""
    if not report.ok:
        return "fail"
    return "warn" if report.summary["warn"] else "pass"
