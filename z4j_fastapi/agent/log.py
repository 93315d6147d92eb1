"""The agent's log. A host's handlers and filters may raise: that costs a line, not the agent."""

from __future__ import annotations

import contextlib
import logging
from typing import Any


class _Guarded(logging.LoggerAdapter[logging.Logger]):
    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        with contextlib.suppress(Exception):  # there is nobody left who could be told
            super().log(level, msg, *args, **{"stacklevel": 2} | kwargs)


log = _Guarded(logging.getLogger("z4j.agent"))
