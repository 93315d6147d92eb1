"""One bad event holds up no other: gateways with limits, and brains that fail at an event."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.agents import agent_of, errors, status_with, until
from tests.support.hostile_relay import as_it_was, hostile_relay
from z4j_fastapi.agent import delivery, reconnect, supervisor
from z4j_fastapi.agent.frame_size import recall_frame_size
from z4j_fastapi.agent.reconnect import Schedule
from z4j_fastapi.agent.status import State
from z4j_fastapi.buffer import SetAside
from z4j_fastapi.devbrain import NEVER, DevBrain, Limits, Misbehaviour
from z4j_probes.codes import Heals
from z4j_probes.protocol import LEAST_MAX_FRAME_BYTES

WAIT_S = 60.0


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect again without the wait, which spreads agents and has no part in this."""
    monkeypatch.setitem(reconnect._SCHEDULES, Heals.BY_ITSELF, Schedule(base_s=0.05, cap_s=0.05))


def with_event(name: str, code: int) -> Callable[[str], int | None]:
    def end_behind(message: str) -> int | None:
        return code if f'"task_id":"{name}"' in message.replace(" ", "") else None

    return end_behind


@pytest.mark.parametrize("code", [1011, 4400])
async def test_an_event_that_ends_the_session_is_set_aside_and_the_others_arrive(
    code: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        DevBrain() as brain,
        hostile_relay(brain.url, as_it_was) as relay,
        agent_of(brain, tmp_path, brain_url=relay.url) as agent,
    ):
        relay.end_behind = with_event("poison", code)
        for n in range(151):
            assert agent.emit("task.sent", task_id="poison" if n == 75 else str(n))
        await until(lambda: len(brain.seen.events) == 150, "the sound ones arrived", WAIT_S)
        await until(lambda: agent.status.buffered == 0, "nothing waits", WAIT_S)
        assert len(relay.agents) <= 12
        await until(lambda: agent.status.set_aside == 1, "it was counted", WAIT_S)
        (aside,) = SetAside(Path(agent.status.buffer_path or "")).list()
        assert json.loads(aside.json)["task_id"] == "poison"
        assert aside.code == "session.event_set_aside"
        assert agent.status.dropped == 0
    (said,) = [said for said in errors(caplog) if "set aside" in said]
    assert "session.event_set_aside" in said
    assert str(code) in said


@pytest.mark.parametrize("events", [1, 30])
async def test_a_brain_that_fails_at_everything_for_a_while_costs_no_event(
    events: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "AGAIN_MAX_S", 0.1)
    monkeypatch.setattr(delivery, "AGAIN_S", 0.1)
    async with (
        DevBrain(limits=Limits(heartbeat_interval_s=0.2)) as brain,
        hostile_relay(brain.url, as_it_was) as relay,
        agent_of(brain, tmp_path, brain_url=relay.url) as agent,
    ):
        relay.end_behind = lambda message: 1011 if '"task_id"' in message else None
        for n in range(events):
            assert agent.emit("task.sent", task_id=str(n))
        await until(lambda: len(relay.agents) > 12, "it was tried again and again", WAIT_S)
        assert agent.status.set_aside == 0
        relay.end_behind = lambda message: None
        await brain.wait_for_events(events)
        await until(lambda: agent.status.buffered == 0, "all were acknowledged", WAIT_S)
        assert (agent.status.set_aside, agent.status.dropped) == (0, 0)


async def test_a_gateways_message_limit_is_learned_and_kept_for_the_next_process(tmp_path: Path) -> None:
    limit = 32 * 1024
    async with DevBrain() as brain, hostile_relay(brain.url, as_it_was) as relay:
        relay.end_behind = lambda message: 1009 if len(message) > limit else None
        credentials = brain.mint("web")
        async with agent_of(brain, tmp_path, credentials, brain_url=relay.url) as agent:
            for n in range(200):
                agent.emit("task.sent", task_id=str(n), args=["x" * 2000] * (25 if n == 9 else 1))
            await until(lambda: len(brain.seen.events) == 199, "all that can pass arrived", WAIT_S)
            await until(lambda: agent.status.buffered == 0, "the large one was set aside", WAIT_S)
            path = Path(agent.status.buffer_path or "")
            learned = recall_frame_size(path.parent, path.name)
            assert learned is not None
            assert learned <= limit
        connections = len(relay.agents)
        async with agent_of(brain, tmp_path, credentials, brain_url=relay.url) as agent:
            for n in range(200, 250):
                agent.emit("task.sent", task_id=str(n), args=["x" * 2000])
            await until(lambda: len(brain.seen.events) == 249, "they arrived", WAIT_S)
            assert len(relay.agents) == connections + 1


async def test_a_connection_that_is_lost_behind_an_event_sets_nothing_aside(tmp_path: Path) -> None:
    async with (
        DevBrain() as brain,
        hostile_relay(brain.url, as_it_was) as relay,
        agent_of(brain, tmp_path, brain_url=relay.url) as agent,
    ):

        def reset(message: str) -> int | None:
            if '"events":[{' in message.replace(" ", ""):
                relay.agents[-1].transport.abort()
            return None

        relay.end_behind = reset
        agent.emit("task.sent", task_id="1")
        await until(lambda: len(relay.agents) > 6, "it was tried again and again", WAIT_S)
        relay.end_behind = lambda message: None
        await brain.wait_for_events(1)
        await until(lambda: agent.status.buffered == 0, "it was acknowledged", WAIT_S)
        assert agent.status.set_aside == 0


async def test_no_limit_that_a_relay_makes_up_costs_an_event(tmp_path: Path) -> None:
    """The answer to hello is not signed."""
    hostile = Misbehaviour(hello_ack_changes={"max_frame_size_bytes": LEAST_MAX_FRAME_BYTES})
    async with DevBrain(misbehaviour=hostile) as brain, agent_of(brain, tmp_path) as agent:
        for n in range(20):
            agent.emit("task.sent", task_id=str(n), args=["x" * 1000] * (30 if n % 5 == 0 else 1))
        await until(lambda: len(brain.seen.events) == 16, "smaller ones passed", WAIT_S)
        await until(lambda: agent.status.buffered == 4, "they were acknowledged", WAIT_S)
        assert agent.status.dropped == 0
        brain.misbehaviour = Misbehaviour()
        brain.drop_connections()
        await until(lambda: len(brain.seen.events) == 20, "all arrived", WAIT_S)
        await until(lambda: agent.status.buffered == 0, "all were acknowledged", WAIT_S)
        assert agent.status.dropped == 0


async def test_an_agent_whose_events_are_not_acknowledged_is_not_online_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor, "UNACKNOWLEDGED_S", 0.3)
    limits = Limits(heartbeat_interval_s=0.1)
    async with DevBrain(limits=limits) as brain, agent_of(brain, tmp_path) as agent:
        brain.misbehaviour = Misbehaviour(drop_acks=NEVER)
        agent.emit("task.sent", task_id="1")
        status = await status_with(agent, State.ONLINE, "session.unacknowledged")
        assert "no batch acknowledged" in status.reason
        assert status.unacknowledged_s >= 0.3
        brain.misbehaviour = Misbehaviour()
        brain.drop_connections()
        await until(lambda: agent.status.buffered == 0, "it was acknowledged", WAIT_S)
        status = await status_with(agent, State.ONLINE)
        assert status.unacknowledged_s == 0.0
    said = [r for r in caplog.records if getattr(r, "z4j_code", "") == "session.unacknowledged"]
    assert [r.levelname for r in said] == ["WARNING"]
