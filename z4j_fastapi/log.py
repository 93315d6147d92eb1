"""The agent's log. A host's handlers and filters may raise: that costs a line, not the agent.

Each text says whose it is, since many formats leave the logger's name out. Each record has the fields
`z4j_code`, `z4j_state` and `z4j_probe`, empty where there is nothing to say: a format may name them. A code
is part of the text's template as well, by which error trackers group.

A fault is one record, and one line where it fits. Else its first line has the code and the cause, and what
happens next if there is room for it; the rest follows in indented lines.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Iterable, MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from z4j_probes.redact import Redactor
    from z4j_probes.result import Step

LINE_WIDTH = 100
"""Columns of a line, without what a handler's format writes before it."""
_OURS = "z4j: "
_HANG = 2
_FIELDS = {"z4j_code": "", "z4j_state": "", "z4j_probe": ""}


class _Guarded(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        fields = {**_FIELDS, **(kwargs.get("extra") or {})}
        fields["z4j_probe"] = fields["z4j_probe"] or str(fields["z4j_code"]).partition(".")[0]
        return f"{_OURS}{msg}", {**kwargs, "extra": fields}

    def fault(
        self,
        level: int,
        subject: str,
        cause: str,
        steps: Iterable[Step] = (),
        *,
        row: str = "",
        ending: str = "",
        extra: dict[str, Any],
    ) -> None:
        """Log `subject: cause. Fix. Ending.`; the template has `subject`, which therefore names the code.

        `row` is what the doctor's table says of the cause: shorter, for a first line that has no room for it.
        """
        try:
            text = _fault_text(f"{_OURS}{subject}: ", cause, tuple(steps), row, ending)
        except (OSError, ImportError, MemoryError):  # nothing is left to load with what lays it out
            text = cause
        self.log(level, f"{subject}: %s", text, stacklevel=3, extra=extra)

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        try:
            super().log(level, msg, *args, **{"stacklevel": 2} | kwargs)
        except Exception:  # noqa: S110 - the log is where this would be reported
            pass
        except BaseException:
            # a handler that exits may end the program, in the thread that can do so; elsewhere, and in the
            # agent's threads, SystemExit would end the thread and nothing else
            if threading.current_thread() is threading.main_thread():
                raise


def _fault_text(start: str, cause: str, steps: tuple[Step, ...], row: str, ending: str) -> str:
    """What follows `start`: on its line if all fits there, else the fix on lines of its own."""
    from z4j_fastapi.reports.text import step_lines, wrap
    from z4j_probes.result import in_one_line

    def said(*texts: str) -> str:
        return " ".join(text if text.endswith((".", "!", "?")) else f"{text}." for text in texts if text)

    def fits(text: str) -> bool:
        return len(start) + len(text) <= LINE_WIDTH and "\n" not in text

    whole = said(cause, in_one_line(steps), ending)
    if fits(whole) and not any(step.command for step in steps):
        return whole
    if fits(said(cause, ending)):
        first, rest = said(cause, ending), []
    elif row and fits(said(row, ending)):
        first, rest = said(row, ending), wrap(said(cause), LINE_WIDTH - _HANG)
    else:
        first, rest = said(cause), [ending] if ending else []
    lines = wrap(f"{start}{first}", LINE_WIDTH, hang=_HANG)
    for step in steps:
        for line, is_command in step_lines(step, LINE_WIDTH - _HANG):
            rest.append(f"    {line}" if is_command else line)
    return "\n".join([lines[0][len(start) :], *lines[1:], *(" " * _HANG + line for line in rest)])


def traceback_text(exc: BaseException, redactor: Redactor) -> str:
    """The traceback without secrets, to be logged as text: error trackers show the locals of a real one."""
    return redactor.text("".join(traceback.format_exception(exc)))


def logger(name: str) -> _Guarded:
    """A logger of ours by its name."""
    return _Guarded(logging.getLogger(name))


log = logger("z4j.agent")
