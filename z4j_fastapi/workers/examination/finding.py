"""Finding: one outcome of an examination, as it passes from one process to the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """A code of the catalogue's `worker.*`, what was seen, and the evidence: JSON without secrets.

    `remedy` is what to do, empty where the catalogue's steps fit. `is_raised` is of an import that ended with
    an exception: the whole traceback helps.
    """

    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)
    remedy: str = ""
    is_raised: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be examined. `directory` is the agent's identity's, empty where it has none yet."""

    target: str
    agent_name: str
    directory: str = ""
    timeout_s: float = 5.0
