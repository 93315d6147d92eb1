"""The formats of a report: a Report in, text out.

A format is a module with `render(report) -> str`, whose text ends with a newline; it is imported when it
is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from z4j_probes.result import Report

FORMATS = {
    "table": "z4j_fastapi.reports.table",
    "json": "z4j_fastapi.reports.json",
}


def renderer(name: str) -> Callable[[Report], str]:
    """The function that renders a report in that format; KeyError for a name that is not in FORMATS."""
    render: Callable[[Report], str] = importlib.import_module(FORMATS[name]).render
    return render


def render(name: str, report: Report) -> str:
    """A report in that format."""
    return renderer(name)(report)
