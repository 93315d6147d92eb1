"""The real brain's Schedules page shows what a taskiq worker's schedule sources have."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.schedules_page import Rows, SchedulesPage, environment
from tests.interop.test_commands import minted
from tests.support.brain_api import BrainApi, Credentials
from tests.support.redis import running_redis
from tests.support.taskiq_worker import running_taskiq, runs

__all__ = ["minted"]

pytestmark = [pytest.mark.interop, pytest.mark.component]

NIGHTLY: dict[str, Any] = {"cron": "30 3 * * *", "cron_offset": "Europe/Berlin", "kwargs": {"what": "n"}}
OFTEN: dict[str, Any] = {"interval": 3600, "args": ["o"]}


@pytest.fixture
async def redis_url(tmp_path: Path) -> AsyncIterator[str]:
    async with running_redis(tmp_path) as url:
        yield url


def by_expression(rows: Rows) -> Rows:
    return {row["expression"]: row for row in rows.values()}


async def test_the_page_stays_true_over_a_deployment_and_a_kill(
    real_brain: BrainApi, minted: Credentials, tmp_path: Path, redis_url: str
) -> None:
    page, given = SchedulesPage(real_brain, minted), environment(real_brain, minted, tmp_path)
    given["TEST_SCHEDULES"] = json.dumps([NIGHTLY, OFTEN])
    async with running_taskiq(tmp_path, redis_url, given) as worker:
        rows = by_expression(await page.shows(lambda rows: len(rows) == 2, "two schedules"))
        assert rows.keys() == {"30 3 * * *", "3600s"}
        nightly, often = rows["30 3 * * *"], rows["3600s"]
        assert (nightly["kind"], nightly["timezone"], nightly["task_name"]) == (
            "cron",
            "Europe/Berlin",
            "note",
        )
        assert (often["kind"], often["args"], often["scheduler"]) == ("interval", ["o"], "taskiq-mail")
        assert nightly["next_run_at"]
        done = await page.runs_now(often)
        assert (done["status"], done["error"]) == ("APPLIED", None)
        await page.shows(lambda rows: rows[often["name"]]["total_runs"] == 1, "its run is counted")
        assert runs(tmp_path) == ["note o"]
        assert await page.disables(nightly) == 409
        os.killpg(worker.process.pid, signal.SIGKILL)

    # deployed without the one
    given |= {"TEST_SCHEDULES": json.dumps([OFTEN])}
    async with running_taskiq(tmp_path, redis_url, given):
        rows = by_expression(await page.shows(lambda rows: len(rows) == 1, "one schedule"))
        assert rows["3600s"]["total_runs"] == 1
        done = await page.runs_now(rows["3600s"])
        assert done["status"] == "APPLIED"
        await page.shows(lambda rows: next(iter(rows.values()))["total_runs"] == 2, "it goes on")
