"""A bare client that verifies each command and answers it at once, doing and remembering nothing, until killed."""

from __future__ import annotations

import asyncio
import os

from bare_client import introduced

from z4j_probes.protocol import FrameSigner, FrameVerifier, decode_secret


async def main() -> None:
    websocket, ack = await introduced()
    ids = (decode_secret(os.environ["Z4J_HMAC_SECRET"]), ack.agent_id, ack.project_id, ack.session_id)
    signer, verifier = FrameSigner(*ids), FrameVerifier(*ids)
    await websocket.send(signer.sign("event_batch", {"events": []}))
    async for raw in websocket:
        frame = verifier.verify(raw)
        if frame["type"] == "command":
            await websocket.send(signer.sign("command_ack", {}, frame["id"]))
            await websocket.send(signer.sign("command_result", {"status": "success"}, frame["id"]))


asyncio.run(main())
