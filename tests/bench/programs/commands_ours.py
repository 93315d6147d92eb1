"""How late a host's event loop is without commands and with them: ticks of 1 ms, twice SECONDS long."""

from __future__ import annotations

import asyncio
import json
import sys

from z4j_fastapi import Z4JAgent
from z4j_fastapi.workers.engine import Action, Engine, NewTask

SECONDS = float(sys.argv[1])
TICK_S = 0.001


class NoEngine(Engine):
    """Does nothing, in the host's loop."""

    name = "arq"
    actions = frozenset({Action.CANCEL_TASK, Action.SUBMIT_TASK})

    async def cancel(self, task_id: str) -> None:
        await asyncio.sleep(0)

    async def submit(self, task: NewTask) -> None:
        await asyncio.sleep(0)


async def lateness_ms() -> list[float]:
    loop = asyncio.get_running_loop()
    late, began_s = [], loop.time()
    for number in range(int(SECONDS / TICK_S)):
        due_s = began_s + (number + 1) * TICK_S
        await asyncio.sleep(due_s - loop.time())
        late.append(max(0.0, loop.time() - due_s) * 1e3)
    return late


async def main() -> None:
    async with Z4JAgent(preflight="strict", engine=NoEngine()) as agent:
        quiet = await lateness_ms()
        commanded = await lateness_ms()
        await asyncio.sleep(1)
        counts = agent.status.commands
    print(json.dumps({"quiet": quiet, "commanded": commanded, "counts": dict(counts)}), flush=True)


asyncio.run(main())
