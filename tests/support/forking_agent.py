"""An agent whose process forks while it is online, as a handler may; the child lives until its stdin ends."""

from __future__ import annotations

import asyncio
import os
import sys

from z4j_fastapi.agent.agent import Z4JAgent


async def main() -> None:
    """Say the child's pid once it is there, then stay online."""
    async with Z4JAgent(preflight="strict"):
        child = os.fork()
        if child == 0:
            sys.stdin.read()
            os._exit(0)
        print(child, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
