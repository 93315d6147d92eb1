"""Emit for SECONDS while each fsync and fdatasync takes SYNC_S (see the preloaded library): microseconds each."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time

from z4j_fastapi import Z4JAgent

SECONDS, SYNC_S = float(sys.argv[1]), sys.argv[2]
TICK_S = 0.001


async def main() -> None:
    logging.disable()
    async with Z4JAgent(preflight="off", shutdown_budget_s=0.1) as agent:
        os.environ["Z4J_TEST_SYNC_S"] = SYNC_S  # not before: what opens the file is no emit
        took_us = []
        until_s = time.perf_counter() + SECONDS
        while time.perf_counter() < until_s:
            await asyncio.sleep(TICK_S)
            before_s = time.perf_counter()
            kept = agent.emit("task.succeeded", task_id="task", engine="arq", args=["x" * 500])
            took_us.append((time.perf_counter() - before_s) * 1e6)
            assert kept
        print(json.dumps({"took_us": took_us}), flush=True)
        os._exit(0)


asyncio.run(main())
