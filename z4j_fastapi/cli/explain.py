"""`explain`: the catalogue's row for a code, or the list of codes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from z4j_fastapi.cli.output import emit, usage_error
from z4j_fastapi.signals import interruptible
from z4j_probes import Code, Status, default_registry
from z4j_probes.codes import CATALOGUE, Heals
from z4j_probes.codes.elsewhere import REPORTED_AS, codes_reported_as
from z4j_probes.invocation import as_started
from z4j_probes.plugins import add_plugins
from z4j_probes.result import Step


def run(code: str | None, *, as_json: bool) -> int:
    """Explain a code, or list those of a probe, or all; the exit status."""
    code = None if code is None else code.strip().lower()
    catalogue = CATALOGUE
    if code not in catalogue:
        with interruptible():
            catalogue = add_plugins(default_registry()).catalogue
    if code is not None and code in catalogue:
        row = catalogue[code]
        emit(_document(_as_dict(row)) if as_json else _page(row, _question(row.probe)))
        return 0
    rows = [row for row in catalogue.values() if code is None or row.probe == code]
    if not rows:
        usage_error(_unknown(str(code), catalogue))
    emit(_document({"codes": [_as_dict(row) for row in rows]}) if as_json else _list(rows))
    return 0


# What an agent that runs does about it.
_HEALS = {
    Heals.BY_ITSELF: "keeps trying to connect, at least every 30 s",
    Heals.BY_WAITING: "keeps trying to connect, at least every 2 minutes: the server asks for fewer attempts",
    Heals.BY_A_PERSON: "keeps trying to connect, at least every 10 minutes, until the cause is fixed",
    Heals.BY_AN_UPGRADE: "keeps trying to connect, at least every hour, until it or the brain is upgraded",
    Heals.NOT_IN_THIS_PROCESS: "stays off until it is restarted with corrected settings (values that come "
    "from a file are read again at least every 30 s)",
}
# Their faults keep no agent from connecting: a refused command is over, the others are about what is started.
_OF_NO_AGENT = ("command", "unit", "worker")


def running_agent(row: Code) -> str:
    """What an agent that runs does about that fault; empty where the fault keeps none from connecting.

    A plug-in's keeps none: agents run the built-in probes only.
    """
    if row.status is not Status.FAIL or row.probe in _OF_NO_AGENT or row.code not in CATALOGUE:
        return ""
    return _HEALS[row.heals]


def _as_dict(row: Code) -> dict[str, Any]:
    return {
        "code": row.code,
        "probe": row.probe,
        "severity": row.status.value,
        "title": row.title,
        "causes": list(row.causes),
        "reported_as": list(REPORTED_AS.get(row.code, ())),
        "remedy": row.remedy,
        "steps": [asdict(step) for step in row.steps],
        "heals": row.heals.value if _heals(row) else None,
    }


def _heals(row: Code) -> bool:
    """Whether that is a question: a command that was refused is over, and a pass is no fault."""
    return row.status in (Status.FAIL, Status.WARN) and row.probe != "command"


def _document(value: dict[str, Any]) -> str:
    return json.dumps({"schema": "z4j.codes/1", **value}, indent=2) + "\n"


def _question(probe: str) -> str:
    """What the probe asks that gives a code; empty for what no probe gives."""
    with interruptible():
        registry = add_plugins(default_registry())
    return registry[probe].question if probe in registry else ""


def _page(row: Code, question: str) -> str:
    from z4j_fastapi.reports.text import step_lines, wrap

    lines = [f"{row.code} ({row.status.value}): {row.title}"]
    if question:
        lines += wrap(f"The {row.probe} check: {question}", 80, hang=2)
    if row.causes:
        lines += ["", "Causes, the most likely first:"]
        for cause in row.causes:
            first, *more = wrap(cause, 76)
            lines += [f"  - {first}", *(f"    {line}" for line in more)]
    if row.steps:
        lines += ["", "Fix:"]
    for step in row.steps:
        lines += [
            f"{'    ' if is_command else '  '}{line}"
            for line, is_command in step_lines(_as_started(step), 76)
        ]
    if row.code in REPORTED_AS:
        lines += ["", "Other programs report it as:"]
        for text in REPORTED_AS[row.code]:
            first, *more = wrap(text, 76)
            lines += [f"  - {first}", *(f"    {line}" for line in more)]
    if meanwhile := running_agent(row):
        lines += ["", "A running agent:", *(f"  {line}" for line in wrap(meanwhile, 76))]
    if row.code in CATALOGUE:
        lines += ["", f"Links: docs/probes/{row.probe}.md#{row.anchor}"]
    return "\n".join(lines) + "\n"


def _as_started(step: Step) -> Step:
    return Step(step.text, as_started(step.command))


def _list(rows: list[Code]) -> str:
    width = max(len(row.code) for row in rows)
    lines = [f"{row.code:<{width}}  {row.status.value}  {row.title}" for row in rows]
    return "\n".join(lines) + "\n"


def _unknown(code: str, catalogue: Mapping[str, Code]) -> str:
    from difflib import get_close_matches

    names = [*catalogue, *dict.fromkeys(row.probe for row in catalogue.values())]
    said = [name for name in catalogue if "." in code and name.startswith(code)]  # it was cut short
    said += codes_reported_as(code)
    said += [row.code for row in catalogue.values() if code in row.title.lower()]
    close = list(dict.fromkeys(said))[:3] or get_close_matches(code, names, n=3, cutoff=0.5)
    if not close:  # the right word under another probe: "expired", "dns.refused_connection"
        word = code.lower().rpartition(".")[2]
        close = [name for name in names if word and word in name][:3]
    advice = f"did you mean {' or '.join(close)}?" if close else "`explain` without a code lists all codes"
    return f"invalid value {code!r} for CODE ({advice})"
