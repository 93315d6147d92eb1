"""What the kernel allows this process: open files, the size of a file, processes and threads."""

from __future__ import annotations

import sys
from typing import NamedTuple


class Limit(NamedTuple):
    """A soft and a hard limit; None for one that is not set."""

    soft: int | None
    hard: int | None


def limit(name: str) -> Limit | None:
    """The limit of that name of getrlimit(2), as in `NOFILE`; None where the system has no such limits."""
    if sys.platform != "win32":
        try:
            import resource
        except ImportError:
            return None
        number = getattr(resource, f"RLIMIT_{name}", None)
        if number is not None:
            soft, hard = resource.getrlimit(number)
            return Limit(_known(soft, resource.RLIM_INFINITY), _known(hard, resource.RLIM_INFINITY))
    return None


def _known(value: int, infinity: int) -> int | None:
    return None if value == infinity else value
