"""What the real brain's dashboard shows of an arq worker, also beside a web process on its token."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.interop.test_arq_commands import desk, environment_of, minted, redis_url
from tests.interop.test_commands import WAIT_S
from tests.support.brain_api import BrainApi, Credentials
from tests.support.pages import DOCS, load
from tests.support.taskiq_worker import QUEUE as STREAM
from tests.support.taskiq_worker import running_taskiq
from tests.workers.test_arq_commands import HOUR_S, QUEUE
from z4j_fastapi import State, Z4JAgent
from z4j_fastapi.agent import gauges

__all__ = ["minted", "redis_url"]

pytestmark = pytest.mark.interop


async def shown(look: Callable[[], Any], what: str) -> Any:
    """The first true thing that `look` gives; it asks the brain, so it runs in a thread."""
    try:
        async with asyncio.timeout(WAIT_S):
            while not (found := await asyncio.to_thread(look)):  # noqa: ASYNC110
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"not within {WAIT_S:g} s: {what}") from None
    return found


@pytest.mark.waits
async def test_depths_workers_and_health_are_on_their_pages(
    real_brain: BrainApi,
    minted: Credentials,
    tmp_path: Path,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gauges, "EVERY_S", 1.0)
    async with desk(real_brain, minted, redis_url, tmp_path, max_jobs=1) as at:
        running = await at.enqueue("forever")
        await at.is_shown(running, "started")
        for _ in range(3):
            await at.enqueue("note")
        await at.enqueue("note", _defer_by=HOUR_S)
        await shown(lambda: real_brain.queue_depths(minted.project) == {QUEUE: 3}, "a depth of 3")

        def worker() -> Any:
            rows = [row for row in real_brain.engine_workers(minted) if row["active_tasks"] == 1]
            return real_brain.engine_worker(minted, rows[0]["id"]) if rows else None

        row = await shown(worker, "the worker's row")
        assert (row["name"], row["engine"], row["state"]) == (at.agent.status.worker_id, "arq", "online")
        assert (row["pid"], row["concurrency"], row["queues"]) == (os.getpid(), 1, [QUEUE])
        metadata = row["metadata"]
        assert metadata["registered"] == ["fail", "forever", "note"]
        assert metadata["stats"]["total"] == {"forever": 1}
        assert [task["id"] for task in metadata["active"]] == [running]
        assert metadata["conf"]["worker_concurrency"] == 1
        assert row["agent_id"] == minted.agent_id  # its buttons work: it is known whose it is
        (health, *_) = await shown(lambda: real_brain.health(minted), "the agent's health")
        assert health["telemetry_loss"]["event_records"] == 0


@pytest.mark.slow
async def test_the_brain_hears_of_the_agent_while_redis_is_silent(
    real_brain: BrainApi, minted: Credentials, tmp_path: Path, redis_url: str
) -> None:
    async with desk(real_brain, minted, redis_url, tmp_path, health_check_interval=3600) as at:
        pid = (await at.pool.info("server"))["process_id"]
        os.kill(pid, signal.SIGSTOP)
        try:
            began_s, heard = time.monotonic(), set[str]()

            def hears() -> bool:
                heard.update(row["last_seen_at"] for row in real_brain.workers(minted))
                return len(heard) > 2 and time.monotonic() - began_s > 6

            await shown(hears, "two more heartbeats")
        finally:
            os.kill(pid, signal.SIGCONT)
        assert at.agent.status.state is State.ONLINE


@pytest.mark.slow
async def test_a_stream_of_a_thousand_old_messages_is_shown_as_nothing_that_waits(
    real_brain: BrainApi, minted: Credentials, tmp_path: Path, redis_url: str
) -> None:
    async with Redis.from_url(redis_url) as redis:
        for _ in range(1_000):
            await redis.xadd(STREAM, {b"data": b"{}"})
    async with running_taskiq(tmp_path, redis_url, environment_of(real_brain, minted, tmp_path)):
        depths = await shown(lambda: real_brain.queue_depths(minted.project), "a depth")
        assert depths == {STREAM: 0}
        (row,) = await shown(lambda: real_brain.engine_workers(minted), "the worker")
        assert (row["engine"], row["queues"]) == ("taskiq", [STREAM])


@pytest.mark.parametrize("web_first", [True, False])
async def test_a_web_process_on_the_workers_token_breaks_no_button(
    real_brain: BrainApi, minted: Credentials, tmp_path: Path, redis_url: str, web_first: bool
) -> None:
    web = Z4JAgent(
        brain_url=real_brain.url,
        token=minted.token,
        hmac_secret=minted.hmac_secret,
        project_id=minted.project,
        agent_name="web",
        home=tmp_path / "z4j",
        preflight_budget_s=WAIT_S,
    )
    if web_first:
        await web.__aenter__()
    try:
        async with desk(real_brain, minted, redis_url, tmp_path, allow_abort_jobs=True) as at:
            if not web_first:
                await web.__aenter__()
            assert web.status.state is State.ONLINE
            row = await asyncio.to_thread(real_brain.agent, minted)
            assert row["engine_adapters"] == ["arq"]
            assert "cancel_task" in row["capabilities"]["arq"]
            running = await at.enqueue("forever")
            await at.is_shown(running, "started")
            assert (await at.cancels(running))["status"] == "completed"
            await at.is_shown(running, "revoked")
            dead = await at.enqueue("fail", "no")
            await at.is_shown(dead, "failure")
            page = await asyncio.to_thread(real_brain.dead_letters, minted, "arq")
            assert [entry["task_id"] for entry in page["entries"]] == [dead]
            at.worker.ctx["fails"] = False
            requeued = await at.person.does("requeue-dead-letter", engine="arq", task_id=dead)
            await at.is_shown(requeued["result"]["task_id"], "success")
            # the brain sends to whichever connected first
            assert web.status.commands.get("passed_on", 0) == (3 if web_first else 0)
    finally:
        await web.__aexit__()


@pytest.mark.slow
async def test_a_browser_shows_the_workers_schedules_and_dead_letters(tmp_path: Path) -> None:
    pictures = load(DOCS / "dashboard_pictures.py")
    said = await pictures.draw(tmp_path)
    assert "Failed: 3" in said["workers"].replace("\n", " ")
    assert "2 of 2 dead letters" in said["dead-letters"]
    for page in pictures.PAGES:
        assert (tmp_path / f"dashboard-{page}.png").stat().st_size > 10_000
        assert (DOCS / "pictures" / f"dashboard-{page}.png").is_file()
