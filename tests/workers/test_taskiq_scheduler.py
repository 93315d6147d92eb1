"""What the real `taskiq scheduler` sends is counted by the worker that runs it, with a real taskiq-redis."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.taskiq_worker import running_scheduler, running_taskiq, runs
from z4j_fastapi.devbrain import DevBrain

pytestmark = pytest.mark.component

WAIT_S = 90.0


@pytest.mark.waits
async def test_a_run_is_counted_whatever_id_the_scheduler_gives_to_a_label(
    brain: DevBrain, tmp_path: Path, redis_url: str
) -> None:
    environment = brain.environment(brain.mint("scheduled"))
    environment["TEST_SCHEDULES"] = json.dumps([{"interval": 3600, "args": ["o"]}])
    async with running_taskiq(tmp_path, redis_url, environment):
        await brain.wait_for_schedules("note", timeout_s=WAIT_S)
        assert brain.schedules["note"]["total_runs"] == 0
        async with running_scheduler(tmp_path, redis_url, environment):  # an interval begins with a run
            await brain.seen.until(
                lambda: brain.schedules["note"]["total_runs"] == 1, "it was counted", timeout_s=WAIT_S
            )
        assert runs(tmp_path) == ["note o"]
        row = brain.schedules["note"]
        assert row["last_run_at"] < row["next_run_at"]
