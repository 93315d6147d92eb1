"""A dev brain that asks its first worker for COUNT things within SECONDS.

Prints its settings and the latencies.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from z4j_fastapi.devbrain import DevBrain

COUNT, SECONDS = int(sys.argv[1]), float(sys.argv[2])


async def main() -> None:
    async with DevBrain() as brain:
        print(json.dumps(brain.environment(brain.mint("bench"))), flush=True)
        await brain.wait_for_workers(1, timeout_s=60)
        loop = asyncio.get_running_loop()
        await asyncio.sleep(SECONDS)  # the host measures itself alone

        async def ask(number: int) -> float:
            action = ("cancel_task", "submit_task")[number % 2]
            asked = {"task_id": str(number)} if action == "cancel_task" else {"task_name": "note"}
            began_s = time.perf_counter()
            result = await brain.command(action, timeout_s=60, **asked)
            assert result["status"] == "success", result
            return (time.perf_counter() - began_s) * 1e3

        began_s = loop.time()
        async with asyncio.TaskGroup() as group:
            asking = []
            for number in range(COUNT):
                await asyncio.sleep(began_s + number * SECONDS / COUNT - loop.time())
                asking.append(group.create_task(ask(number)))
        latencies = [each.result() for each in asking]
        print(json.dumps({"cancel_ms": latencies[::2], "submit_ms": latencies[1::2]}), flush=True)


asyncio.run(main())
