"""The agent's log. A host's handlers and filters may raise: that costs a line, not the agent.

Each text says whose it is, since many formats leave the logger's name out. Each record has the fields
`z4j_code`, `z4j_state` and `z4j_probe`, empty where there is nothing to say: a format may name them. A code
is part of the text's template as well, by which error trackers group.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from z4j_probes.redact import Redactor


_FIELDS = {"z4j_code": "", "z4j_state": "", "z4j_probe": ""}


class _Guarded(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        fields = {**_FIELDS, **(kwargs.get("extra") or {})}
        fields["z4j_probe"] = fields["z4j_probe"] or str(fields["z4j_code"]).partition(".")[0]
        return f"z4j: {msg}", {**kwargs, "extra": fields}

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


def traceback_text(exc: BaseException, redactor: Redactor) -> str:
    """The traceback without secrets, to be logged as text: error trackers show the locals of a real one."""
    return redactor.text("".join(traceback.format_exception(exc)))


def logger(name: str) -> _Guarded:
    """A logger of ours by its name."""
    return _Guarded(logging.getLogger(name))


log = logger("z4j.agent")
