"""The hello of a doctor: one row of its own on the brain's dashboard, and nothing changed on any other.

A hello overwrites what the dashboard shows of an agent, and every worker id stays there as a row. So a doctor
repeats what the agent on this machine said last, sends no host, gives the version that a brain does not
record, and has one stable id for each machine and service.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from z4j_probes.climb import Climb
from z4j_probes.portable import machine
from z4j_probes.protocol import UNRECORDED_VERSION, Hello
from z4j_probes.threads import in_daemon_thread

if TYPE_CHECKING:
    from z4j_probes.storage import LastHello

# Leaves room in a worker id for role, fingerprint and pid.
MAX_HOST_LENGTH = 96


async def doctor_hello(climb: Climb) -> Hello:
    """The doctor's hello."""
    return await _make_hello(climb, "")


async def second_doctor_hello(climb: Climb) -> Hello:
    """The doctor's hello with its pid in the id, for a climb after another doctor took the first one's id."""
    return await _make_hello(climb, f".{os.getpid()}")


async def _make_hello(climb: Climb, suffix: str) -> Hello:
    from z4j_probes.storage import LastHello, fingerprint, identity, recall_hello  # as late as `buffer`

    settings = climb.settings
    service = identity(settings.brain_url or "", settings.project_id, settings.agent_name)
    # Without a directory (the buffer probe failed or was left out) the id is still the same at each run.
    directory = climb.directory.path if climb.has("directory") else Path()

    def look_up() -> tuple[str, LastHello | None]:
        last = recall_hello(directory, service) if climb.has("directory") else None
        return fingerprint(directory, service), last

    mark, last = await in_daemon_thread(look_up)
    last = last or LastHello(framework="fastapi")
    host = (machine.host_name() or "localhost")[:MAX_HOST_LENGTH]
    return Hello(
        agent_version=UNRECORDED_VERSION,
        worker_id=f"{host}.doctor.{mark}{suffix}",
        worker_role="other",
        worker_pid=os.getpid(),
        worker_started_at=climb.started_at,
        framework=last.framework,
        engines=last.engines,
        schedulers=last.schedulers,
        capabilities=last.capabilities,
        project=settings.project_id,
    )
