"""How late a host's event loop is, at 1,000 events a second and without an agent: the p99 of both, in ms."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from z4j_fastapi import Z4JAgent

SECONDS = float(sys.argv[1])
TICK_S = 0.001


async def lateness_ms(agent: Z4JAgent | None) -> list[float]:
    """A tick each millisecond, as a host's timers would have it; with an agent, an event each."""
    loop = asyncio.get_running_loop()
    late, began_s = [], loop.time()
    for number in range(int(SECONDS / TICK_S)):
        due_s = began_s + (number + 1) * TICK_S
        await asyncio.sleep(due_s - loop.time())
        late.append(max(0.0, loop.time() - due_s) * 1e3)
        if agent:
            agent.emit("task.succeeded", task_id=f"task-{number}", engine="arq", task_name="send_mail")
    return late


async def main() -> None:
    alone = await lateness_ms(None)
    started_s = time.perf_counter()
    async with Z4JAgent(preflight="strict") as agent:
        start_s = time.perf_counter() - started_s
        emitting = await lateness_ms(agent)
        dropped = agent.status.dropped
    print(
        json.dumps({"alone": alone, "emitting": emitting, "start_s": start_s, "dropped": dropped}), flush=True
    )


asyncio.run(main())
