"""The report as one JSON document of schema `z4j.doctor/1`, for scripts.

The schema is in the package: `z4j.doctor.v1.schema.json`, beside this file.
"""

from __future__ import annotations

import json

from z4j_probes.result import Report


def render(report: Report) -> str:
    """The document, indented, in ASCII: valid in every locale, whatever bytes a peer sent."""
    return json.dumps(report.to_dict(), indent=2, default=str) + "\n"


def render_line(report: Report) -> str:
    """The document on one line: a stream of reports is JSON Lines."""
    return json.dumps(report.to_dict(), separators=(",", ":"), default=str) + "\n"
