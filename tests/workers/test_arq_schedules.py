"""An arq worker's cron jobs on the page of an embedded brain, with a real Redis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from arq import cron
from redis.asyncio import Redis

from tests.support.agents import until
from tests.workers.test_arq import working
from z4j_fastapi.devbrain import DevBrain
from z4j_fastapi.schedules import at_desk

pytestmark = pytest.mark.component

RUNS: list[str] = []


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    RUNS.clear()
    monkeypatch.setattr(at_desk, "LOOK_EVERY_S", 0.1)


async def report(ctx: dict[str, Any]) -> None:
    """Be seen to have run."""
    RUNS.append(ctx["job_id"])


async def test_cron_jobs_are_shown_run_and_counted(brain: DevBrain, redis_url: str) -> None:
    jobs = [cron(report, name="nightly", hour=3, minute=0), cron(report, name="nightly", hour=4, minute=0)]
    async with working(redis_url, functions=[report], cron_jobs=jobs):
        await brain.wait_for_schedules("nightly", "nightly #2")
        await until(lambda: brain.schedules["nightly"]["next_run_at"] is not None, "arq knows when")
        assert brain.schedules["nightly #2"]["expression"] == "0 4 * * *"
        answer = await brain.run_schedule("nightly")
        assert answer["status"] == "success", answer["error"]
        task_id = answer["result"]["trigger_result"]["result"]["task_id"]
        await until(lambda: [task_id] == RUNS, "it ran once")
        await brain.seen.until(lambda: brain.schedules["nightly"]["total_runs"] == 1, "it was counted")
        assert brain.schedules["nightly"]["last_run_at"] is not None
        received = {"kind": "task.received", "task_id": task_id}.items()
        await brain.seen.until(
            lambda: any(received <= event.items() for event in brain.seen.events.values()), "it was told"
        )
    # it is in Redis, for the next worker on any host
    async with Redis.from_url(redis_url) as redis:
        assert await redis.hget("z4j:arq:cron:arq:queue", "count:nightly") == b"1"
        kept = [key async for key in redis.scan_iter("z4j:arq:schedules:*")]
        assert len(kept) == 2  # what was sent, and who sends it
        assert all([await redis.ttl(key) > 0 for key in kept])


async def test_a_worker_without_cron_jobs_says_nothing_of_schedules(
    brain: DevBrain, tmp_path: Path, redis_url: str
) -> None:
    async with working(redis_url, functions=[report]):
        await brain.wait_for_workers(1)
        assert brain.seen.hellos[0].schedulers == ()
    assert not list(tmp_path.rglob("schedules.sqlite"))  # noqa: ASYNC240 - the worker has ended
