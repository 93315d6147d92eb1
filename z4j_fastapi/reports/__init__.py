"""The formats of a report: a Report in, text out.

A format is a module with `render(report) -> str`, whose text ends with a newline; it is imported when it
is asked for. One whose readers have a convention of their own for exit statuses has `exit_status(report)`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from z4j_probes.result import Report

FORMATS = {
    "table": "z4j_fastapi.reports.table",
    "json": "z4j_fastapi.reports.json",
    "junit": "z4j_fastapi.reports.junit",
    "nagios": "z4j_fastapi.reports.nagios",
    "markdown": "z4j_fastapi.reports.markdown",
    "github": "z4j_fastapi.reports.github",
    "html": "z4j_fastapi.reports.html",
    "openmetrics": "z4j_fastapi.reports.openmetrics",
}


def renderer(name: str) -> Callable[[Report], str]:
    """The function that renders a report in that format; KeyError for a name that is not in FORMATS."""
    render: Callable[[Report], str] = importlib.import_module(FORMATS[name]).render
    return render


def render(name: str, report: Report) -> str:
    """A report in that format."""
    return renderer(name)(report)


def exit_status(name: str, report: Report) -> int:
    """The doctor's exit status for a report in that format."""
    convention: Callable[[Report], int] | None
    convention = getattr(importlib.import_module(FORMATS[name]), "exit_status", None)
    return report.exit_code if convention is None else convention(report)
