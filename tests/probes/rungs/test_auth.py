"""The auth rung: what the brain says to hello, and what it says instead."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.http_peers import close_frame, peer, text_frame, upgrading
from tests.support.ladders import climbed, probe, settings_for
from z4j_fastapi.devbrain import Close, Credentials, DevBrain, Misbehaviour
from z4j_probes.result import ProbeResult, Status
from z4j_probes.rungs.auth import classify, compare_project
from z4j_probes.rungs.exchange import Closed
from z4j_probes.settings import Settings

SHORT_S = 0.4


def settings_of(brain: DevBrain, agent: Credentials, **more: str) -> Settings:
    values = {"token": agent.token, "hmac_secret": agent.hmac_secret, "project_id": agent.project}
    return settings_for(more.pop("brain_url", brain.url), **(values | more))


@asynccontextmanager
async def brain_with(misbehaviour: Misbehaviour) -> AsyncIterator[tuple[DevBrain, Credentials]]:
    async with DevBrain(misbehaviour=misbehaviour) as brain:
        yield brain, brain.mint("web-1")


async def verdict(misbehaviour: Misbehaviour, *, timeout_s: float = 5.0, **more: str) -> ProbeResult:
    async with brain_with(misbehaviour) as (brain, agent):
        return await probe("auth", settings_of(brain, agent, **more), timeout_s=timeout_s)


@pytest.mark.parametrize(
    ("closed", "error_code", "code"),
    [
        (Closed(4401), "", "token_rejected"),
        (Closed(4403), "", "address_refused"),
        (Closed(4403, "project mismatch"), "", "project_mismatch"),
        (Closed(4400), "", "hello_rejected"),
        (Closed(4400, "unknown project"), "", "project_mismatch"),
        (Closed(4401, "project archived"), "", "token_rejected"),
        (Closed(4426), "", "protocol_unsupported"),
        (Closed(4427), "", "version_skew"),
        (Closed(4429), "", "rate_limited"),
        (Closed(4003), "", "revoked"),
        (Closed(4002), "", "closed"),
        (Closed(1000), "", "closed"),
        (Closed(1001), "", "closed"),
        (Closed(1008), "", "closed"),
        (Closed(1011), "", "closed"),
        (Closed(1012), "", "closed"),
        (Closed(None), "", "closed"),
        (Closed(None, sent=1002), "", "bad_reply"),
        (Closed(None, sent=1007), "", "bad_reply"),
        (Closed(None, sent=1009), "", "bad_reply"),
        (Closed(4400), "project_mismatch", "project_mismatch"),
        (Closed(4426), "unsupported", "protocol_unsupported"),
        (Closed(1000), "invalid_hello", "hello_rejected"),
        (None, "invalid_hello", "hello_rejected"),
        (None, "", "no_reply"),
    ],
)
def test_every_end_has_its_code(closed: Closed | None, error_code: str, code: str) -> None:
    assert classify(closed, error_code=error_code) == f"auth.{code}"


@pytest.mark.parametrize(
    ("configured", "reported", "same"),
    [
        ("default", "8b5f1c1e-0000-4000-8000-000000000001", None),
        ("8B5F1C1E-0000-4000-8000-000000000001", "8b5f1c1e-0000-4000-8000-000000000001", True),
        ("8b5f1c1e-0000-4000-8000-000000000002", "8b5f1c1e-0000-4000-8000-000000000001", False),
    ],
)
def test_a_slug_can_not_be_compared_with_a_uuid(configured: str, reported: str, same: bool | None) -> None:
    assert compare_project(configured, reported) is same


async def test_a_brain_that_knows_the_token_passes_and_shows_the_session() -> None:
    async with (
        brain_with(Misbehaviour()) as (brain, agent),
        climbed(settings_of(brain, agent)) as (climb, results),
    ):
        result = results["auth"]
        assert result.code == "auth.ok"
        assert result.details["agent_id"] == agent.agent_id == climb.ack.agent_id
        assert result.details["heartbeat_interval_s"] == 10
        assert abs(result.details["clock_offset_s"]) < 5
        assert climb.clock_offset_s == pytest.approx(result.details["clock_offset_s"], abs=0.001)


async def test_a_slug_passes_and_says_what_was_not_compared() -> None:
    result = await verdict(Misbehaviour())
    assert result.code == "auth.ok"
    assert result.details["project_verified"] is False
    assert "(project 'default' not compared: the brain reports only project UUIDs)" in result.message


async def test_a_uuid_is_compared() -> None:
    async with brain_with(Misbehaviour()) as (brain, agent):
        result = await probe("auth", settings_of(brain, agent, project_id=agent.project_id))
    assert result.code == "auth.ok"
    assert result.details["project_verified"] is True


async def test_the_uuid_of_another_project_is_a_mismatch_that_says_which() -> None:
    other = str(uuid.uuid4())
    async with brain_with(Misbehaviour()) as (brain, agent):
        result = await probe("auth", settings_of(brain, agent, project_id=other))
    assert result.code == "auth.project_mismatch"
    assert other in result.message
    assert f"Z4J_PROJECT_ID={agent.project_id}" in result.hint


async def test_an_unknown_token_is_rejected_and_not_shown() -> None:
    result = await verdict(Misbehaviour(), token="token-of-another-brain")
    assert result.code == "auth.token_rejected"
    assert result.details["close_code"] == 4401
    assert "token-of-another-brain" not in repr(result)


async def test_a_close_code_and_its_reason_are_shown() -> None:
    result = await verdict(Misbehaviour(close_after_hello=Close(1011, "database is gone")))
    assert result.code == "auth.closed"
    assert "1011 (database is gone)" in result.message


async def test_a_cut_connection_is_closed_without_a_code() -> None:
    result = await verdict(Misbehaviour(close_after_hello=Close(None)))
    assert result.code == "auth.closed"
    assert result.details["close_code"] is None


async def test_another_doctor_of_the_same_moment_is_seen_by_its_close_code() -> None:
    result = await verdict(Misbehaviour(close_after_hello=Close(4002)))
    assert result.code == "auth.closed"
    assert result.details["close_code"] == 4002


async def test_a_brain_that_never_answers_hello_is_named_within_the_budget() -> None:
    result = await verdict(Misbehaviour(withhold_hello_ack=True), timeout_s=SHORT_S)
    assert result.code == "auth.no_reply"
    assert result.duration_ms < SHORT_S * 1000 * 1.5


async def test_a_close_frame_on_a_socket_that_stays_open_is_heard() -> None:
    async with peer(upgrading(close_frame(4429, b"slow down"))) as server:
        result = await probe("auth", settings_for(server.url), timeout_s=SHORT_S)
    assert result.code == "auth.rate_limited"
    assert result.details["close_reason"] == "slow down"


def ack_without(field: str) -> str:
    payload = {
        "protocol_version": "2",
        "brain_version": "1",
        "agent_id": "a",
        "project_id": str(uuid.uuid4()),
        "session_id": "s",
        "heartbeat_interval_seconds": 10,
        "max_frame_size_bytes": 1024,
    }
    del payload[field]
    frame = {"v": 2, "type": "hello_ack", "id": "1", "ts": "2026-01-01T00:00:00Z", "payload": payload}
    return json.dumps(frame)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("welcome to the chat", "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        ("[1]", "not a JSON object"),
        ('{"type": "hello_ack"}', "'v'"),
        ('{"v": 2, "type": "event", "id": "1", "ts": "now", "payload": {}}', "not a hello_ack"),
        (ack_without("session_id"), "'session_id'"),
        (ack_without("project_id"), "'project_id'"),
    ],
)
async def test_an_answer_that_is_no_hello_ack_is_named(raw: str | bytes, why: str) -> None:
    result = await verdict(Misbehaviour(raw_hello_ack=raw))
    assert result.code == "auth.bad_reply"
    assert why in result.message


async def test_a_project_id_that_is_no_uuid_is_a_bad_reply() -> None:
    result = await verdict(Misbehaviour(hello_ack_changes={"project_id": "default"}))
    assert result.code == "auth.bad_reply"
    assert "UUID" in result.message


async def test_a_frame_limit_below_every_event_is_a_bad_reply() -> None:
    result = await verdict(Misbehaviour(hello_ack_changes={"max_frame_size_bytes": 2000}))
    assert result.code == "auth.bad_reply"
    assert "at most 2000 bytes" in result.message
    assert "Raise the brain's limit" in result.hint


async def test_an_acknowledgement_in_another_protocol_names_both_versions() -> None:
    result = await verdict(Misbehaviour(hello_ack_changes={"protocol_version": "3", "session_id": None}))
    assert result.code == "auth.protocol_unsupported"
    assert "'3'" in result.message
    assert "'2'" in result.message


async def test_bytes_that_are_no_websocket_frames_are_a_bad_reply() -> None:
    async with peer(upgrading(b"\xff\xff\xff\xff\xff")) as server:
        result = await probe("auth", settings_for(server.url))
    assert result.code == "auth.bad_reply"
    assert "1002" in result.message


def error_frame(code: str) -> bytes:
    payload = {"code": code, "message": "no"}
    return text_frame(
        json.dumps({"v": 2, "type": "error", "id": "1", "ts": "-", "payload": payload}).encode()
    )


async def test_a_brain_that_refuses_the_project_of_hello_is_a_mismatch() -> None:
    async with peer(upgrading(error_frame("project_mismatch"), close_frame(4400))) as server:
        result = await probe("auth", settings_for(server.url, project_id="shop"))
    assert result.code == "auth.project_mismatch"
    assert result.details["error_code"] == "project_mismatch"
    assert result.details["project_configured"] == "shop"


async def test_the_clock_of_the_brain_is_measured() -> None:
    result = await verdict(Misbehaviour(clock_offset_s=-45))
    assert result.code == "auth.ok"
    assert result.details["clock_offset_s"] == pytest.approx(-45, abs=3)


async def test_a_slow_brain_does_not_count_as_a_wrong_clock() -> None:
    result = await verdict(Misbehaviour(delay_s=0.4))
    assert abs(result.details["clock_offset_s"]) < 0.35
    assert result.details["round_trip_ms"] >= 400


async def test_cancelling_the_climb_in_the_middle_closes_the_connection() -> None:
    async with brain_with(Misbehaviour(withhold_hello_ack=True)) as (brain, agent):
        task = asyncio.create_task(probe("auth", settings_of(brain, agent)))
        await brain.seen.until(lambda: bool(brain.seen.hellos), "a hello")
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await brain.wait_for_workers(0)
        assert task.cancelled()


async def test_without_an_open_websocket_auth_is_skipped() -> None:
    async with peer(upgrading(headers=b"Sec-WebSocket-Extensions: x\r\n")) as server:
        result = await probe("auth", settings_for(server.url))
    assert result.status is Status.SKIP


@pytest.mark.parametrize(
    ("header", "is_direct"), [("", True), ("Server: nginx/1.27\r\n", False), ("Via: 1.1 edge\r\n", False)]
)
async def test_on_this_machine_only_a_server_that_names_itself_may_have_taken_the_token_out(
    header: str, is_direct: bool
) -> None:
    """A token that a brain on loopback has seen itself is wrong: no proxy is to be looked at."""
    rejecting = Misbehaviour(close_after_upgrade=Close(4401))
    async with brain_with(rejecting) as (brain, agent):

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            request = await reader.readuntil(b"\r\n\r\n")
            upstream, to_brain = await asyncio.open_connection("127.0.0.1", brain.port)
            to_brain.write(request)
            head = await upstream.readuntil(b"\r\n\r\n")
            lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"server:")]
            writer.write(b"\r\n".join(lines).replace(b"\r\n", b"\r\n" + header.encode(), 1))
            writer.write(await upstream.read())
            writer.close()
            to_brain.close()

        server = await asyncio.start_server(relay, "127.0.0.1", 0)
        async with server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            result = await probe("auth", settings_of(brain, agent, brain_url=url))
    assert result.code == "auth.token_rejected"
    assert ("Authorization" not in result.hint) is is_direct
    assert "dashboard" in result.steps[0].text


async def test_a_wrong_token_for_a_dev_brain_is_all_that_is_wrong() -> None:
    result = await verdict(Misbehaviour(), token="not-the-token-of-any-agent")
    assert result.code == "auth.token_rejected"
    assert "proxy" not in result.hint
