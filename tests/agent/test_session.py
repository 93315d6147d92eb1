"""A session's life after the handshake: closes, refusals, commands, doubles, dead peers."""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from pathlib import Path

import pytest

from tests.support.agents import agent_of, errors, status_with, until, warnings
from tests.support.hostile_relay import as_it_was, hostile_relay
from tests.support.relay import relay_to
from z4j_fastapi import Z4JAgent
from z4j_fastapi.agent import in_flight, session
from z4j_fastapi.agent.cuts import TIMES
from z4j_fastapi.agent.status import State
from z4j_fastapi.buffer.claims import Span
from z4j_fastapi.buffer.event_log import Row
from z4j_fastapi.buffer.event_store import EventStore
from z4j_fastapi.devbrain import NEVER, DevBrain, Limits, Misbehaviour
from z4j_probes.protocol import parse, unsigned_frame


async def test_heartbeats_come_at_the_brains_interval_and_tell_what_is_buffered(tmp_path: Path) -> None:
    async with DevBrain(limits=Limits(heartbeat_interval_s=0.05)) as brain, agent_of(brain, tmp_path):
        await brain.seen.until(lambda: len(brain.seen.heartbeats) >= 3, "three heartbeats came")
        payload = brain.seen.heartbeats[0].payload
        assert payload["buffer_size"] == 0
        assert payload["dropped_events"] == 0
        assert payload["adapter_health"] == {"buffer": "ok"}


async def test_a_command_is_answered_though_there_is_no_worker_here(tmp_path: Path) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path):
        command = await brain.send_command("task.retry", target={"task_id": "1"})
        await brain.wait_for_result(command)
        assert command.acknowledged
        assert command.result is not None
        assert command.result["status"] == "failed"
        assert command.result["error"].startswith("command.no_worker_here: ")


async def proved(agent: Z4JAgent) -> None:
    """The brain has acknowledged a batch behind the last answer: no session sends that again."""
    agent.emit("task.sent", task_id="behind")
    await until(lambda: agent.status.buffered == 0, "it was acknowledged")


async def test_a_fire_of_a_schedule_is_not_answered_and_the_log_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A brain that reads "failed" switches the schedule off."""
    schedule = str(uuid.uuid4())
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        for _ in range(2):
            target = {"type": "schedule", "id": schedule, "engine": "arq"}
            fire = {"task_name": "pay_salaries", "args": ["1234-secret"], "fire_id": "f-1"}
            await brain.send_command("schedule.fire", target=target, parameters=fire)
            other = await brain.send_command("task.retry")
            await brain.wait_for_result(other)  # answered in order: the fire was handled by then
            await proved(agent)
            brain.drop_connections()
            await brain.wait_for_workers(0)
            await brain.wait_for_workers(1)
            await status_with(agent, State.ONLINE)
        assert brain.seen.frames["command_ack"] == brain.seen.frames["command_result"] == 2
        fires = [command for command in brain.seen.commands.values() if command.action == "schedule.fire"]
        assert [(fire.acknowledged, fire.result) for fire in fires] == [(False, None)] * 2
    (said,) = [said for said in errors(caplog) if "schedule.fire" in said]
    assert schedule in said
    assert "command.no_worker_here" in said
    assert "pay_salaries" not in caplog.text
    assert "1234-secret" not in caplog.text


async def test_a_token_that_is_revoked_is_named_and_asked_for_slowly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with DevBrain() as brain:
        credentials = brain.mint("web")
        async with agent_of(brain, tmp_path, credentials) as agent:
            await brain.revoke(credentials.token)
            await status_with(agent, State.OFFLINE, "auth.token_rejected")
            assert [said.partition(":")[0] for said in warnings(caplog)] == ["offline (auth.revoked)"]
            assert [said.partition(":")[0] for said in errors(caplog)] == ["offline (auth.token_rejected)"]


async def test_the_same_failure_is_logged_once_however_often_it_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        await brain.stop()
        await until(lambda: agent.status.code == "tcp.refused", "the climb failed")
        first = agent.status.since
        await until(lambda: agent.status.since > first, "it climbed again")
        assert [said.partition(":")[0] for said in errors(caplog)].count("offline (tcp.refused)") == 1
        await brain.start()


async def test_a_frame_that_lost_its_signature_ends_the_session(tmp_path: Path) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        brain.misbehaviour = Misbehaviour(send_unsigned=True)
        agent.emit("task.sent", task_id="1")
        await status_with(agent, State.OFFLINE, "signing.brain_signature_invalid")


async def test_no_session_comes_about_with_a_brain_that_does_not_sign(tmp_path: Path) -> None:
    careless = DevBrain(misbehaviour=Misbehaviour(accept_unsigned=True, send_unsigned=True))
    async with careless as brain, agent_of(brain, tmp_path) as agent:
        assert agent.emit("task.sent", task_id="1")
        await brain.seen.until(lambda: brain.seen.connections >= 3, "it tried again")
        await status_with(agent, State.OFFLINE, "signing.brain_signature_invalid")
        assert brain.seen.events == {}
        assert agent.status.buffered == 1
        brain.misbehaviour = Misbehaviour()
        await brain.wait_for_events(1)
        await until(lambda: agent.status.buffered == 0, "the event was acknowledged")


async def test_a_relay_that_removes_signatures_gets_no_events_forgotten_and_no_command_answered(
    tmp_path: Path,
) -> None:
    async with (
        DevBrain() as brain,
        hostile_relay(brain.url) as relay,
        agent_of(brain, tmp_path, brain_url=relay.url) as agent,
    ):
        for n in range(100):
            assert agent.emit("task.sent", task_id=str(n))
        await brain.seen.until(lambda: brain.seen.connections >= 2, "it tried again")
        await status_with(agent, State.OFFLINE, "signing.brain_signature_invalid")
        assert agent.status.buffered == 100
        relay.change = as_it_was
        await status_with(agent, State.ONLINE)
        await until(lambda: agent.status.buffered == 0, "all was acknowledged")
        assert len(brain.seen.events) == 100


@pytest.mark.parametrize("kind", ["event_batch_ack", "command", "error", "novelty"])
async def test_an_unsigned_frame_in_a_proven_session_ends_it_and_does_nothing_else(
    kind: str, tmp_path: Path
) -> None:
    async with (
        DevBrain() as brain,
        hostile_relay(brain.url, as_it_was) as relay,
        agent_of(brain, tmp_path, brain_url=relay.url) as agent,
    ):
        brain.misbehaviour = Misbehaviour(drop_acks=NEVER)
        batches = brain.seen.batches
        agent.emit("task.sent", task_id="1")
        await brain.seen.until(lambda: brain.seen.batches > batches, "the event was on its way")
        batch = next(f for f in map(parse, relay.from_agent) if f["payload"].get("events"))
        forged = {
            "event_batch_ack": {"acked_id": batch["id"], "received": 1, "accepted": 1, "rejected": 0},
            "command": {"action": "retry_task", "target": {}, "parameters": {}},
            "error": {"code": "project_archived", "message": "go away", "fatal": True},
        }
        await relay.inject(unsigned_frame(kind, forged.get(kind, {})))
        await status_with(agent, State.OFFLINE, "signing.brain_signature_invalid")
        assert "go away" not in agent.status.reason
        assert agent.status.buffered == 1
        assert not brain.seen.frames.keys() & {"command_ack", "command_result"}


async def test_a_signed_command_of_an_earlier_session_is_not_answered_again(tmp_path: Path) -> None:
    async with (
        DevBrain() as brain,
        hostile_relay(brain.url, as_it_was) as relay,
        agent_of(brain, tmp_path, brain_url=relay.url) as agent,
    ):
        command = await brain.send_command("retry_task")
        await brain.wait_for_result(command)
        await proved(agent)
        (recorded,) = (raw for raw in relay.from_brain if parse(raw)["type"] == "command")
        brain.drop_connections()
        await brain.seen.until(
            lambda: len(relay.agents) == 2 and len(brain.online_workers) == 1, "it is back"
        )
        await status_with(agent, State.ONLINE)
        await relay.inject(recorded)
        await status_with(agent, State.OFFLINE, "signing.brain_signature_invalid")
        relay.change = lambda message: recorded if '"event_batch_ack"' in message else message
        connections = len(relay.agents)
        await until(lambda: len(relay.agents) > connections + 1, "it was tried where a session begins, too")
        assert agent.status.state is State.OFFLINE
        relay.change = as_it_was
        await status_with(agent, State.ONLINE)
        assert brain.seen.frames["command_result"] == 1


async def test_a_brain_that_acknowledges_nothing_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_flight, "ACK_TIMEOUT_S", 0.2)
    limits = Limits(heartbeat_interval_s=0.1)
    async with DevBrain(limits=limits) as brain, agent_of(brain, tmp_path) as agent:
        brain.misbehaviour = Misbehaviour(drop_acks=NEVER)
        agent.emit("task.sent", task_id="1")
        await until(lambda: agent.status.code == "session.unacknowledged", "it gave up")
        brain.misbehaviour = Misbehaviour()
        await status_with(agent, State.ONLINE)
        await until(lambda: agent.status.buffered == 0, "the event was acknowledged")


async def test_a_worker_with_a_double_takes_another_name_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "z4j.agent")
    async with DevBrain() as brain:
        credentials = brain.mint("web")
        # two directories with one name: only a cloned machine has that, so the fingerprint is made equal
        first = agent_of(brain, tmp_path / "a", credentials)
        second = agent_of(brain, tmp_path / "b", credentials)
        same = "host.web.0.12345678"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("z4j_fastapi.agent.hello.AgentProfile.worker_id", lambda *_: same)
            async with first, second:
                await brain.seen.until(
                    lambda: any(str(h.worker_id).startswith(f"{same}.") for h in brain.seen.hellos),
                    "one of them took a suffix",
                    timeout_s=30,
                )
                await brain.wait_for_workers(2)
        said = [r.getMessage() for r in caplog.records if "cloned machine" in r.getMessage()]
        assert len(said) in (1, 2)


async def test_a_restarted_brain_is_found_again(tmp_path: Path) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        for _ in range(2):
            await brain.stop()
            await until(lambda: agent.status.state is State.OFFLINE, "it noticed")
            await brain.start()
            await status_with(agent, State.ONLINE)


async def test_a_peer_that_vanishes_without_a_word_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half-open: the path swallows everything, and no FIN ever comes."""
    monkeypatch.setattr("z4j_fastapi.agent.session.PING_INTERVAL_S", 0.2)
    monkeypatch.setattr("z4j_fastapi.agent.session.PING_TIMEOUT_S", 0.3)
    async with (
        DevBrain() as brain,
        relay_to(brain.port) as relay,
        agent_of(brain, tmp_path, brain_url=relay.url, shutdown_budget_s=0.2) as agent,
    ):
        assert agent.status.state is State.ONLINE
        relay.swallowing.set()
        await status_with(agent, State.OFFLINE, "session.lost")
        assert "ping" in agent.status.reason


async def test_a_peer_that_reads_nothing_any_more_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped brain, a stuck proxy: every send waits then, that of a ping too."""
    monkeypatch.setattr(session, "PING_INTERVAL_S", 0.2)
    monkeypatch.setattr(session, "PING_TIMEOUT_S", 0.3)
    monkeypatch.setattr(in_flight, "ACK_TIMEOUT_S", 0.5)
    monkeypatch.setattr(in_flight, "MAX_BATCHES", 50)  # enough for the kernel's buffers on this side
    async with (
        DevBrain(limits=Limits(heartbeat_interval_s=0.1)) as brain,
        relay_to(brain.port) as relay,
        agent_of(brain, tmp_path, brain_url=relay.url, shutdown_budget_s=0.2) as agent,
    ):
        assert agent.status.state is State.ONLINE
        relay.stalled.set()
        for n in range(300):
            agent.emit("task.sent", task_id=str(n), args=["x" * 8000] * 6)
        await status_with(agent, State.OFFLINE, "session.unacknowledged")
        assert agent.status.buffered == 300


async def test_a_disk_that_failed_to_be_read_for_a_moment_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with DevBrain(limits=Limits(heartbeat_interval_s=1)) as brain, agent_of(brain, tmp_path) as agent:
        read, failed = EventStore.read, threading.Event()

        def fail_once(store: EventStore, span: Span, limit: int) -> list[Row] | None:
            if not failed.is_set():
                failed.set()
                return None
            return read(store, span, limit)

        monkeypatch.setattr(EventStore, "read", fail_once)
        agent.emit("task.sent", task_id="1")
        await brain.wait_for_events(1)
        assert failed.is_set()


async def test_what_a_brain_says_at_the_end_is_redacted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with DevBrain() as brain:
        credentials = brain.mint("web")
        async with agent_of(brain, tmp_path, credentials) as agent:
            await brain.send_error("bad", f"no {credentials.token} here", fatal=True)
            await until(lambda: agent.status.code == "session.lost", "the session ended")
            assert "[redacted]" in agent.status.reason
            assert credentials.token not in caplog.text


async def test_sessions_that_are_cut_after_the_same_time_say_how_long_and_how_often(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A proxy's timeout; each session alone would look like a network that was away for a moment."""
    told = f"cut after 1 s, {TIMES} times in a row: "
    ended: set[str | None] = {None}
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        for _ in range(TIMES):
            # an agent may be back within a millisecond: its state does not show each end
            await until(lambda: agent.status.session_id not in ended, "the agent had another session")
            ended.add(agent.status.session_id)
            await asyncio.sleep(1.2)  # how long each session lasts
            brain.drop_connections()
        await until(lambda: told in caplog.text, "the agent told of it")


async def test_leaving_does_not_wait_for_a_connection_that_is_lost(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with DevBrain() as brain, agent_of(brain, tmp_path, shutdown_budget_s=10.0) as agent:
        brain.misbehaviour = Misbehaviour(drop_acks=NEVER)
        agent.emit("task.sent", task_id="1")
        await brain.wait_for_events(1)
        leaving = asyncio.create_task(agent.__aexit__())
        await asyncio.sleep(0)
        brain.drop_connections()
        left_s = loop.time()
        await leaving
        assert loop.time() - left_s < 5.0


async def test_an_error_of_ours_costs_a_session_and_not_the_agent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        with monkeypatch.context() as patch:
            patch.setattr("z4j_fastapi.agent.session.new_frame_id", lambda: 1 / 0)
            agent.emit("task.sent", task_id="1")
            await until(lambda: agent.status.code == "signing.unexpected", "the session ended")
        await brain.wait_for_events(1)
        assert agent.status.state is State.ONLINE
    assert "please report it" in caplog.text
