"""An agent whose engine does nothing, until its input ends."""

from __future__ import annotations

import asyncio
import sys

from z4j_fastapi import Z4JAgent
from z4j_fastapi.workers.engine import Action, Engine, NewTask


class NoEngine(Engine):
    """Does nothing, in the host's loop."""

    name = "arq"
    actions = frozenset({Action.CANCEL_TASK, Action.SUBMIT_TASK})

    async def cancel(self, task_id: str) -> None:
        return None

    async def submit(self, task: NewTask) -> None:
        return None


async def main() -> None:
    async with Z4JAgent(preflight="strict", preflight_budget_s=30, engine=NoEngine()):
        await asyncio.to_thread(sys.stdin.read)


asyncio.run(main())
