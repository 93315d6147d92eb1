"""Whether `--wait` can help: a setting from the environment stays what it is while this process runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from z4j_probes import Report, Settings

# Files may be mounted any moment, and what only warns keeps nothing from passing.
_HEALING = frozenset(
    ("config.secret_unreadable", "config.ca_unreadable", "config.disabled", "config.unknown_variable")
)


def lasting_problem(report: Report, settings: Settings) -> str | None:
    """The code of a wrong setting that no retry can see changed; None where there is none.

    It comes from the environment or from an argument, or is missing there. One from a file may heal.
    """
    config = next((result for result in report.results if result.name == "config" and not result.ok), None)
    problems = config.details.get("problems", ()) if config is not None else ()
    return next((problem["code"] for problem in problems if _lasts(problem, settings)), None)


def _lasts(problem: Mapping[str, Any], settings: Settings) -> bool:
    if problem["code"] in _HEALING:
        return False
    source = settings.sources.get(problem["setting"])
    return source is None or (source.env_file is None and source.secret_file is None)
