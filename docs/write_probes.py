"""Writes docs/probes: a page for each probe, from the catalogue and from what the doctor printed in tests.

    python docs/write_probes.py

What was printed is data, tests/faults/said.json, which `make fault-table` records. Tests hold the pages to
both, and the data to the scenarios.
"""

from __future__ import annotations

import importlib
import json
import textwrap
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from z4j_fastapi.cli.explain import running_agent
from z4j_fastapi.reports.text import sentence
from z4j_probes import Code, Status, Step, default_registry
from z4j_probes.codes import CATALOGUE
from z4j_probes.codes.elsewhere import REPORTED_AS

DIRECTORY = Path(__file__).parent / "probes"
SAID = Path(__file__).parents[1] / "tests" / "faults" / "said.json"
WIDTH = 80
_SEVERITY = {Status.PASS: "Pass", Status.WARN: "Warning", Status.FAIL: "Failure", Status.SKIP: "Not run"}
_LABEL = {Status.PASS: "ok", Status.WARN: "warning", Status.FAIL: "error", Status.SKIP: "skipped"}


def pages() -> dict[str, str]:
    """Each page's text, by its file name."""
    said = json.loads(SAID.read_text())
    by_prefix = {prefix: list(codes) for prefix, codes in groupby(CATALOGUE.values(), key=lambda c: c.probe)}
    written = {f"{prefix}.md": _page(prefix, codes, said["faults"]) for prefix, codes in by_prefix.items()}
    return {"index.md": _index(by_prefix, said["sound"]), **written}


def _index(by_prefix: Mapping[str, list[Code]], sound: Mapping[str, Mapping[str, str]]) -> str:
    lines = [
        "# Codes",
        "",
        "Every outcome has a code. It starts with the check (the probe) that found it, and never changes, so "
        "scripts can rely on it. In a terminal, `python -m z4j_fastapi explain CODE` shows the same text.",
    ]
    for prefix, codes in by_prefix.items():
        lines += ["", f"## [{prefix}]({prefix}.md)", "", subject(prefix), ""]
        lines += ["| Code | What it means |", "| --- | --- |"]
        lines += [f"| [`{row.code}`]({prefix}.md#{row.anchor}) | {_cell(row.title)} |" for row in codes]
    lines += [
        "",
        "## Setups that pass",
        "",
        "These are unusual and in order. The doctor is tested with each of them, and reports no warning.",
        "",
        "| Setup | How the test makes it |",
        "| --- | --- |",
    ]
    rows = sorted(sound.values(), key=lambda row: row["title"].lower())
    lines += [f"| {_cell(row['title'])} | {_cell(row['how'])} |" for row in rows]
    return "\n".join(lines) + "\n"


def subject(prefix: str) -> str:
    """The probe's question or, for codes that no probe gives, what their module says of itself."""
    if prefix in default_registry():
        return default_registry()[prefix].question
    module = importlib.import_module(f"z4j_probes.codes.{prefix}")
    return (module.__doc__ or prefix).partition("\n")[0]


def _page(prefix: str, codes: Iterable[Code], faults: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [f"# {prefix}", "", subject(prefix)]
    for row in codes:
        lines += [
            "",
            f"## `{row.code}` {{ #{row.anchor} }}",
            "",
            f"**{_SEVERITY[row.status]}:** {row.title}{'' if row.title.endswith('?') else '.'}",
        ]
        if row.causes:
            lines += ["", "Usual causes, most likely first:", ""]
            lines += [f"- {cause}" for cause in row.causes]
        if row.steps:
            lines += ["", "**Fix**", *_steps(row.steps)]
        if meanwhile := running_agent(row):
            lines += ["", f"**A running agent** {meanwhile}."]
        if row.code in REPORTED_AS:
            lines += ["", "Other programs report it as:", ""]
            lines += [f"- `{text}`" for text in REPORTED_AS[row.code]]
        tested = sorted((f for f in faults.values() if f["code"] == row.code), key=lambda f: f["title"])
        if tested:
            lines += ["", "**Printed in tests**"]
        for fault in tested:
            printed = [line for told in fault.get("causes", [fault]) for line in _printed(told)]
            lines += ["", f"*{_first_upper(fault['title'])}* ({fault['how']}):"]
            lines += ["", "```text", *printed, "```"]
    return "\n".join(lines) + "\n"


def _steps(steps: Iterable[Step]) -> list[str]:
    lines = []
    for step in steps:
        if step.text:
            lines += ["", sentence(step)]
        if step.command:
            lines += ["", "```sh", step.command, "```"]
    return lines


def _printed(told: Mapping[str, Any]) -> list[str]:
    """One diagnosis as a terminal shows it; a command is never broken."""
    label = f"{_LABEL[Status(told['status'])]}[{told['code']}]: "
    lines = _wrapped(told["message"], label)
    lead = "  fix   "
    for step in (Step(**step) for step in told["steps"]):
        if step.text:
            lines += _wrapped(sentence(step), lead)
            lead = " " * len(lead)
        if step.command:
            lines.append(f"{lead}    {step.command}")
            lead = " " * len(lead)
    return lines


def _wrapped(text: str, lead: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=lead,
        subsequent_indent=" " * min(len(lead), 8),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def main() -> None:
    """Write the pages, and remove those of prefixes that are gone."""
    DIRECTORY.mkdir(exist_ok=True)
    written = pages()
    for name, text in written.items():
        (DIRECTORY / name).write_text(text)
    for page in DIRECTORY.glob("*.md"):
        if page.name not in written:
            page.unlink()


if __name__ == "__main__":
    main()
