"""An agent that emits, and says as a line of JSON each time what its status has become.

Time-lapse: what an agent waits for is shorter here, and the paths are the same. Its argument are
the sizes of its events in bytes, separated by commas. It ends when its input does.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys

from z4j_fastapi.agent import delivery, in_flight, reconnect, session, supervisor
from z4j_fastapi.agent.agent import Z4JAgent
from z4j_fastapi.agent.reconnect import Schedule

supervisor.UNACKNOWLEDGED_S = 1.0
session.WATCH_EVERY_S = 0.2
in_flight.ACK_TIMEOUT_S = 2.5
delivery.AGAIN_S = delivery.AGAIN_MAX_S = 0.5
for heals in reconnect._SCHEDULES:
    reconnect._SCHEDULES[heals] = Schedule(0.1, 0.1)


async def main() -> None:
    logging.disable(logging.CRITICAL)
    ends = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    said = ""
    async with Z4JAgent(preflight="off", shutdown_budget_s=0.5) as agent:
        for number, size in enumerate(filter(None, sys.argv[1].split(","))):
            agent.emit("task.sent", task_id=str(number), args=["x" * int(size)])
        while not ends.done():
            status = agent.status
            seen = {"state": status.state, "code": status.code, "reason": status.reason}
            line = json.dumps(seen | {"buffered": status.buffered, "set_aside": status.set_aside})
            if line != said:
                said = line
                print(line, flush=True)
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main())
