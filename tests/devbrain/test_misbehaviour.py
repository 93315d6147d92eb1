"""Each way in which an embedded brain breaks the protocol when it is told to."""

from __future__ import annotations

from datetime import timedelta

import pytest
from websockets.exceptions import ConnectionClosed

from tests.devbrain.bare_agent import close_code, event, hello, online, upgraded
from z4j_fastapi.devbrain import NEVER, Close, DevBrain, Limits, Misbehaviour
from z4j_probes.errors import FrameRejected
from z4j_probes.protocol import parse, unsigned_frame, utc_now


def misbehaving(**ways: object) -> DevBrain:
    return DevBrain(misbehaviour=Misbehaviour(**ways))  # type: ignore[arg-type]


@pytest.mark.parametrize("code", [1011, 4403, 4427])
async def test_it_closes_right_after_the_upgrade(code: int) -> None:
    async with misbehaving(close_after_upgrade=Close(code)) as brain, upgraded(brain, "any") as websocket:
        assert await close_code(websocket) == code


async def test_it_cuts_the_stream_right_after_the_upgrade() -> None:
    async with misbehaving(close_after_upgrade=Close(None)) as brain, upgraded(brain, "any") as websocket:
        assert await close_code(websocket) == 1006


async def test_it_closes_after_hello() -> None:
    async with (
        misbehaving(close_after_hello=Close(4403, "project")) as brain,
        upgraded(brain, brain.mint("web-1").token) as websocket,
    ):
        await websocket.send(hello().frame())
        assert await close_code(websocket) == 4403
        assert websocket.close_reason == "project"


async def test_it_closes_at_the_first_signed_frame() -> None:
    async with misbehaving(close_at_first_signed=Close(4003)) as brain:
        async with online(brain, brain.mint("web-1")) as agent:
            await agent.send("event_batch", {"events": [event()]})
            assert await close_code(agent.websocket) == 4003
        assert not brain.seen.events


async def test_it_never_answers_hello() -> None:
    limits = Limits(idle_timeout_s=0.5)
    brain = DevBrain(misbehaviour=Misbehaviour(withhold_hello_ack=True), limits=limits)
    async with brain, upgraded(brain, brain.mint("web-1").token) as websocket:
        await websocket.send(hello().frame())
        with pytest.raises(ConnectionClosed):
            await websocket.recv()
        assert websocket.close_code == 4408
        assert brain.online_workers == ()


@pytest.mark.parametrize("raw", ["not json", b"\xff\xfe"])
async def test_it_answers_hello_with_something_else(raw: str | bytes) -> None:
    async with (
        misbehaving(raw_hello_ack=raw) as brain,
        upgraded(brain, brain.mint("web-1").token) as websocket,
    ):
        await websocket.send(hello().frame())
        assert await websocket.recv(decode=False) == (raw if isinstance(raw, bytes) else raw.encode())


async def test_it_names_another_project_and_signs_with_that() -> None:
    async with (
        misbehaving(hello_ack_changes={"project_id": "elsewhere"}) as brain,
        online(brain, brain.mint("web-1")) as agent,
    ):
        assert agent.ack.project_id == "elsewhere"
        await agent.send("event_batch", {"events": []})
        assert (await agent.receive())["type"] == "event_batch_ack"


async def test_its_clock_is_wrong_and_it_judges_by_it() -> None:
    async with misbehaving(clock_offset_s=90) as brain:
        async with online(brain, brain.mint("web-1")) as agent:
            assert agent.ack.ts - utc_now() > timedelta(seconds=80)
            await agent.send("heartbeat", {})
            assert await close_code(agent.websocket) == 4403
        assert brain.seen.refusals == ["clock"]


async def test_it_takes_unsigned_frames() -> None:
    async with misbehaving(accept_unsigned=True) as brain, online(brain, brain.mint("web-1")) as agent:
        await agent.websocket.send(unsigned_frame("event_batch", {"events": [event()]}, frame_id="b-1"))
        assert (await agent.receive())["payload"]["acked_id"] == "b-1"


async def test_it_acknowledges_unsigned() -> None:
    async with misbehaving(send_unsigned=True) as brain, online(brain, brain.mint("web-1")) as agent:
        await agent.send("event_batch", {"events": []})
        raw = await agent.websocket.recv()
        assert "hmac" not in parse(raw)


async def test_it_acknowledges_with_a_wrong_secret() -> None:
    async with (
        misbehaving(sign_with_wrong_secret=True) as brain,
        online(brain, brain.mint("web-1")) as agent,
    ):
        await agent.send("event_batch", {"events": []})
        with pytest.raises(FrameRejected) as caught:
            await agent.receive()
        assert caught.value.reason == "signature"


async def test_it_loses_the_first_acknowledgements() -> None:
    async with misbehaving(drop_acks=2) as brain:
        async with online(brain, brain.mint("web-1")) as agent:
            for batch_id in ("b-1", "b-2", "b-3"):
                await agent.send("event_batch", {"events": [event()]}, batch_id)
            assert (await agent.receive())["payload"]["acked_id"] == "b-3"
        assert len(brain.seen.events) == 3


async def test_it_never_acknowledges_until_it_behaves_again() -> None:
    async with misbehaving(drop_acks=NEVER) as brain, online(brain, brain.mint("web-1")) as agent:
        await agent.send("event_batch", {"events": [event()]}, "b-1")
        await brain.wait_for_events(1)
        brain.misbehaviour = Misbehaviour()
        await agent.send("event_batch", {"events": []}, "b-2")
        assert (await agent.receive())["payload"]["acked_id"] == "b-2"


async def test_it_thinks_before_it_answers() -> None:
    async with misbehaving(delay_s=0.05) as brain:
        credentials = brain.mint("web-1")
        started = utc_now()
        async with online(brain, credentials) as agent:
            await agent.send("event_batch", {"events": []})
            await agent.receive()
        assert utc_now() - started >= timedelta(seconds=0.1)
