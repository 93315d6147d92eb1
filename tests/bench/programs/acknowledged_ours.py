"""CPU of an event from `emit` to its acknowledgement: COUNT events, PER_S a second (0: at once), in microseconds."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from event import data_of

from z4j_fastapi import Z4JAgent

COUNT, PER_S = int(sys.argv[1]), float(sys.argv[2])
TICK_S = 0.02


async def main() -> None:
    async with Z4JAgent(preflight="strict", preflight_budget_s=30) as agent:
        await asyncio.sleep(0.5)
        began_s = time.monotonic()
        cpu_s = time.process_time()
        for number in range(COUNT):
            if PER_S and number % max(1, int(PER_S * TICK_S)) == 0:
                await asyncio.sleep(began_s + number / PER_S - time.monotonic())
            agent.emit("task.succeeded", task_id=f"task-{number}", engine="arq", **data_of(number))
        while agent.status.buffered:
            await asyncio.sleep(TICK_S)
        cpu_s = time.process_time() - cpu_s
        assert agent.status.acknowledged == COUNT
    print(json.dumps({"cpu_us": cpu_s / COUNT * 1e6}), flush=True)


asyncio.run(main())
