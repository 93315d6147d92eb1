"""Writes docs/codes.md from the catalogue: `python docs/write_codes.py`. A test holds the page to it."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from z4j_probes import Code, default_registry
from z4j_probes.codes import CATALOGUE

PAGE = Path(__file__).parent / "codes.md"


def page() -> str:
    """The page's text."""
    lines = [
        "# Codes",
        "",
        "Every outcome has a code, which starts with the probe's name; those of commands start with "
        "`command`. Codes are public API: they are added to, and never renamed. "
        "The same text is at hand as `python -m z4j_fastapi explain CODE`.",
    ]
    for probe, rows in groupby(CATALOGUE.values(), key=lambda row: row.probe):
        lines += ["", f"## {probe}", "", f"*{_question(probe)}*"]
        for row in rows:
            lines += entry(row)
    return "\n".join(lines) + "\n"


def _question(group: str) -> str:
    if group == "command":  # not a probe: an agent gives these, in its answers to a brain and in its log
        return "Why was a command of the brain not done?"
    return default_registry()[group].question


def entry(row: Code) -> list[str]:
    """One code: an anchor of its own, its title, causes and remedy."""
    lines = ["", f"### `{row.code}` {{ #{row.anchor} }}", "", f"*{row.status.value}:* {row.title}."]
    if row.causes:
        lines += ["", "Usual causes, likeliest first:", ""]
        lines += [f"- {cause}" for cause in row.causes]
    if row.remedy:
        lines += ["", f"**What to do:** {row.remedy}."]
    return lines


if __name__ == "__main__":
    PAGE.write_text(page())
