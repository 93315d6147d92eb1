"""From settings to a proven session with a z4j brain, one probe at a time.

    from z4j_probes import Ladder, Settings, default_registry

    report = await Ladder(default_registry(), Settings.load()).run()

Prints nothing and knows no framework: the doctor and the agent of `z4j_fastapi` stand on it. What the package
names is loaded when it is first used: a service that only has settings pays for no ladder.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from z4j_probes._version import __version__

if TYPE_CHECKING:
    from z4j_probes.climb import Climb, LiveSession
    from z4j_probes.codes import Code, outcome
    from z4j_probes.errors import FrameRejected, ProtocolError, RegistryError, StorageError, Z4JError
    from z4j_probes.ladder import Ladder
    from z4j_probes.probe import Probe
    from z4j_probes.registry import Registry, default_registry
    from z4j_probes.result import ProbeResult, Report, Status, Step
    from z4j_probes.selection import SelectionError, select
    from z4j_probes.settings import Settings

_NAMES = {
    "climb": ("Climb", "LiveSession"),
    "codes": ("Code", "outcome"),
    "errors": ("FrameRejected", "ProtocolError", "RegistryError", "StorageError", "Z4JError"),
    "ladder": ("Ladder",),
    "probe": ("Probe",),
    "registry": ("Registry", "default_registry"),
    "result": ("ProbeResult", "Report", "Status", "Step"),
    "selection": ("SelectionError", "select"),
    "settings": ("Settings",),
}
_HOMES = {name: f"{__name__}.{module}" for module, names in _NAMES.items() for name in names}

__all__ = [
    "Climb",
    "Code",
    "FrameRejected",
    "Ladder",
    "LiveSession",
    "Probe",
    "ProbeResult",
    "ProtocolError",
    "Registry",
    "RegistryError",
    "Report",
    "SelectionError",
    "Settings",
    "Status",
    "Step",
    "StorageError",
    "Z4JError",
    "__version__",
    "default_registry",
    "outcome",
    "select",
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
