"""The exceptions that a host application can meet.

Z4JError
├── PreflightError    the first climb failed and the host asked for `preflight="strict"`
└── ForkedAgentError  the agent was started before a fork and is used in the child
"""

from __future__ import annotations

from z4j_probes.errors import Z4JError
from z4j_probes.result import Report


class PreflightError(Z4JError):
    """The first climb failed. `report` says why; the text is what the doctor would print.

    `report` is None where there was no climb to report of: no thread could be started, for one. `reason` is
    one line in any case.
    """

    def __init__(self, report: Report | None, reason: str) -> None:
        super().__init__(report, reason)
        self.report = report
        self.reason = reason

    def __str__(self) -> str:
        if self.report is None:
            return f"the z4j agent's preflight failed: {self.reason}"
        from z4j_fastapi.reports import render

        return f"the z4j agent's preflight failed\n\n{render('table', self.report)}"


class ForkedAgentError(Z4JError):
    """An agent that was started before a fork can't be entered in the child: create one there."""
