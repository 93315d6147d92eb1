"""Importing what `--worker` names, with the current directory first, as arq and taskiq do."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import Any

from z4j_fastapi.workers.examination.finding import Finding

_SAYS_NO_VALUE = (ImportError, AttributeError, SyntaxError, KeyError, NameError)


class NotImported(Exception):
    """It can't be had; `finding` says why."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.finding = Finding("worker.import_failed", message, details)


def load(target: str) -> Any:
    """What `MODULE:NAME` (or `MODULE.NAME`) is. NotImported."""
    separator = ":" if ":" in target else "."
    module_name, _, name = target.rpartition(separator)
    if not module_name or not name:
        raise NotImported(f"{target} is not MODULE:NAME")
    sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as exc:  # the module's own code, sys.exit included
        raise NotImported(f"importing {target} raised {_said(exc)}", where=_where(exc)) from exc
    return found


def _said(exc: BaseException) -> str:
    """Its type, and what it says where that is a name and no value."""
    return f"{type(exc).__name__}: {exc}" if isinstance(exc, _SAYS_NO_VALUE) else type(exc).__name__


def _where(exc: BaseException) -> str:
    frames = traceback.extract_tb(exc.__traceback__)
    own = [frame for frame in frames if "importlib" not in frame.filename and frame.filename != __file__]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""
