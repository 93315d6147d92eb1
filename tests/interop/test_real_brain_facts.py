"""What this project takes for granted about the brain, held against the real one.

A bare client, no part of the ladder or the agent: where one of these fails, the brain has changed, and it is
the protocol notes that have to be looked at first.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.agents import until
from tests.support.brain_api import BrainApi, Credentials
from tests.support.real_brain import BrainProcess
from z4j_probes.protocol import (
    CloseCode,
    FrameSigner,
    FrameVerifier,
    Hello,
    HelloAck,
    decode_secret,
    encode_secret,
    parse,
    timestamp,
    utc_now,
)

pytestmark = pytest.mark.interop

REPLY_BUDGET_S = 60.0
"""Far more than the brain needs: it has other tests to serve."""

SERVICE_RESTART = 1012
"""RFC 6455's registry: what the brain's server says when an operator stops it."""


class Session:
    """One session with the brain: what was greeted, what is signed, what comes back."""

    def __init__(
        self, websocket: ClientConnection, ack: HelloAck, hmac_secret: str, clock_off: timedelta = timedelta()
    ) -> None:
        self.websocket = websocket
        self.ack = ack
        secret = decode_secret(hmac_secret)
        ids = (ack.agent_id, ack.project_id, ack.session_id)
        self.signer = FrameSigner(secret, *ids, clock=lambda: utc_now() + clock_off)
        self._verifier = FrameVerifier(secret, *ids)

    async def send_batch(self, *events: dict[str, Any]) -> str:
        """Send a signed batch; the text that went out."""
        frame = self.signer.sign("event_batch", {"events": list(events)})
        await self.websocket.send(frame)
        return frame

    async def receive(self) -> dict[str, Any]:
        """The next frame of the brain, its signature checked."""
        async with asyncio.timeout(REPLY_BUDGET_S):
            return self._verifier.verify(await self.websocket.recv())

    async def close_code(self) -> int | None:
        """Read until the brain closes, and say with which code."""
        return await close_code(self.websocket)


async def close_code(websocket: ClientConnection) -> int | None:
    async with asyncio.timeout(REPLY_BUDGET_S):
        try:
            while True:
                await websocket.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


def dial(brain: BrainApi, token: str, path: str = "/ws/agent", **options: Any) -> connect:
    url = brain.url.replace("http", "ws", 1) + path
    return connect(url, additional_headers={"Authorization": f"Bearer {token}"}, proxy=None, **options)


def hello(worker_id: str = "facts") -> Hello:
    return Hello(
        agent_version="0.0.0",
        worker_id=worker_id,
        worker_role="other",
        worker_pid=os.getpid(),
        worker_started_at=utc_now(),
    )


@asynccontextmanager
async def session(brain: BrainApi, agent: Credentials, worker_id: str = "facts") -> AsyncIterator[Session]:
    async with dial(brain, agent.token) as websocket:
        await websocket.send(hello(worker_id).frame())
        async with asyncio.timeout(REPLY_BUDGET_S):
            ack = HelloAck.from_frame(parse(await websocket.recv()))
        yield Session(websocket, ack, agent.hmac_secret)


def event(task_id: str, kind: str = "task.succeeded", **data: Any) -> dict[str, Any]:
    moment = timestamp(utc_now())
    facts = {"id": str(uuid.uuid4()), "engine": "arq", "task_id": task_id, "kind": kind}
    return {**facts, "occurred_at": moment, "data": {"task_name": "send_mail", **data}}


@pytest.fixture
def agent(real_brain: BrainApi) -> Credentials:
    return real_brain.mint()


async def test_a_bad_token_is_refused_after_the_upgrade_not_on_it(real_brain: BrainApi) -> None:
    async with dial(real_brain, "not-a-token") as websocket:
        assert websocket.response is not None
        assert websocket.response.status_code == 101
        assert await close_code(websocket) == CloseCode.TOKEN_REJECTED


async def test_a_wrong_path_is_refused_on_the_upgrade(real_brain: BrainApi, agent: Credentials) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with dial(real_brain, agent.token, "/ws/nothing"):
            pass
    assert refused.value.response.status_code == 403


async def test_hello_is_answered_with_ids_clock_and_limits(real_brain: BrainApi, agent: Credentials) -> None:
    async with session(real_brain, agent) as live:
        assert live.ack.agent_id == agent.agent_id
        assert live.ack.project_id == agent.project_id
        assert str(uuid.UUID(live.ack.project_id)) == live.ack.project_id
        assert live.ack.heartbeat_interval_seconds == 10
        assert live.ack.max_frame_size_bytes == 1_048_576


async def test_the_brain_sends_binary_messages_and_takes_them(
    real_brain: BrainApi, agent: Credentials
) -> None:
    async with session(real_brain, agent) as live:
        await live.websocket.send(live.signer.sign("event_batch", {"events": []}).encode())
        assert isinstance(await live.websocket.recv(), bytes)


@pytest.mark.parametrize("offered", ["deflate", None])
async def test_compression_is_taken_where_it_is_offered(
    real_brain: BrainApi, agent: Credentials, offered: str | None
) -> None:
    async with dial(real_brain, agent.token, compression=offered) as websocket:
        assert websocket.response is not None
        assert ("permessage-deflate" in websocket.response.headers.get("Sec-WebSocket-Extensions", "")) is (
            offered is not None
        )


async def test_an_empty_signed_batch_is_acknowledged(real_brain: BrainApi, agent: Credentials) -> None:
    async with session(real_brain, agent) as live:
        sent = parse(await live.send_batch())
        reply = await live.receive()
    assert reply["type"] == "event_batch_ack"
    assert reply["payload"] == {"acked_id": sent["id"], "received": 0, "accepted": 0, "rejected": 0}


async def test_a_batch_of_events_lands_in_the_brains_tasks(real_brain: BrainApi, agent: Credentials) -> None:
    queue = f"q-{secrets.token_hex(6)}"
    events = [event(f"{queue}-{n}", "task.failed", queue=queue, exception="ValueError: ☕") for n in range(3)]
    async with session(real_brain, agent) as live:
        await live.send_batch(*events)
        assert (await live.receive())["payload"]["accepted"] == 3
    tasks = real_brain.tasks(queue=queue)
    assert {task["task_id"] for task in tasks} == {each["task_id"] for each in events}
    assert {(task["state"], task["exception"]) for task in tasks} == {("failure", "ValueError: ☕")}


async def test_a_batch_sent_again_is_acknowledged_and_counted_once(
    real_brain: BrainApi, agent: Credentials
) -> None:
    queue = f"q-{secrets.token_hex(6)}"
    once = event(queue, queue=queue)
    async with session(real_brain, agent) as live:
        for _ in range(2):
            await live.send_batch(once)
            assert (await live.receive())["payload"]["received"] == 1
    assert len(real_brain.tasks(queue=queue)) == 1


async def test_a_wrong_secret_closes_the_session(real_brain: BrainApi, agent: Credentials) -> None:
    async with session(real_brain, agent) as live:
        stranger = Session(live.websocket, live.ack, encode_secret(b"x" * 32))
        await stranger.send_batch()
        assert await live.close_code() == CloseCode.FORBIDDEN


async def test_an_unsigned_frame_closes_the_session(real_brain: BrainApi, agent: Credentials) -> None:
    async with session(real_brain, agent) as live:
        frame = parse(live.signer.sign("event_batch", {"events": []}))
        del frame["hmac"]
        await live.websocket.send(json.dumps(frame))
        assert await live.close_code() == CloseCode.FORBIDDEN


async def test_a_replayed_frame_closes_the_session(real_brain: BrainApi, agent: Credentials) -> None:
    async with session(real_brain, agent) as live:
        frame = await live.send_batch()
        await live.receive()
        await live.websocket.send(frame)
        assert await live.close_code() == CloseCode.FORBIDDEN


@pytest.mark.parametrize("minutes", [-2, 2])
async def test_a_clock_two_minutes_off_closes_the_session(
    real_brain: BrainApi, agent: Credentials, minutes: int
) -> None:
    async with session(real_brain, agent) as live:
        wrong = Session(live.websocket, live.ack, agent.hmac_secret, clock_off=timedelta(minutes=minutes))
        await wrong.send_batch()
        assert await live.close_code() == CloseCode.FORBIDDEN


async def test_the_same_worker_id_replaces_the_session_before_it(
    real_brain: BrainApi, agent: Credentials
) -> None:
    async with session(real_brain, agent) as first, session(real_brain, agent):
        assert await first.close_code() == CloseCode.REPLACED


async def test_another_worker_id_lives_beside_the_session_before_it(
    real_brain: BrainApi, agent: Credentials
) -> None:
    def workers() -> set[str]:
        return {row["worker_id"] for row in real_brain.workers(agent)}

    async with session(real_brain, agent, "one") as first, session(real_brain, agent, "two"):
        await first.send_batch()
        assert (await first.receive())["type"] == "event_batch_ack"
        # the brain notes a worker a moment after it has let it in
        await until(lambda: workers() == {"one", "two"}, "both workers were there")


async def test_a_revoked_agent_is_closed_and_then_rejected(real_brain: BrainApi, agent: Credentials) -> None:
    async with session(real_brain, agent) as live:
        real_brain.revoke(agent)
        assert await live.close_code() == CloseCode.REVOKED
    async with dial(real_brain, agent.token) as websocket:
        assert await close_code(websocket) == CloseCode.TOKEN_REJECTED


async def test_the_agents_of_an_archived_project_are_closed_and_then_rejected(real_brain: BrainApi) -> None:
    slug = f"p-{secrets.token_hex(6)}"
    project_id = real_brain.create_project(slug)
    agent = real_brain.mint(project=slug)
    async with session(real_brain, agent) as live:
        assert live.ack.project_id == project_id
        real_brain.archive_project(slug)
        assert await live.close_code() == CloseCode.REVOKED
    async with dial(real_brain, agent.token) as websocket:
        assert await close_code(websocket) == CloseCode.TOKEN_REJECTED


async def test_another_protocol_version_is_refused(real_brain: BrainApi, agent: Credentials) -> None:
    greeting = parse(hello().frame())
    greeting["payload"]["protocol_version"] = "3"
    async with dial(real_brain, agent.token) as websocket:
        await websocket.send(json.dumps(greeting))
        assert await close_code(websocket) == CloseCode.PROTOCOL_UNSUPPORTED


async def test_a_first_frame_that_is_no_hello_is_refused(real_brain: BrainApi, agent: Credentials) -> None:
    async with dial(real_brain, agent.token) as websocket:
        await websocket.send("{}")
        assert await close_code(websocket) == CloseCode.MALFORMED


async def test_a_command_that_is_answered_failed_is_shown_with_its_reason(
    real_brain: BrainApi, agent: Credentials
) -> None:
    async with session(real_brain, agent) as live:
        command_id = real_brain.purge_queue(agent, "jobs")
        command = await live.receive()
        assert (command["type"], command["id"]) == ("command", command_id)
        assert command["payload"]["action"] == "purge_queue"
        claim = {"delivery_claim_token": command["payload"]["delivery_claim_token"]}
        answer = {"status": "failed", "result": None, "error": "not supported", **claim}
        await live.websocket.send(live.signer.sign("command_ack", claim, command_id))
        await live.websocket.send(live.signer.sign("command_result", answer, command_id))
        await live.send_batch()  # frames are handled in order: its acknowledgement says the result was read
        assert (await live.receive())["type"] == "event_batch_ack"
    shown = real_brain.command(agent, command_id)
    assert (shown["status"], shown["error"]) == ("failed", "not supported")


@pytest.mark.waits
async def test_a_brain_that_restarts_says_so_and_knows_its_agents_again(own_brain: BrainProcess) -> None:
    brain = BrainApi(own_brain.url)
    agent = brain.mint()
    async with session(brain, agent) as live:
        own_brain.stop()
        assert await live.close_code() == SERVICE_RESTART
    with pytest.raises(ConnectionRefusedError):
        async with dial(brain, agent.token):
            pass
    own_brain.start()
    async with session(brain, agent) as live:
        await live.send_batch()
        assert (await live.receive())["type"] == "event_batch_ack"
    brain.close()


@pytest.mark.parametrize("acknowledged", [True, False])
@pytest.mark.parametrize("worker_id", ["facts", "another-process"])
async def test_a_result_is_taken_from_a_later_session_of_the_agent(
    real_brain: BrainApi, agent: Credentials, acknowledged: bool, worker_id: str
) -> None:
    """While the command's time is not over; the session that had the command is gone."""
    async with session(real_brain, agent) as before:
        command_id = await asyncio.to_thread(real_brain.purge_queue, agent)
        command = await before.receive()
        assert (command["type"], command["id"]) == ("command", command_id)
        token = {"delivery_claim_token": command["payload"]["delivery_claim_token"]}
        if acknowledged:
            await before.websocket.send(before.signer.sign("command_ack", token, command_id))
            await before.send_batch()
            await before.receive()
    async with session(real_brain, agent, worker_id) as after:
        result = {"status": "success", "result": {"purged": 4}, "error": None, **token}
        await after.websocket.send(after.signer.sign("command_result", result, command_id))
        late = {"status": "failed", "result": None, "error": "again", **token}  # changes nothing
        await after.websocket.send(after.signer.sign("command_result", late, command_id))
        for _ in range(2):
            await after.send_batch()
            await after.receive()
    shown = await asyncio.to_thread(real_brain.command, agent, command_id)
    assert (shown["status"], shown["result"]) == ("completed", {"purged": 4})
