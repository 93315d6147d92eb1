"""The record of commands: a log line each, without a value, one line a second in a flood; and counters."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from z4j_fastapi.commands.outcome import Outcome
from z4j_fastapi.log import log
from z4j_probes.codes import CATALOGUE
from z4j_probes.protocol.answers import one_line

# More within a second are told together, at its end. Errors have as many again: no flood hides that a
# schedule did not run.
LINES_PER_S = 5
_WINDOW_S = 1.0
SAME_ERROR_EVERY_S = 3600.0
_LONGEST_NAME = 120


class Told(NamedTuple):
    """What is told of a command whatever came of it."""

    action: str
    target: str = ""
    issued_by: str = ""


class Record:
    """Lives in the agent's loop; `counts` may be read from any thread."""

    def __init__(self) -> None:
        self._errors: dict[tuple[str, str, str], float] = {}
        self._counts: Counter[str] = Counter()
        self._lines: Counter[bool] = Counter()
        self._untold: Counter[str] = Counter()
        self._window: asyncio.TimerHandle | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How many ended how: by verdict (`again`: answered from memory), and by code where not done."""
        return dict(self._counts)

    def count_on(self, counts: Mapping[str, int]) -> None:
        """Add what another record has counted."""
        self._counts.update(counts)

    def ended(
        self, told: Told, outcome: Outcome, ms: float, *, answered: bool = True, again: bool = False
    ) -> None:
        """A command has ended. One that stays unanswered is an error, once an hour for each: a schedule may
        be due each second, and did not run."""
        verdict = "again" if again else outcome.verdict.value
        self._counts[verdict] += 1
        if outcome.code:
            self._counts[outcome.code] += 1
        if not answered:
            self._counts["unanswered"] += 1
        if not self._may_tell(answered):
            self._untold[outcome.code or verdict] += 1
            return
        what = " ".join(one_line(name, _LONGEST_NAME) for name in (told.action, told.target) if name)
        issuer = one_line(told.issued_by, _LONGEST_NAME) or "the brain"
        extra = {"z4j_code": outcome.code, "z4j_command": told.action}
        code = f" ({outcome.code})" if outcome.code else ""
        if answered:
            how = "answered from memory" if again else outcome.verdict.value.replace("_", " ")
            log.info(f"command %s from %s: %s{code} in %.0f ms", what, issuer, how, ms, extra=extra)
            return
        level = logging.INFO if self._is_known(told, outcome.code) else logging.ERROR
        # from the catalogue: what an outcome itself says may hold values
        row = CATALOGUE.get(outcome.code)
        title, steps = (row.title, row.steps) if row else (outcome.verdict.value, ())
        cause = f"{what} from {issuer}: {title}"
        log.fault(level, f"command unanswered{code}", cause, steps, extra=extra)

    def _is_known(self, told: Told, code: str) -> bool:
        now_s = time.monotonic()
        self._errors = {key: s for key, s in self._errors.items() if now_s - s < SAME_ERROR_EVERY_S}
        return self._errors.setdefault((told.action, told.target, code), now_s) != now_s

    def _may_tell(self, answered: bool) -> bool:
        if self._window is None:
            self._lines.clear()
            self._window = asyncio.get_running_loop().call_later(_WINDOW_S, self._end_of_window)
        self._lines[answered] += 1
        return self._lines[answered] <= LINES_PER_S

    def _end_of_window(self) -> None:
        self._window = None
        if self._untold:
            listed = ", ".join(f"{count} {how}" for how, count in self._untold.most_common())
            count = self._untold.total()
            log.warning("%d more command%s within a second: %s", count, "s" * (count > 1), listed)
            self._untold.clear()
