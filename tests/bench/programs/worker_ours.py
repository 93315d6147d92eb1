"""One worker of many: says when it is online, lives until its input ends, and says what CPU that cost."""

from __future__ import annotations

import asyncio
import json
import resource
import sys

from z4j_fastapi import Z4JAgent
from z4j_fastapi.agent.status import State


async def main() -> None:
    async with Z4JAgent(preflight="warn", shutdown_budget_s=1) as agent:
        while agent.status.state is not State.ONLINE:
            await asyncio.sleep(0.02)
        used = resource.getrusage(resource.RUSAGE_SELF)
        said = {"worker": agent.status.worker_id, "cpu_s": used.ru_utime + used.ru_stime}
        print(json.dumps(said), flush=True)
        await asyncio.to_thread(sys.stdin.read)


asyncio.run(main())
