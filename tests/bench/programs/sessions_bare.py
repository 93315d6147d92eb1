"""Bare clients that hold sessions: as many as the last line of the input says; answers each line when they are."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys

import bare_client

FIRST = bare_client.HELLO


async def main() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    orders = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    held = []
    while order := (await orders.readline()).strip():
        while len(held) < int(order):
            bare_client.HELLO = FIRST._replace(worker_id=f"bare.web.{len(held)}")
            websocket, ack = await bare_client.introduced()
            await bare_client.proven(websocket, ack)
            held.append(websocket)
        print(json.dumps(len(held)), flush=True)
    os._exit(0)


asyncio.run(main())
