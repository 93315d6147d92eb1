"""The brain's own pace: the same events from a bare client, in large signed batches, one after the other."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

from bare_client import introduced
from event import make_event

from z4j_probes.protocol import FrameSigner, decode_secret

COUNT = int(sys.argv[1])
BATCH = 100
RUN = os.getpid()  # to a brain a known task is less work than a new one


async def main() -> None:
    websocket, ack = await introduced()
    secret = decode_secret(os.environ["Z4J_HMAC_SECRET"])
    signer = FrameSigner(secret, ack.agent_id, ack.project_id, ack.session_id)
    events = [make_event(f"task-{RUN}-{number}", number) for number in range(COUNT)]
    started_s = time.perf_counter()
    for first in range(0, COUNT, BATCH):
        await websocket.send(signer.sign("event_batch", {"events": events[first : first + BATCH]}))
        await websocket.recv()
    took_s = time.perf_counter() - started_s
    await websocket.close()
    print(json.dumps({"took_s": took_s}), flush=True)


asyncio.run(main())
