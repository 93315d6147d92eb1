"""A bare WebSocket client that speaks the protocol by hand, to test the brain without the agent."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from z4j_fastapi.devbrain import Credentials, DevBrain
from z4j_probes.protocol import (
    FrameSigner,
    FrameVerifier,
    Hello,
    HelloAck,
    decode_secret,
    parse,
    utc_now,
)


@dataclass(frozen=True, slots=True)
class BareAgent:
    """One session, after hello_ack."""

    websocket: ClientConnection
    ack: HelloAck
    signer: FrameSigner
    verifier: FrameVerifier

    async def send(self, kind: str, payload: dict[str, Any], frame_id: str | None = None) -> None:
        await self.websocket.send(self.signer.sign(kind, payload, frame_id))

    async def receive(self) -> dict[str, Any]:
        return self.verifier.verify(await self.websocket.recv())


def hello(worker_id: str | None = "web-1.web.0") -> Hello:
    return Hello(
        agent_version="0.1.0",
        worker_id=worker_id,
        worker_role="web",
        worker_pid=1,
        worker_started_at=utc_now(),
        engines=("arq",),
        project="default",
    )


def event(**changes: Any) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "engine": "arq",
        "task_id": "t-1",
        "kind": "task.succeeded",
        "occurred_at": "2026-11-23T20:00:00Z",
        "data": {"task_name": "send_mail"},
    } | changes


@asynccontextmanager
async def upgraded(
    brain: DevBrain, token: str, ssl_context: ssl.SSLContext | None = None
) -> AsyncIterator[ClientConnection]:
    """A WebSocket to the brain, nothing said yet."""
    url = brain.url.replace("http", "ws", 1) + "/ws/agent"
    headers = {"Authorization": f"Bearer {token}"}
    async with connect(
        url, additional_headers=headers, ssl=ssl_context, proxy=None, close_timeout=1
    ) as websocket:
        yield websocket


async def make_hello(
    websocket: ClientConnection, credentials: Credentials, worker_id: str | None = "web-1.web.0"
) -> BareAgent:
    """Say hello and take the answer."""
    await websocket.send(hello(worker_id).frame())
    ack = HelloAck.from_frame(parse(await websocket.recv()))
    ids = (decode_secret(credentials.hmac_secret), ack.agent_id, ack.project_id, ack.session_id)
    return BareAgent(websocket, ack, FrameSigner(*ids), FrameVerifier(*ids))


@asynccontextmanager
async def online(
    brain: DevBrain,
    credentials: Credentials,
    worker_id: str | None = "web-1.web.0",
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncIterator[BareAgent]:
    """A live session."""
    async with upgraded(brain, credentials.token, ssl_context) as websocket:
        yield await make_hello(websocket, credentials, worker_id)


async def close_code(websocket: ClientConnection) -> int | None:
    """What the brain closes this connection with."""
    await websocket.wait_closed()
    return websocket.close_code
