"""All agents of one service on this host: this process's own as it is now, others by their status files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from z4j_fastapi.inventory.metrics import OPENMETRICS, PROMETHEUS, render
from z4j_fastapi.inventory.rows import AgentRow
from z4j_probes.portable import user
from z4j_probes.storage.status_files import read_status_files


def exposition(description: Mapping[str, Any], accept: bytes) -> tuple[str, str]:
    """The text and its content type: OpenMetrics where the client takes it.

    `description` is what the agent of this process says of itself. Reads files, so not for a host's loop.
    """
    is_openmetrics = b"application/openmetrics-text" in accept
    text = render(rows_beside(description), openmetrics=is_openmetrics)
    return text, OPENMETRICS if is_openmetrics else PROMETHEUS


def rows_beside(description: Mapping[str, Any]) -> list[AgentRow]:
    """The agent that is described, and those of the same service that hold another slot."""
    own = AgentRow.parse(description, None)
    directory = description.get("buffer_path")
    rows: list[AgentRow] = []
    if isinstance(directory, str):
        with contextlib.suppress(OSError):
            for found in read_status_files(Path(directory)):
                row = AgentRow.parse(found.document, found.slot)
                if row is not None and own is not None and row.worker_id == own.worker_id:
                    own = replace(own, slot=found.slot)
                elif row is not None:
                    rows.append(row)
    where = directory if isinstance(directory, str) else ""
    facts: dict[str, str] = {"directory": where, "state_directory": os.path.dirname(where)}
    facts["user"] = user.name()
    return [replace(row, **facts) for row in (own, *rows) if row is not None]  # type: ignore[arg-type]
