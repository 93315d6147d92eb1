"""Many agents in one process; says when all are online, and lives until stdin ends."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack

from z4j_fastapi import Z4JAgent
from z4j_fastapi.agent.status import State


async def main() -> None:
    async with AsyncExitStack() as stack:
        agents = []
        for number in range(int(sys.argv[1])):
            home = os.path.join(os.environ["HOME"], str(number))
            agents.append(await stack.enter_async_context(Z4JAgent(home=home, shutdown_budget_s=0.2)))
        while not all(agent.status.state is State.ONLINE for agent in agents):
            await asyncio.sleep(0.05)
        print("online", flush=True)
        await asyncio.to_thread(sys.stdin.read)


asyncio.run(main())
