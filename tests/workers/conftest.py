"""Fixtures of worker tests: a Redis, a brain, and the environment of an agent that belongs to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.redis import running_redis
from z4j_fastapi.devbrain import DevBrain


@pytest.fixture
async def redis_url(tmp_path: Path) -> AsyncIterator[str]:
    async with running_redis(tmp_path) as url:
        yield url


@pytest.fixture
async def brain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DevBrain]:
    """An embedded brain whose agent the `Z4J_*` variables of this process describe."""
    async with DevBrain() as brain:
        for name, value in brain.environment(brain.mint("worker")).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("Z4J_HOME", str(tmp_path / "z4j"))
        yield brain
