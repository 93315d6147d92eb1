"""Importing what `--worker` names, with the current directory first, as arq and taskiq do.

For taskiq, that may also be a function that returns the broker.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
from typing import Any

from z4j_fastapi.workers.examination.finding import Finding

_SAYS_NO_VALUE = (ImportError, AttributeError, SyntaxError, KeyError, NameError)


class NotImported(Exception):
    """It can't be had; `finding` says why."""

    def __init__(self, message: str, *, remedy: str = "", is_raised: bool = False, **details: Any) -> None:
        super().__init__(message)
        self.finding = Finding("worker.import_failed", message, details, remedy, is_raised)


def load(target: str) -> Any:
    """What `MODULE:NAME` (or `MODULE.NAME`) is. NotImported."""
    separator = ":" if ":" in target else "."
    module_name, _, name = target.rpartition(separator)
    sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
        if inspect.isfunction(found) and "taskiq" in sys.modules:
            found = found()
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as exc:  # the module's own code, sys.exit included
        where = _where(exc)
        at = f" at {os.path.relpath(where)}" if where else ""
        raise NotImported(
            f"importing {target} raised {_said(exc)}{at}", is_raised=bool(where), where=where
        ) from exc
    return found


def _said(exc: BaseException) -> str:
    """Its type, and what it says where that is a name and no value."""
    return f"{type(exc).__name__}: {exc}" if isinstance(exc, _SAYS_NO_VALUE) else type(exc).__name__


def _where(exc: BaseException) -> str:
    """The innermost line of the worker's own code, or of a library where none is in the directory."""
    frames = [
        frame
        for frame in traceback.extract_tb(exc.__traceback__)
        if frame.filename != __file__
        and not frame.filename.startswith("<")
        and "importlib" not in frame.filename
    ]
    own = [frame for frame in frames if _is_in_directory(frame.filename)]
    nearest = (own or frames)[-1:]
    return "".join(f"{frame.filename}:{frame.lineno}" for frame in nearest)


def _is_in_directory(file: str) -> bool:
    path = os.path.relpath(file)
    return not path.startswith("..") and "site-packages" not in path
