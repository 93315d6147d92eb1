"""A z4j agent for FastAPI, arq and taskiq, and a doctor that says why it is not online.

Importing this package costs next to nothing: what it names is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from z4j_probes import (
        FrameRejected,
        ProtocolError,
        RegistryError,
        Settings,
        StorageError,
        Z4JError,
        __version__,
    )

_HOMES = {
    "FrameRejected": "z4j_probes",
    "ProtocolError": "z4j_probes",
    "RegistryError": "z4j_probes",
    "Settings": "z4j_probes",
    "StorageError": "z4j_probes",
    "Z4JError": "z4j_probes",
    "__version__": "z4j_probes",
}

__all__ = [
    "FrameRejected",
    "ProtocolError",
    "RegistryError",
    "Settings",
    "StorageError",
    "Z4JError",
    "__version__",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
