"""A dev brain in a process of its own; prints its settings, then what it has seen, at each line read."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from z4j_fastapi.devbrain import DevBrain, Limits


def rss_kib() -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


async def main() -> None:
    brain = DevBrain(limits=Limits(connects_per_minute=10**9, workers_per_agent=10**6))
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    async with brain:
        print(json.dumps(brain.environment(brain.mint("bench"))), flush=True)
        while order := (await orders.readline()).decode().strip():
            if order == "stop":
                await brain.stop()
            elif order == "start":
                await brain.start()
            seen = brain.seen
            print(
                json.dumps(
                    {
                        "at_s": time.monotonic(),
                        "connections": seen.connections,
                        "online": len(brain.online_workers),
                        "events": len(seen.events),
                        "rss_kib": rss_kib(),
                    }
                ),
                flush=True,
            )


asyncio.run(main())
