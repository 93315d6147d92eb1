"""An arq worker as a process: killed or restarted, what a brain asked of it happens once all the same."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
from arq.connections import ArqRedis, RedisSettings, create_pool

from tests.support.arq_worker import BEGUN, RAN, arq_program
from tests.support.task_events import kinds
from z4j_fastapi.devbrain import Command, DevBrain

pytestmark = pytest.mark.component

STARTS_S = 60.0
FIRES = 10
DIES_AT = ("z4j-f-3", "z4j-f-7")


@pytest.fixture
def environment(brain: DevBrain, tmp_path: Path) -> dict[str, str]:
    return {**brain.environment(brain.mint("worker")), "Z4J_HOME": str(tmp_path / "z4j")}


async def fire(brain: DevBrain, number: int) -> Command:
    return await brain.send_command(
        "schedule.fire",
        target={"type": "schedule", "id": "s", "engine": "arq"},
        parameters={"task_name": "note", "engine": "arq", "fire_id": f"f-{number}"},
    )


async def idle(redis: ArqRedis) -> None:
    """Nothing is queued or runs: a job that a kill cuts off is run again by arq itself, minutes later."""
    async with asyncio.timeout(STARTS_S):
        while await redis.zcard("arq:queue"):  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.02)


async def test_a_schedule_that_fires_ten_times_runs_once_each_though_the_worker_is_killed(
    brain: DevBrain, redis_url: str, environment: dict[str, str]
) -> None:
    redis: ArqRedis = await create_pool(RedisSettings.from_dsn(redis_url))
    numbers, lost = iter(range(FIRES)), None
    for dies_at in (*DIES_AT, None):
        with arq_program(sys.executable, redis_url, environment, dies_at=dies_at) as process:
            await brain.wait_for_workers(1, timeout_s=STARTS_S)
            if lost is not None:  # as a brain does that has heard nothing
                await brain.send_again(lost)
                assert (await brain.wait_for_result(lost, timeout_s=STARTS_S))["status"] == "success"
            for number in numbers:
                command = await fire(brain, number)
                if f"z4j-f-{number}" == dies_at:
                    assert await asyncio.to_thread(process.wait, STARTS_S) == -signal.SIGKILL
                    assert command.result is None
                    lost = command
                    break
                assert (await brain.wait_for_result(command, timeout_s=STARTS_S))["status"] == "success"
                await brain.send_again(command)
                await idle(redis)
        await brain.wait_for_workers(0, timeout_s=STARTS_S)
    ran = await redis.lrange(RAN, 0, -1)  # type: ignore[misc]
    await redis.aclose()
    assert Counter(job_id.decode() for job_id in ran) == {f"z4j-f-{number}": 1 for number in range(FIRES)}


async def test_a_task_left_started_by_a_kill_is_reconciled(
    brain: DevBrain, redis_url: str, environment: dict[str, str]
) -> None:
    redis: ArqRedis = await create_pool(RedisSettings.from_dsn(redis_url))
    job = await redis.enqueue_job("forever")
    assert job is not None
    with arq_program(sys.executable, redis_url, environment) as process:
        await brain.wait_for_workers(1, timeout_s=STARTS_S)
        async with asyncio.timeout(STARTS_S):
            while not await redis.exists(BEGUN) or "started" not in kinds(brain, job.job_id):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        process.kill()
    await brain.wait_for_workers(0, timeout_s=STARTS_S)
    await redis.delete(f"arq:in-progress:{job.job_id}")  # as its expiry does, after job_timeout and 10 s
    blind = {**environment, "Z4J_DISABLED": "1"}  # tells the brain nothing of how it ended
    with arq_program(sys.executable, redis_url, blind):
        await job.result(STARTS_S, poll_delay=0.05)
    assert kinds(brain, job.job_id)[-1] == "started"
    with arq_program(sys.executable, redis_url, environment):
        await brain.wait_for_workers(1, timeout_s=STARTS_S)
        answer = await brain.command("reconcile_task", task_id=job.job_id, timeout_s=STARTS_S)
    assert answer["result"]["engine_state"] == "success"
    assert answer["result"]["finished_at"]
    await redis.aclose()


async def test_a_supervised_worker_ends_once_it_has_answered_and_an_other_ones_name_is_refused(
    brain: DevBrain, redis_url: str, environment: dict[str, str]
) -> None:
    supervised = {**environment, "Z4J_COMMANDS": "all", "SUPERVISOR_ENABLED": "1"}
    with arq_program(sys.executable, redis_url, supervised) as process:
        await brain.wait_for_workers(1, timeout_s=STARTS_S)
        (name,) = brain.online_workers
        refused = await brain.command("restart_worker", worker_name="another", timeout_s=STARTS_S)
        assert refused["error"].startswith("command.no_worker_here: ")
        answer = await brain.command("restart_worker", worker_name=name, timeout_s=STARTS_S)
        assert answer["status"] == "success"
        assert await asyncio.to_thread(process.wait, STARTS_S) == 0
        await brain.wait_for_workers(0, timeout_s=STARTS_S)
