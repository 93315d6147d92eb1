"""Running a `DevBrain` for a person at a terminal, until it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from z4j_fastapi.devbrain.accounts import Credentials
from z4j_fastapi.devbrain.server import DevBrain


async def serve_forever(
    announce: Callable[[DevBrain, Credentials], None],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    agent_name: str = "dev",
    project: str = "default",
) -> None:
    """Start a brain, make one agent, and hand both to `announce` once connections are accepted."""
    async with DevBrain(host=host, port=port) as brain:
        announce(brain, brain.mint(agent_name, project))
        await asyncio.Event().wait()
