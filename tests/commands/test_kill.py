"""A command is acted on once, though its worker is killed between acting and answering."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import file_worker
from tests.support.agents import until
from z4j_fastapi import Z4JAgent
from z4j_fastapi.devbrain import DevBrain

pytestmark = pytest.mark.component

STARTS_S = 60.0


@contextmanager
def worker(environment: dict[str, str], queue: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    program = [sys.executable, file_worker.__file__, str(queue), *arguments]
    with subprocess.Popen(program, env={**os.environ, **environment}) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_a_fire_that_was_done_before_the_kill_is_answered_after_it_and_done_once(
    tmp_path: Path,
) -> None:
    queue = tmp_path / "queue"
    queue.touch()
    async with DevBrain() as brain:
        environment = {**brain.environment(brain.mint("worker")), "Z4J_HOME": str(tmp_path / "z4j")}
        with worker(environment, queue, "die") as first:
            await brain.wait_for_workers(1, timeout_s=STARTS_S)
            command = await brain.send_command(
                "schedule.fire",
                target={"type": "schedule", "id": "s", "engine": "arq"},
                parameters={"task_name": "note", "engine": "arq", "fire_id": "f-1"},
            )
            await brain.wait_for_workers(0, timeout_s=STARTS_S)
            assert first.wait(STARTS_S) == -9
        assert command.result is None
        with worker(environment, queue):
            await brain.wait_for_workers(1, timeout_s=STARTS_S)
            await brain.send_again(command)
            result = await brain.wait_for_result(command, timeout_s=STARTS_S)
        assert result["status"] == "success"
        assert queue.read_text().split() == [result["result"]["task_id"]] == ["z4j-f-1"]


async def test_a_fire_that_was_passed_on_to_a_worker_that_is_killed_is_done_once(tmp_path: Path) -> None:
    """By a web process on the worker's token, to which the brain sends everything."""
    queue = tmp_path / "queue"
    queue.touch()
    async with DevBrain() as brain:
        one = brain.mint("worker")
        environment = {**brain.environment(one), "Z4J_HOME": str(tmp_path / "z4j")}
        web = Z4JAgent(
            brain_url=brain.url,
            token=one.token,
            hmac_secret=one.hmac_secret,
            project_id=one.project,
            home=tmp_path / "z4j",
            preflight_budget_s=STARTS_S,
        )
        async with web:
            web_id = web.status.worker_id
            with worker(environment, queue, "die") as first:
                await brain.wait_for_workers(2, timeout_s=STARTS_S)
                command = await brain.send_command(
                    "schedule.fire",
                    target={"type": "schedule", "id": "s", "engine": "arq"},
                    parameters={"task_name": "note", "engine": "arq", "fire_id": "f-1"},
                    worker_id=web_id,
                )
                await brain.wait_for_workers(1, timeout_s=STARTS_S)
                assert first.wait(STARTS_S) == -9
            await until(lambda: web.status.commands.get("command.outcome_unknown") == 1, "it was counted")
            assert command.result is None
            with worker(environment, queue):
                await brain.wait_for_workers(2, timeout_s=STARTS_S)
                async with asyncio.timeout(STARTS_S):
                    while command.result is None:  # as a brain does that has heard nothing
                        await brain.send_again(command, worker_id=web_id)
                        with contextlib.suppress(TimeoutError):
                            await brain.wait_for_result(command, timeout_s=2)
                result = command.result
    assert result["status"] == "success"
    assert queue.read_text().split() == [result["result"]["task_id"]] == ["z4j-f-1"]
