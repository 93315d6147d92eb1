"""Four uvicorn workers on the real brain's API: four workers of one agent, however often they start."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.brain_api import BrainApi, Credentials
from tests.support.uvicorn import Uvicorn

pytestmark = pytest.mark.interop


async def test_four_workers_are_four_rows_of_one_agent(real_brain: BrainApi, tmp_path: Path) -> None:
    credentials = real_brain.mint()
    settings = {
        "Z4J_BRAIN_URL": real_brain.url,
        "Z4J_TOKEN": credentials.token,
        "Z4J_HMAC_SECRET": credentials.hmac_secret,
        "Z4J_AGENT_NAME": credentials.name,
    }
    for _ in range(2):
        async with Uvicorn(settings, tmp_path, "--workers", "4"):
            async with asyncio.timeout(60):
                # the brain announces nothing
                while len(await asyncio.to_thread(online, real_brain, credentials)) < 4:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            rows = real_brain.workers(credentials)
            assert len(rows) == 4
            assert {str(row["worker_id"]).split(".")[-2] for row in rows} == {"0", "1", "2", "3"}
    assert [agent["id"] for agent in real_brain.agents()].count(credentials.agent_id) == 1


def online(brain: BrainApi, agent: Credentials) -> list[str]:
    """The worker ids that the brain shows online for this agent."""
    return [str(row["worker_id"]) for row in brain.workers(agent) if row["state"] == "online"]
