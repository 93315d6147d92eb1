"""A dev brain that asks two agents the same, in turn: COUNT commands of each action, one after the other.

Prints the settings of both agents, and the milliseconds until each result, once both are there.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from z4j_fastapi.devbrain import DevBrain

COUNT = int(sys.argv[1])
ASKED = {"cancel_task": {"task_id": "1"}, "submit_task": {"task_name": "note"}}


async def main() -> None:
    async with DevBrain() as brain:
        sides = ("ours", "bare")
        print(json.dumps({side: brain.environment(brain.mint(side)) for side in sides}), flush=True)
        await brain.wait_for_workers(2, timeout_s=60)
        workers = {"bare" if name == "bare.web.0" else "ours": name for name in brain.online_workers}
        took_ms = {side: {action: [] for action in ASKED} for side in sides}
        for _ in range(COUNT):
            for action, asked in ASKED.items():
                for side in sides:
                    await asyncio.sleep(0.005)
                    began_s = time.perf_counter()
                    result = await brain.command(action, worker_id=workers[side], timeout_s=60, **asked)
                    took_ms[side][action].append((time.perf_counter() - began_s) * 1e3)
                    assert result["status"] == "success", result
        print(json.dumps(took_ms), flush=True)


asyncio.run(main())
