"""A process with nothing but an agent, online and idle for SECONDS: its memory at the peak, its CPU meanwhile."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from peak import peak_mib

from z4j_fastapi import Z4JAgent
from z4j_fastapi.agent.status import State

SECONDS, SETTLES_S = float(sys.argv[1]), float(sys.argv[2])


async def main() -> None:
    async with Z4JAgent() as agent:
        while agent.status.state is not State.ONLINE:
            await asyncio.sleep(0.05)
        await asyncio.sleep(SETTLES_S)
        cpu_s = time.process_time()
        await asyncio.sleep(SECONDS)
        cpu_s = time.process_time() - cpu_s
        print(json.dumps({"peak_mib": peak_mib(), "cpu_s": cpu_s}), flush=True)


asyncio.run(main())
