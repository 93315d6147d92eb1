"""The event loop of doctor, health page and agent: one kind, so that all of them see the same errors."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

# The host's policy may be uvloop's, whose transports tell less than a probe has to know. On Windows asyncio's
# own choice, the Proactor loop, gives a refused connection as EINVAL, and a reset one as WinError 64.
new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.SelectorEventLoop


# A selector loop of Windows that waits does not notice Ctrl-C.
_LOOK_FOR_CTRL_C_S = 0.2


def run(main: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run, in a loop of that kind."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        if sys.platform == "win32":
            _look_for_ctrl_c(runner.get_loop())
        return runner.run(main)


def _look_for_ctrl_c(loop: asyncio.AbstractEventLoop) -> None:
    loop.call_later(_LOOK_FOR_CTRL_C_S, _look_for_ctrl_c, loop)
