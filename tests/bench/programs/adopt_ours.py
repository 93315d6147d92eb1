"""Emit steadily, with events of exited processes to adopt or without: microseconds each, and how many came."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time

from z4j_fastapi import Z4JAgent
from z4j_fastapi.agent import supervisor

ADOPTS, SECONDS = int(sys.argv[1]), float(sys.argv[2])
TICK_S = 0.002
# an agent looks for them every half minute; a benchmark does not wait for that
supervisor.ADOPT_EVERY_S = 0.5


async def main() -> None:
    logging.disable()
    async with Z4JAgent(preflight="off", shutdown_budget_s=0.1) as agent:
        before = agent.status.buffered
        took_us, emitted, adopted = [], 0, 0
        began_s = time.perf_counter()
        while adopted < ADOPTS or time.perf_counter() - began_s < SECONDS:
            await asyncio.sleep(TICK_S)
            before_s = time.perf_counter()
            agent.emit("task.succeeded", task_id="task", engine="arq", task_name="send_mail", queue="default")
            took_us.append((time.perf_counter() - before_s) * 1e6)
            emitted += 1
            if emitted % 100 == 0:
                adopted = agent.status.buffered - before - emitted
        took_s = time.perf_counter() - began_s
        print(json.dumps({"took_us": took_us, "adopted": adopted, "took_s": took_s}), flush=True)
        os._exit(0)


asyncio.run(main())
