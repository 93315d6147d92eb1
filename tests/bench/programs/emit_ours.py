"""Emit events while no brain is reachable: microseconds until each survives the process, and the start."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time

from z4j_fastapi import Z4JAgent

COUNT = int(sys.argv[1])


async def main() -> None:
    logging.disable()
    started_s = time.perf_counter()
    async with Z4JAgent(preflight="off", shutdown_budget_s=0.1) as agent:
        start_ms = (time.perf_counter() - started_s) * 1e3
        took_us = []
        for number in range(COUNT):
            before_s = time.perf_counter()
            kept = agent.emit(
                "task.succeeded",
                task_id=f"task-{number}",
                engine="arq",
                task_name="send_mail",
                queue="default",
                args=["someone@example.com", number],
                runtime_ms=12.5,
            )
            took_us.append((time.perf_counter() - before_s) * 1e6)
            assert kept
        buffered = agent.status.buffered
    said = {"took_us": took_us, "start_ms": start_ms, "buffered": buffered}
    print(json.dumps(said), flush=True)
    os._exit(0)


asyncio.run(main())
