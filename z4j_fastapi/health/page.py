"""The page for people: the agent in this process, and the newest report that there is."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from z4j_fastapi.agent.status import AgentStatus, State
from z4j_fastapi.reports.html import pairs, sections
from z4j_fastapi.reports.page import document, text
from z4j_probes import Report

_TONES = {State.ONLINE: "pass", State.STARTING: "warn", State.OFFLINE: "fail", State.DISABLED: "skip"}


def render(status: AgentStatus, doctor: Report | None, *, action: str, rests_s: float) -> str:
    """The page; its button posts to `action`, and says so where the doctor rests."""
    report = max((r for r in (doctor, status.report) if r is not None), key=_moment, default=None)
    whose = "from the doctor" if report is doctor else "from the agent's last connection attempt"
    head = f"<h1>The agent is <span>{text(status.state)}</span></h1>"
    if status.reason:
        reason = f"{status.code}: {status.reason}" if status.code else status.reason
        head += f"<p>{text(reason)}</p>"
    head += pairs(_facts(status))
    head += _button(action, rests_s)
    card = f'<header class="verdict {_TONES.get(status.state, "skip")}">{head}</header>'
    if report is None:
        return document(f"{status.state} – z4j agent", _brow(status), card)
    caption = f'<p class="brow"><span>The report below is {whose}.</span></p>'
    return document(f"{status.state} – z4j agent", _brow(status), card, caption, *sections(report))


def _brow(status: AgentStatus) -> str:
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    name = status.report.config.get("agent_name") if status.report else None
    left = f"<strong>z4j agent</strong> {text(name or '')}"
    return f'<p class="brow"><span>{left}</span><span>as of {now}</span></p>'


def _facts(status: AgentStatus) -> list[tuple[str, object]]:
    return [
        ("Since", f"{status.since:%Y-%m-%d %H:%M:%S} UTC"),
        *([("Next attempt", f"{again:%Y-%m-%d %H:%M:%S} UTC")] if (again := status.next_attempt_at) else []),
        ("Events waiting", status.buffered),
        ("Events lost", status.dropped),
        ("Buffer", status.buffer_path or "only in memory"),
        ("Worker", status.worker_id or "none yet"),
        ("Session", status.session_id or "none"),
        ("Events rejected", status.rejected),
        ("Events set aside", status.set_aside),
        ("Log", status.log_fault or "on"),
    ]


def _button(action: str, rests_s: float) -> str:
    if rests_s:
        note = f"It ran just now, and can run again in {math.ceil(rests_s)} s."
        button = "<button disabled>Run the doctor now</button>"
    else:
        note = "It runs in this process, as its user and in its network, and disconnects."
        button = "<button>Run the doctor now</button>"
    form = f'<form method="post" action="{text(action)}">{button}</form>'
    return f'<div class="actions">{form}<span class="facts">{note}</span></div>'


def _moment(report: Report) -> datetime:
    return report.started_at
