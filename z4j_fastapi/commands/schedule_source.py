"""ScheduleSource: the schedules that a worker's framework runs by itself, for each framework to implement.

All methods run in the worker's event loop and within a few seconds: they are cancelled then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from z4j_probes.protocol.schedules import Kind, Row

__all__ = ["Kind", "Row", "ScheduleSource"]


class ScheduleSource(Protocol):
    """What an engine has as `schedules` where its framework has schedules of its own."""

    kind: str
    """What the owner's name begins with: "arq-cron", "taskiq"."""

    @property
    def has_any(self) -> bool:
        """Whether there may be schedules at all. Read once, when the agent starts; it asks no one."""
        ...

    async def rows(self) -> Sequence[Row]:
        """All of them as they are now. Any exception means that they can't be read: none is taken as gone."""
        ...

    async def run_now(self, key: str, task_id: str) -> None:
        """Put the task of one schedule into its queue, once for each `task_id`.

        Raises as an engine's methods do: Refused where nothing was done, Failed where it was tried.
        """
        ...

    async def recall(self, name: str) -> str | None:
        """The text that any process of the service has kept under this name; None where there is none."""
        return None

    async def keep(self, name: str, text: str) -> bool:
        """Keep a text for months where all processes of the service find it; False without such a place."""
        return False
