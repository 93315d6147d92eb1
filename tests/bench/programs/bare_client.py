"""The floor: websockets alone, a hello by hand, and one signed frame that is acknowledged."""

from __future__ import annotations

import os

from websockets.asyncio.client import ClientConnection, connect

from z4j_probes.protocol import FrameSigner, FrameVerifier, Hello, HelloAck, decode_secret, parse, utc_now

HELLO = Hello(
    agent_version="0.0.0",
    worker_id="bare.web.0",
    worker_role="web",
    worker_pid=1,
    worker_started_at=utc_now(),
    project="default",
)


async def introduced() -> tuple[ClientConnection, HelloAck]:
    """Connect, say hello, and take the answer."""
    url = os.environ["Z4J_BRAIN_URL"].replace("http", "ws", 1) + "/ws/agent"
    headers = {"Authorization": f"Bearer {os.environ['Z4J_TOKEN']}"}
    websocket = await connect(url, additional_headers=headers, proxy=None)
    await websocket.send(HELLO.frame())
    return websocket, HelloAck.from_frame(parse(await websocket.recv()))


async def proven(websocket: ClientConnection, ack: HelloAck) -> None:
    """Send an empty batch, and verify its acknowledgement."""
    ids = (decode_secret(os.environ["Z4J_HMAC_SECRET"]), ack.agent_id, ack.project_id, ack.session_id)
    await websocket.send(FrameSigner(*ids).sign("event_batch", {"events": []}))
    FrameVerifier(*ids).verify(await websocket.recv())
