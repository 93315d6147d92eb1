"""What an embedded brain does for an agent that keeps to the protocol, and for one that does not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.devbrain.bare_agent import close_code, event, hello, make_hello, online, upgraded
from z4j_fastapi.devbrain import DevBrain, Limits
from z4j_probes.protocol import FrameSigner, decode_secret, unsigned_frame


async def test_an_agent_comes_online_and_goes() -> None:
    async with DevBrain() as brain:
        credentials = brain.mint("web-1")
        async with online(brain, credentials) as agent:
            assert (agent.ack.agent_id, agent.ack.project_id) == (
                credentials.agent_id,
                credentials.project_id,
            )
            assert agent.ack.heartbeat_interval_seconds == 10
            await brain.wait_for_workers(1)
            assert brain.online_workers == ("web-1.web.0",)
            assert brain.seen.hellos[0].engines == ("arq",)
        await brain.wait_for_workers(0)
        assert brain.seen.connections == 1


async def test_a_batch_is_acknowledged_by_its_frame_id() -> None:
    async with DevBrain() as brain, online(brain, brain.mint("web-1")) as agent:
        first, second = event(), event()
        await agent.send("event_batch", {"events": [first, second]}, "b-1")
        frame = await agent.receive()
        assert frame["type"] == "event_batch_ack"
        assert frame["payload"] == {"acked_id": "b-1", "received": 2, "accepted": 2, "rejected": 0}
        assert list(brain.seen.events.values()) == [first, second]


async def test_an_empty_batch_is_acknowledged() -> None:
    async with DevBrain() as brain, online(brain, brain.mint("web-1")) as agent:
        await agent.send("event_batch", {"events": []}, "b-1")
        assert (await agent.receive())["payload"]["acked_id"] == "b-1"


async def test_events_sent_again_are_counted_once() -> None:
    async with DevBrain() as brain, online(brain, brain.mint("web-1")) as agent:
        events = [event(), event()]
        for _ in range(2):
            await agent.send("event_batch", {"events": events})
            assert (await agent.receive())["payload"]["accepted"] == 2
        await brain.wait_for_events(2)
        assert (len(brain.seen.events), brain.seen.duplicates) == (2, 2)


@pytest.mark.parametrize("broken", [None, "event", event(id=None), event(engine=1), event(kind="task.eaten")])
def test_what_is_no_event_is_rejected(broken: object) -> None:
    assert DevBrain().seen.record_batch([broken, event()]) == (1, 1)


async def test_heartbeats_are_recorded_and_not_answered() -> None:
    async with DevBrain() as brain, online(brain, brain.mint("web-1")) as agent:
        await agent.send("heartbeat", {"buffer_size": 3})
        await agent.send("event_batch", {"events": []})
        assert (await agent.receive())["type"] == "event_batch_ack"
        assert brain.seen.heartbeats[0].payload == {"buffer_size": 3}


async def test_frames_of_a_kind_nobody_knows_are_ignored() -> None:
    async with DevBrain() as brain, online(brain, brain.mint("web-1")) as agent:
        await agent.send("weather_report", {"sky": "grey"})
        await agent.send("event_batch", {"events": []})
        await agent.receive()
        assert brain.seen.frames["weather_report"] == 1


async def test_a_command_goes_to_the_worker_and_its_result_comes_back() -> None:
    async with DevBrain() as brain, online(brain, brain.mint("web-1")) as agent:
        await brain.wait_for_workers(1)
        command = await brain.send_command("task.retry", target={"task_id": "t-1"}, worker_id="web-1.web.0")
        frame = await agent.receive()
        assert (frame["type"], frame["id"]) == ("command", command.id)
        claim = {"delivery_claim_token": frame["payload"]["delivery_claim_token"]}
        await agent.send("command_ack", claim, frame["id"])
        await agent.send("command_result", claim | {"status": "failed", "error": "not here"}, frame["id"])
        assert (await brain.wait_for_result(command))["status"] == "failed"
        assert command.acknowledged


async def test_a_reply_with_the_wrong_claim_token_counts_for_nothing() -> None:
    async with DevBrain() as brain, online(brain, brain.mint("web-1")) as agent:
        await brain.wait_for_workers(1)
        command = await brain.send_command("task.retry")
        await agent.send("command_result", {"status": "success", "delivery_claim_token": "x"}, command.id)
        await brain.seen.until(lambda: brain.seen.stray_replies == 1, "a stray reply")
        assert command.result is None


async def test_a_result_of_another_status_ends_the_session_as_with_a_real_brain() -> None:
    async with DevBrain() as brain, online(brain, brain.mint("web-1")) as agent:
        await brain.wait_for_workers(1)
        command = await brain.send_command("task.retry")
        await agent.send("command_result", {"status": "done", "delivery_claim_token": None}, command.id)
        await brain.wait_for_workers(0)
        assert command.result is None
        assert brain.seen.refusals == ["a result is a success or failed"]


async def test_only_a_schedules_command_has_a_claim_token() -> None:
    async with DevBrain() as brain, online(brain, brain.mint("web-1")):
        await brain.wait_for_workers(1)
        assert (await brain.send_command("cancel_task")).claim_token is None
        assert (await brain.send_command("schedule.fire")).claim_token is not None


async def test_a_command_for_a_worker_that_is_not_there_is_a_lookup_error() -> None:
    async with DevBrain() as brain:
        with pytest.raises(LookupError):
            await brain.send_command("task.retry", worker_id="nobody")


@pytest.mark.parametrize("token", ["", "nonsense"])
async def test_an_unknown_token_is_upgraded_and_then_closed_with_4401(token: str) -> None:
    async with DevBrain() as brain, upgraded(brain, token) as websocket:
        assert await close_code(websocket) == 4401


async def test_a_revoked_token_is_closed_with_4003_and_then_refused() -> None:
    async with DevBrain() as brain:
        credentials = brain.mint("web-1")
        async with online(brain, credentials) as agent:
            await brain.wait_for_workers(1)
            await brain.revoke(credentials.token)
            assert await close_code(agent.websocket) == 4003
        async with upgraded(brain, credentials.token) as websocket:
            assert await close_code(websocket) == 4401


@pytest.mark.parametrize(
    "first", ["{", unsigned_frame("heartbeat", {}), unsigned_frame("hello", {"protocol_version": "2"})]
)
async def test_a_first_frame_that_is_no_hello_is_closed_with_4400(first: str) -> None:
    async with DevBrain() as brain, upgraded(brain, brain.mint("web-1").token) as websocket:
        await websocket.send(first)
        assert await close_code(websocket) == 4400


async def test_another_protocol_version_is_closed_with_4426() -> None:
    async with DevBrain() as brain, upgraded(brain, brain.mint("web-1").token) as websocket:
        await websocket.send(unsigned_frame("hello", {**hello().payload(), "protocol_version": "3"}))
        assert await close_code(websocket) == 4426


async def test_a_replayed_frame_is_closed_with_4403() -> None:
    async with DevBrain() as brain, online(brain, brain.mint("web-1")) as agent:
        raw = agent.signer.sign("heartbeat", {})
        await agent.websocket.send(raw)
        await agent.websocket.send(raw)
        assert await close_code(agent.websocket) == 4403
        assert brain.seen.refusals == ["sequence"]


async def test_a_frame_signed_with_another_secret_is_closed_with_4403() -> None:
    async with DevBrain() as brain, online(brain, brain.mint("web-1")) as agent:
        forger = FrameSigner(b"x" * 32, agent.ack.agent_id, agent.ack.project_id, agent.ack.session_id)
        await agent.websocket.send(forger.sign("event_batch", {"events": [event()]}))
        assert await close_code(agent.websocket) == 4403
        assert (brain.seen.refusals, len(brain.seen.events)) == (["signature"], 0)


@pytest.mark.parametrize("payload", [{}, {"events": {}}, {"events": [0] * 5_001}])
async def test_a_malformed_batch_is_closed_with_4400(payload: dict[str, Any]) -> None:
    async with DevBrain() as brain, online(brain, brain.mint("web-1")) as agent:
        await agent.send("event_batch", payload)
        assert await close_code(agent.websocket) == 4400


async def test_a_frame_over_the_limit_is_closed_with_1009() -> None:
    limits = Limits(max_frame_bytes=2_048)
    async with DevBrain(limits=limits) as brain, online(brain, brain.mint("web-1")) as agent:
        assert agent.ack.max_frame_size_bytes == 2_048
        await agent.send("heartbeat", {"filler": "x" * 2_048})
        assert await close_code(agent.websocket) == 1009


async def test_an_agent_that_says_nothing_is_closed_with_4408() -> None:
    limits = Limits(idle_timeout_s=0.5)
    async with DevBrain(limits=limits) as brain, online(brain, brain.mint("web-1")) as agent:
        assert await close_code(agent.websocket) == 4408


@pytest.mark.parametrize("worker_id", ["web-1.web.0", None])
async def test_a_newer_connection_of_the_same_worker_replaces_the_older(worker_id: str | None) -> None:
    async with DevBrain() as brain:
        credentials = brain.mint("web-1")
        async with (
            online(brain, credentials, worker_id) as older,
            online(brain, credentials, worker_id) as newer,
        ):
            assert await close_code(older.websocket) == 4002
            await newer.send("event_batch", {"events": []})
            await newer.receive()
            assert brain.online_workers == (worker_id,)


async def test_workers_of_one_agent_live_side_by_side() -> None:
    async with DevBrain() as brain:
        credentials = brain.mint("web-1")
        async with online(brain, credentials, "a"), online(brain, credentials, "b"):
            await brain.wait_for_workers(2)


async def test_one_worker_too_many_is_closed_with_4429() -> None:
    async with DevBrain(limits=Limits(workers_per_agent=1)) as brain:
        credentials = brain.mint("web-1")
        async with online(brain, credentials, "a"), upgraded(brain, credentials.token) as websocket:
            await websocket.send(hello("b").frame())
            assert await close_code(websocket) == 4429


async def test_too_many_connects_are_closed_with_4429() -> None:
    async with DevBrain(limits=Limits(connects_per_minute=1)) as brain:
        credentials = brain.mint("web-1")
        async with online(brain, credentials), upgraded(brain, credentials.token) as websocket:
            assert await close_code(websocket) == 4429


async def test_secrets_of_two_projects_differ_and_do_not_mix() -> None:
    async with DevBrain() as brain:
        ours, theirs = brain.mint("web-1"), brain.mint("web-1", project="other")
        assert ours.project_id != theirs.project_id
        assert decode_secret(ours.hmac_secret) != decode_secret(theirs.hmac_secret)
        assert ours.hmac_secret == brain.mint("web-2").hmac_secret
        async with upgraded(brain, theirs.token) as websocket:
            agent = await make_hello(websocket, ours)
            await agent.send("heartbeat", {})
            assert await close_code(websocket) == 4403


async def test_an_error_frame_reaches_the_agent() -> None:
    async with DevBrain() as brain, online(brain, brain.mint("web-1")) as agent:
        await brain.wait_for_workers(1)
        await brain.send_error("overloaded", "come back later", fatal=True)
        frame = await agent.receive()
        assert frame["payload"] == {"code": "overloaded", "message": "come back later", "fatal": True}


async def test_answers_come_as_binary_messages() -> None:
    async with DevBrain() as brain, upgraded(brain, brain.mint("web-1").token) as websocket:
        await websocket.send(hello().frame().encode())
        raw = await websocket.recv()
        assert isinstance(raw, bytes)
        assert json.loads(raw)["type"] == "hello_ack"


async def test_dropped_connections_end_without_a_close_frame() -> None:
    async with DevBrain() as brain, online(brain, brain.mint("web-1")) as agent:
        brain.drop_connections()
        with pytest.raises(ConnectionClosed) as caught:
            await agent.websocket.recv()
        assert caught.value.rcvd is None
