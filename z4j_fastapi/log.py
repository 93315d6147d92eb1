"""The agent's log. A host's handlers and filters may raise: that costs a line, not the agent.

Each text says whose it is, since many formats leave the logger's name out.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from z4j_probes.redact import Redactor


class _Guarded(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return f"z4j: {msg}", kwargs  # with `extra`, which an adapter would replace

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


log = _Guarded(logging.getLogger("z4j.agent"))
