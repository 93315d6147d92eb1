"""The real brain's Schedules page shows an arq worker's cron jobs, over deployments and kills."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from arq.connections import ArqRedis, RedisSettings, create_pool

from tests.interop.schedules_page import Rows, SchedulesPage, environment
from tests.interop.test_commands import minted
from tests.support.arq_cron_worker import RAN, cron_program
from tests.support.brain_api import BrainApi, Credentials
from tests.support.redis import running_redis
from z4j_fastapi import Z4JAgent

__all__ = ["minted"]

pytestmark = [pytest.mark.interop, pytest.mark.component]


@pytest.fixture
async def redis_url(tmp_path: Path) -> AsyncIterator[str]:
    async with running_redis(tmp_path) as url:
        yield url


@pytest.mark.waits
async def test_the_page_stays_true_over_a_deployment_and_a_kill(
    real_brain: BrainApi, minted: Credentials, tmp_path: Path, redis_url: str
) -> None:
    page, given = SchedulesPage(real_brain, minted), environment(real_brain, minted, tmp_path)
    redis: ArqRedis = await create_pool(RedisSettings.from_dsn(redis_url))
    with cron_program(sys.executable, redis_url, given, "nightly", "weekly", "often", "odd") as process:
        rows = await page.shows(lambda rows: len(rows) == 4 and rows["often"]["total_runs"] > 0, "four jobs")
        shown = {name: (row["expression"], row["kind"]) for name, row in rows.items()}
        assert shown == {
            "nightly": ("30 3 * * *", "cron"),
            "weekly": ("0 8,9 * * 1", "cron"),
            "often": ("* * * * * *", "cron"),
            "odd": ("0 0 1 * 1 (both day and weekday)", "cron"),
        }
        assert {row["scheduler"] for row in rows.values()} == {"arq-cron-mail"}
        assert rows["nightly"]["next_run_at"]
        assert rows["often"]["last_run_at"]

        # run one now
        done = await page.runs_now(rows["nightly"])
        assert (done["status"], done["error"]) == ("APPLIED", None)
        run = f"z4j-{done['id']}".encode()
        await page.shows(lambda rows: rows["nightly"]["total_runs"] == 1, "its run is counted")
        assert run in await redis.lrange(RAN, 0, -1)  # type: ignore[misc]

        # what a restart would lose is not offered
        assert await page.disables(rows["nightly"]) == 409
        os.kill(process.pid, signal.SIGKILL)

    # deployed without a job, killed and deployed again
    for names in (("nightly", "often"), ("often",)):
        with cron_program(sys.executable, redis_url, given, *names) as process:
            rows = await page.shows(partial(_has_only, names), f"only {names}")
            runs = rows["often"]["total_runs"]
            await page.shows(partial(_has_run, runs), "it goes on")
            os.kill(process.pid, signal.SIGKILL)

    # the last one goes as well, on a host whose disk is new: Redis still knows what was sent
    given["Z4J_HOME"] = str(tmp_path / "new-host")
    with cron_program(sys.executable, redis_url, given, "weekly"):
        rows = await page.shows(lambda rows: rows.keys() == {"weekly"}, "only the weekly job")
        done = await page.runs_now(rows["weekly"])
        assert done["status"] == "APPLIED"
    await redis.aclose()


def _has_only(names: tuple[str, ...], rows: Rows) -> bool:
    return rows.keys() == set(names)


def _has_run(runs: int, rows: Rows) -> bool:
    return bool(rows["often"]["total_runs"] > runs)


@pytest.mark.waits
@pytest.mark.parametrize("web_first", [True, False])
async def test_a_web_process_on_the_workers_token_takes_nothing_from_its_schedules(
    real_brain: BrainApi, minted: Credentials, tmp_path: Path, redis_url: str, web_first: bool
) -> None:
    page, given = SchedulesPage(real_brain, minted), environment(real_brain, minted, tmp_path)
    web = Z4JAgent(
        brain_url=real_brain.url,
        token=minted.token,
        hmac_secret=minted.hmac_secret,
        project_id=minted.project,
        agent_name="web",
        home=given["Z4J_HOME"],
        preflight_budget_s=60.0,
    )
    async with contextlib.AsyncExitStack() as stack:
        if web_first:
            await stack.enter_async_context(web)
        with cron_program(sys.executable, redis_url, given, "nightly", "often"):
            rows = await page.shows(lambda rows: len(rows) == 2, "two jobs")
            if not web_first:
                await stack.enter_async_context(web)
            assert (await page.runs_now(rows["nightly"]))["status"] == "APPLIED"
            rows = await page.shows(lambda rows: rows["nightly"]["total_runs"] == 1, "its run is counted")
            await page.shows(partial(_has_run, rows["often"]["total_runs"]), "it goes on")
