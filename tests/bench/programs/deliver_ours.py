"""Emit events while online: seconds from the first until the brain has acknowledged the last."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

from event import data_of

from z4j_fastapi import Z4JAgent

COUNT = int(sys.argv[1])
RUN = os.getpid()  # to a brain a known task is less work than a new one


async def main() -> None:
    async with Z4JAgent(preflight="strict") as agent:
        started_s = time.perf_counter()
        for number in range(COUNT):
            agent.emit("task.succeeded", task_id=f"task-{RUN}-{number}", engine="arq", **data_of(number))
        while agent.status.buffered:
            await asyncio.sleep(0.005)
        took_s = time.perf_counter() - started_s
        assert not agent.status.dropped
    print(json.dumps({"took_s": took_s}), flush=True)


asyncio.run(main())
