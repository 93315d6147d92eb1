"""A process with nothing but an agent, online and idle: its memory at the peak."""

from __future__ import annotations

import asyncio
import json
import sys

from peak import peak_mib

from z4j_fastapi import Z4JAgent


async def main() -> None:
    async with Z4JAgent(preflight="strict"):
        await asyncio.sleep(float(sys.argv[1]))
        print(json.dumps({"peak_mib": peak_mib()}), flush=True)


asyncio.run(main())
