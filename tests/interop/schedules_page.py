"""The Schedules page of the real brain, as a person sees it, for workers of all kinds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support.brain_api import BrainApi, Credentials

WAIT_S = 90.0
Rows = dict[str, dict[str, Any]]


class SchedulesPage:
    """Of one project."""

    def __init__(self, brain: BrainApi, minted: Credentials) -> None:
        self._brain, self._minted = brain, minted

    async def shows(self, condition: Callable[[Rows], bool], what: str) -> Rows:
        """Its rows by name, once the condition holds."""
        rows: Rows = {}
        try:
            async with asyncio.timeout(WAIT_S):
                while True:
                    listed = await asyncio.to_thread(self._brain.schedules, self._minted.project)
                    rows = {row["name"]: row for row in listed}
                    if condition(rows):
                        return rows
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise AssertionError(f"not within {WAIT_S:g} s: {what}; the page shows {rows}") from None

    async def runs_now(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Click Run now; what became of it."""
        return await asyncio.to_thread(self._brain.run_now, self._minted, row)

    async def disables(self, row: Mapping[str, Any]) -> int:
        """Click Disable; the HTTP status."""
        return await asyncio.to_thread(self._brain.try_edit, self._minted, row, "disable")


def environment(brain: BrainApi, minted: Credentials, home: Path) -> dict[str, str]:
    """Of a worker that is this agent."""
    return {
        "Z4J_BRAIN_URL": brain.url,
        "Z4J_TOKEN": minted.token,
        "Z4J_HMAC_SECRET": minted.hmac_secret,
        "Z4J_PROJECT_ID": minted.project,
        "Z4J_AGENT_NAME": "mail",
        "Z4J_HOME": str(home / "z4j"),
    }
