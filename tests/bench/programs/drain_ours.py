"""Emit while the brain can't be reached, then let it: seconds until it has acknowledged everything.

COUNT events, in batches of at most BATCH (as many as the agent likes, where that is left out).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from z4j_fastapi import Z4JAgent
from z4j_fastapi.agent import in_flight

COUNT = int(sys.argv[1])
if len(sys.argv) > 2:
    in_flight.MAX_EVENTS = int(sys.argv[2])
    in_flight.START_EVENTS = min(in_flight.START_EVENTS, in_flight.MAX_EVENTS)


async def main() -> None:
    # a wrong token keeps the events here, on the file that the next agent of this identity opens
    async with Z4JAgent(token="not-this-one", preflight="off", shutdown_budget_s=0.1) as agent:
        for number in range(COUNT):
            agent.emit("task.succeeded", task_id=f"task-{number}", engine="arq", task_name="send_mail")
    async with Z4JAgent(preflight="strict") as agent:
        started_s, waiting = time.perf_counter(), agent.status.buffered
        while agent.status.buffered:
            await asyncio.sleep(0.005)
        took_s = time.perf_counter() - started_s
    print(json.dumps({"events": waiting, "took_s": took_s}), flush=True)


asyncio.run(main())
