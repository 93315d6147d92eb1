"""Emit from THREADS threads, COUNT events in all, while no brain is reachable: events a second."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import threading
import time

from z4j_fastapi import Z4JAgent

THREADS, COUNT = int(sys.argv[1]), int(sys.argv[2])


async def main() -> None:
    logging.disable()
    async with Z4JAgent(preflight="off", shutdown_budget_s=0.1) as agent:
        together = threading.Barrier(THREADS + 1)

        def emit() -> None:
            together.wait()
            for number in range(COUNT // THREADS):
                agent.emit("task.succeeded", task_id=f"task-{number}", engine="arq", task_name="send_mail")
            together.wait()

        for _ in range(THREADS):
            threading.Thread(target=emit, daemon=True).start()
        together.wait()
        started_s, cpu_s = time.perf_counter(), time.process_time()
        together.wait()
        took_s, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_s
        assert agent.status.buffered == COUNT, agent.status.buffered
        print(json.dumps({"per_s": COUNT / took_s, "cpu_us": cpu_s / COUNT * 1e6}), flush=True)
        os._exit(0)


asyncio.run(main())
