"""From settings to a proven session with a z4j brain, one probe at a time.

    from z4j_probes import Ladder, Settings, default_registry

    report = await Ladder(default_registry(), Settings.load()).run()

Prints nothing and knows no framework: the doctor and the agent of `z4j_fastapi` stand on it.
"""

from z4j_probes._version import __version__
from z4j_probes.climb import Climb, LiveSession
from z4j_probes.codes import Code, outcome
from z4j_probes.errors import FrameRejected, ProtocolError, RegistryError, StorageError, Z4JError
from z4j_probes.ladder import Ladder
from z4j_probes.probe import Probe
from z4j_probes.registry import Registry, default_registry
from z4j_probes.result import ProbeResult, Report, Status, Step
from z4j_probes.selection import SelectionError, select
from z4j_probes.settings import Settings

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
