"""Time-lapse: twelve agents behind a path that fails in every way. All live, and every event arrives once."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from pathlib import Path

import pytest

from tests.support.agents import agent_of, until
from tests.support.rough_relay import WAYS, rough_relay
from z4j_fastapi.agent import in_flight, reconnect, session
from z4j_fastapi.agent.agent import Z4JAgent
from z4j_fastapi.agent.reconnect import Schedule
from z4j_fastapi.agent.status import State
from z4j_fastapi.devbrain import DevBrain, Limits
from z4j_probes.codes import Heals

AGENTS = 12
EMIT_EVERY_S = 0.05
# Until all have come back and delivered, on a machine that has other things to do.
SETTLES_WITHIN_S = 120.0


@pytest.mark.waits
@pytest.mark.component
@pytest.mark.parametrize("lasts_s", [15.0, pytest.param(60.0, marks=pytest.mark.slow)])
async def test_no_agent_dies_and_every_event_arrives_once(
    lasts_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # an hour of outages in seconds: timeouts and waits are shorter, the paths are the same
    monkeypatch.setattr(session, "PING_INTERVAL_S", 0.5)
    monkeypatch.setattr(session, "PING_TIMEOUT_S", 0.5)
    monkeypatch.setattr(in_flight, "ACK_TIMEOUT_S", 1.5)
    monkeypatch.setattr("z4j_fastapi.agent.ascent.RUN_BUDGET_S", 3.0)
    for heals in (Heals.BY_ITSELF, Heals.BY_A_PERSON, Heals.BY_WAITING):
        monkeypatch.setitem(reconnect._SCHEDULES, heals, Schedule(base_s=0.1, cap_s=0.5))
    sent: list[str] = []
    async with DevBrain(limits=Limits(heartbeat_interval_s=0.5)) as brain:
        credentials = brain.mint("web")
        async with rough_relay(brain.port, seed=14) as relay, contextlib.AsyncExitStack() as stack:
            agents = [
                agent_of(
                    brain, tmp_path, credentials, brain_url=relay.url, preflight="off", shutdown_budget_s=5.0
                )
                for _ in range(AGENTS)
            ]
            for agent in agents:
                await stack.enter_async_context(agent)
            await asyncio.gather(*(emit_for(lasts_s, agent, n, sent) for n, agent in enumerate(agents)))
            assert set(WAYS) <= relay.met.keys()
            relay.is_rough = False
            await until(
                lambda: all(agent.status.state is State.ONLINE for agent in agents),
                "every agent was alive and online",
                SETTLES_WITHIN_S,
            )
            await until(
                lambda: all(agent.status.buffered == 0 for agent in agents),
                "everything was acknowledged",
                SETTLES_WITHIN_S,
            )
            for agent in agents:
                assert (agent.status.dropped, agent.status.set_aside) == (0, 0)
        arrived = sorted(event["task_id"] for event in brain.seen.events.values())
        assert arrived == sorted(sent)  # a brain knows an event that came twice by its id


async def emit_for(seconds: float, agent: Z4JAgent, number: int, sent: list[str]) -> None:
    """Emit an event now and then; each has to be kept."""
    until_s = time.monotonic() + seconds
    for n in itertools.count():
        if time.monotonic() > until_s:
            return
        assert agent.emit("task.sent", task_id=f"{number}-{n}", args=["x" * 500])
        sent.append(f"{number}-{n}")
        await asyncio.sleep(EMIT_EVERY_S)
