"""The stage that every scenario of the matrix is set on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.faults.stage import Stage
from tests.support.brain_api import BrainApi


@pytest.fixture
async def stage(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """An empty stage; the real brain is started only for a scenario that asks for it."""

    def real_brain() -> BrainApi:
        brain: BrainApi = request.getfixturevalue("real_brain")
        return brain

    # other users' processes have to find what lies on it
    for parent in (tmp_path, *list(tmp_path.parents)[:3]):
        if parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o011)
    async with AsyncExitStack() as stack:
        yield Stage(tmp_path, stack, real_brain)
