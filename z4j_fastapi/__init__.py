"""A z4j agent for FastAPI, arq and taskiq, and a doctor that says why it is not online.

Importing this package costs next to nothing: what it names is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from z4j_fastapi.agent.agent import Z4JAgent
    from z4j_fastapi.agent.errors import ForkedAgentError, PreflightError
    from z4j_fastapi.agent.events import EventKind
    from z4j_fastapi.agent.status import AgentStatus, State
    from z4j_fastapi.lifespan import z4j_lifespan
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
    "AgentStatus": "z4j_fastapi.agent.status",
    "EventKind": "z4j_fastapi.agent.events",
    "ForkedAgentError": "z4j_fastapi.agent.errors",
    "FrameRejected": "z4j_probes",
    "PreflightError": "z4j_fastapi.agent.errors",
    "ProtocolError": "z4j_probes",
    "RegistryError": "z4j_probes",
    "Settings": "z4j_probes",
    "State": "z4j_fastapi.agent.status",
    "StorageError": "z4j_probes",
    "Z4JAgent": "z4j_fastapi.agent.agent",
    "Z4JError": "z4j_probes",
    "__version__": "z4j_probes",
    "z4j_lifespan": "z4j_fastapi.lifespan",
}

__all__ = [
    "AgentStatus",
    "EventKind",
    "ForkedAgentError",
    "FrameRejected",
    "PreflightError",
    "ProtocolError",
    "RegistryError",
    "Settings",
    "State",
    "StorageError",
    "Z4JAgent",
    "Z4JError",
    "__version__",
    "z4j_lifespan",
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
