"""From `async with Z4JAgent` until it is online, and what a bare client takes, in turn."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from bare_client import introduced, proven

from z4j_fastapi import Z4JAgent

COUNT = int(sys.argv[1])


async def agent_ms() -> float:
    started_s = time.perf_counter()
    async with Z4JAgent() as agent:
        took_ms = (time.perf_counter() - started_s) * 1e3
        assert agent.status.state == "online", agent.status
    return took_ms


async def bare_ms() -> tuple[float, float]:
    started_s = time.perf_counter()
    websocket, ack = await introduced()
    hello_ms = (time.perf_counter() - started_s) * 1e3
    await proven(websocket, ack)
    proven_ms = (time.perf_counter() - started_s) * 1e3
    await websocket.close()
    return hello_ms, proven_ms


async def main() -> None:
    await agent_ms(), await bare_ms()  # loads what either needs
    agent, bare = [], []
    for _ in range(COUNT):
        for samples, take in ((agent, agent_ms), (bare, bare_ms)):
            await asyncio.sleep(0.1)  # the brain is still busy with the end of the session before
            samples.append(await take())
    hello, whole = zip(*bare, strict=True)
    print(json.dumps({"agent_ms": agent, "hello_ms": hello, "proven_ms": whole}), flush=True)


asyncio.run(main())
