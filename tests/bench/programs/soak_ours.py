"""A worker with several agents that emit at a steady rate; it says which events emit took, and how it fares.

Each line of its output is a task id for which emit returned True, or a JSON object: once a minute, and once
when all is delivered, which is asked for by closing its input.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from contextlib import AsyncExitStack

from z4j_fastapi import Z4JAgent

AGENTS, PER_S, NAME = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
REPORT_S = 60.0


def say(line: str) -> None:
    """At once: what was said before a kill is in the pipe."""
    os.write(1, f"{line}\n".encode())


async def emit(agent: Z4JAgent, number: int, took_us: list[float], late_ms: list[float]) -> None:
    loop = asyncio.get_running_loop()
    began_s, count = loop.time() + number / AGENTS / PER_S, 0
    while not ends.is_set():
        due_s = began_s + count / PER_S
        await asyncio.sleep(due_s - loop.time())
        late_ms.append(max(0.0, loop.time() - due_s) * 1e3)
        task_id = f"{NAME}-{number}-{count}"
        count += 1
        started_s = time.perf_counter()
        is_kept = agent.emit("task.succeeded", task_id=task_id, engine="arq", args=["x" * 500])
        took_us.append((time.perf_counter() - started_s) * 1e6)
        say(task_id if is_kept else json.dumps({"refused": task_id}))


async def report(took_us: list[float], late_ms: list[float]) -> None:
    while True:
        await asyncio.sleep(REPORT_S)
        say(json.dumps({"took_us": took_us, "late_ms": late_ms}))
        took_us.clear()
        late_ms.clear()


async def main() -> None:
    took_us: list[float] = []
    late_ms: list[float] = []
    loop = asyncio.get_running_loop()
    waits = loop.run_in_executor(None, sys.stdin.read)
    waits.add_done_callback(lambda done: ends.set())
    async with AsyncExitStack() as stack:
        agents = [await stack.enter_async_context(Z4JAgent(preflight="off")) for _ in range(AGENTS)]
        reporter = asyncio.create_task(report(took_us, late_ms))
        await asyncio.gather(*(emit(agent, n, took_us, late_ms) for n, agent in enumerate(agents)))
        reporter.cancel()
        while any(agent.status.buffered for agent in agents):
            await asyncio.sleep(0.1)
        status = [agent.status for agent in agents]
        say(json.dumps({"states": [s.state for s in status], "dropped": sum(s.dropped for s in status)}))


ends = asyncio.Event()
asyncio.run(main())
