"""What came of a command: one of a few verdicts, and what is answered."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from z4j_fastapi.commands.refusal import Refused
from z4j_probes.codes import lookup


class Verdict(StrEnum):
    """How a command ended."""

    DONE = "done"
    FAILED = "failed"
    """It was tried, and certainly did not happen."""
    REFUSED = "refused"
    """Nothing was done."""
    UNKNOWN = "unknown"
    """It was begun, and it can't be told whether it happened."""
    LATE = "late"
    """Its time was over. A brain takes no answer any more."""
    PASSED_ON = "passed_on"
    """Another process of this agent has acted on it."""


class Outcome(NamedTuple):
    """A verdict with the result's object or the error's text; `code` is empty where it is done.

    `is_done` and `is_unanswered` are of what was passed on: what came of it there.
    """

    verdict: Verdict
    code: str = ""
    result: Mapping[str, Any] | None = None
    error: str = ""
    is_done: bool = False
    is_unanswered: bool = False


def refused(why: Refused) -> Outcome:
    """Nothing was done: the cause, and what to do about it."""
    return Outcome(Verdict.REFUSED, why.code, error=_with_remedy(why.code, str(why), why.remedy))


def unknown(cause: str) -> Outcome:
    """It was begun, and what came of it can't be told."""
    code = "command.outcome_unknown"
    return Outcome(Verdict.UNKNOWN, code, error=_with_remedy(code, cause))


def malformed(why: Exception) -> Outcome:
    """Nothing was done: the command itself can't be read."""
    remedy = "Correct it, and send it again"
    return refused(Refused("command.unsupported", f"the command is malformed: {why}", remedy))


def _with_remedy(code: str, cause: str, remedy: str | None = None) -> str:
    if remedy is None:
        try:
            remedy = lookup(code).remedy
        except KeyError:  # an engine's own code
            remedy = ""
    return f"{code}: {cause}. {remedy}".strip()
