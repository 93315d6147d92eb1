"""What an agent has to know of the process that it is in: gevent, a reloader, a log that is switched off."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

# What an agent's thread, its event loop and its buffer stand on.
_NEEDED = ("threading", "socket", "select", "queue", "ssl")
# The options of uvicorn, gunicorn, hypercorn, granian and taskiq that say which directories a reloader
# watches, and which it does not; arq's --watch switches it on as well.
_WATCHED = ("--reload-dir", "--reload-dirs", "--reload-paths", "--watch")
_EXCLUDED = ("--reload-exclude", "--reload-ignore-dirs", "--reload-ignore-paths")


def monkey_patching() -> str:
    """Why no agent can live here, where gevent or eventlet has replaced what it stands on; else empty."""
    for library, patched in (("gevent", _patched_by_gevent()), ("eventlet", _patched_by_eventlet())):
        if patched:
            return (
                f"{library} has monkey-patched {', '.join(patched)}: not supported, since the agent needs "
                f"real threads and sockets. Run it in a process that {library} does not patch"
            )
    return ""


def _patched_by_gevent() -> list[str]:
    monkey = sys.modules.get("gevent.monkey")
    is_patched = getattr(monkey, "is_module_patched", None)
    return [name for name in _NEEDED if is_patched(name)] if is_patched else []


def _patched_by_eventlet() -> list[str]:
    is_patched = getattr(sys.modules.get("eventlet.patcher"), "is_monkey_patched", None)
    names = {"thread": "threading", "socket": "socket", "select": "select"}
    return [name for kind, name in names.items() if is_patched(kind)] if is_patched else []


def reloader_that_watches(path: Path, argv: Sequence[str]) -> str:
    """The directory above `path` that this service's reloader watches, by its command line; empty if none.

    A reloader that takes any file's change for the source's restarts the service each time the agent keeps
    an event, and the agent keeps one as it starts.
    """
    if not _is_reloading(argv):
        return ""
    path = path.resolve()
    if any(excluded and excluded.strip("*/") in str(path) for excluded in _values(argv, _EXCLUDED)):
        return ""
    watched = list(_values(argv, _WATCHED)) or [os.curdir]
    above = (str(Path(directory).resolve()) for directory in watched)
    return next((directory for directory in above if path.is_relative_to(directory)), "")


def _is_reloading(argv: Sequence[str]) -> bool:
    names = {argument.partition("=")[0] for argument in argv}
    program = Path(argv[0]).stem if argv else ""
    return (
        not names.isdisjoint(("--reload", "--watch"))
        or (program == "taskiq" and "-r" in names)
        or (program == "fastapi" and "dev" in names and "--no-reload" not in names)
    )


def _values(argv: Sequence[str], options: Sequence[str]) -> Iterator[str]:
    for argument, following in zip(argv, [*argv[1:], ""], strict=True):
        name, is_joined, value = argument.partition("=")
        if name in options:
            yield value if is_joined else following


def log_fault(logger: logging.Logger) -> str:
    """Why not even an error in this log appears; empty if it does."""
    if logger.disabled:
        return f"the logger {logger.name} is disabled (a logging configuration with disable_existing_loggers)"
    if not logger.isEnabledFor(logging.ERROR):
        return f"the level of the logger {logger.name} is above ERROR"
    if not logger.hasHandlers() and logging.lastResort is None:
        return f"the logger {logger.name} has no handler"
    return ""
