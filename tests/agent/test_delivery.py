"""Events from `emit` to the brain's acknowledgement: nothing is lost, nothing waits for the network."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.agents import agent_of, closed_port, status_with, until
from z4j_fastapi.agent.status import State
from z4j_fastapi.devbrain import NEVER, Close, DevBrain, Limits, Misbehaviour

EMIT_AND_DIE = """
import asyncio, os, sys
from z4j_fastapi.agent.agent import Z4JAgent

async def main():
    async with Z4JAgent(preflight="off") as agent:
        for n in range(int(sys.argv[1])):
            assert agent.emit("task.sent", task_id=str(n))
        print("emitted", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_an_event_arrives_once_and_is_then_forgotten(tmp_path: Path) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path, engines=("arq",)) as agent:
        assert agent.emit("task.failed", task_id="t-1", task_name="mail", exception="ValueError: no")
        await brain.wait_for_events(1)
        (event,) = brain.seen.events.values()
        assert (event["kind"], event["task_id"], event["engine"]) == ("task.failed", "t-1", "arq")
        assert event["data"] == {"task_name": "mail", "exception": "ValueError: no"}
        await until(lambda: agent.status.buffered == 0, "the buffer was empty")


async def test_events_of_many_threads_all_arrive(tmp_path: Path) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:

        def emit(thread: int) -> None:
            for n in range(200):
                agent.emit("task.sent", task_id=f"{thread}-{n}")

        threads = [threading.Thread(target=emit, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        await brain.wait_for_events(1600)
        for thread in threads:
            thread.join()
        assert brain.seen.duplicates == 0


async def test_events_from_before_the_brain_was_there_arrive(tmp_path: Path) -> None:
    with closed_port() as port:
        pass
    brain = DevBrain(port=port)
    async with agent_of(brain, tmp_path, brain_url=f"http://127.0.0.1:{port}") as agent:
        for n in range(1000):
            assert agent.emit("task.sent", task_id=str(n))
        assert agent.status.buffered == 1000
        async with brain:
            await brain.wait_for_events(1000)


async def test_a_brain_that_restarts_in_the_middle_gets_every_event_once(tmp_path: Path) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        for n in range(1000):
            agent.emit("task.sent", task_id=str(n))
        await brain.wait_for_events(1)
        await brain.stop()
        for n in range(1000, 2000):
            agent.emit("task.sent", task_id=str(n))
        await brain.start()
        await brain.wait_for_events(2000)
        assert len(brain.seen.events) == 2000


async def test_a_connection_that_is_cut_loses_nothing(tmp_path: Path) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        brain.misbehaviour = Misbehaviour(drop_acks=NEVER)
        for n in range(300):
            agent.emit("task.sent", task_id=str(n))
        await brain.wait_for_events(51)  # a second batch has come
        brain.misbehaviour = Misbehaviour()
        brain.drop_connections()
        await brain.wait_for_events(300)
        await until(lambda: agent.status.buffered == 0, "the buffer was empty")
        assert brain.seen.duplicates > 0


@pytest.mark.component
async def test_what_was_emitted_survives_kill_9(tmp_path: Path) -> None:
    async with DevBrain() as brain:
        credentials = brain.mint("web")
        environment = brain.environment(credentials) | {
            "Z4J_HOME": str(tmp_path / "z4j"),
            "Z4J_AGENT_NAME": "web",
        }
        # the identity of a buffer is made of the URL, so both processes dial the same port
        await brain.stop()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", EMIT_AND_DIE, "500", env=environment, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"emitted\n"
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await brain.start()
        async with agent_of(brain, tmp_path, credentials):
            await brain.wait_for_events(500)
            assert {event["task_id"] for event in brain.seen.events.values()} == {str(n) for n in range(500)}


async def test_leaving_flushes_what_is_buffered(tmp_path: Path) -> None:
    async with DevBrain() as brain:
        async with agent_of(brain, tmp_path) as agent:
            for n in range(700):
                agent.emit("task.sent", task_id=str(n))
        assert len(brain.seen.events) == 700
        assert brain.seen.refusals == []


async def test_leaving_while_the_brain_is_silent_keeps_its_budget_and_the_events(tmp_path: Path) -> None:
    async with DevBrain() as brain:
        credentials = brain.mint("web")
        loop = asyncio.get_running_loop()
        async with agent_of(brain, tmp_path, credentials, shutdown_budget_s=0.5) as agent:
            brain.misbehaviour = Misbehaviour(drop_acks=NEVER)
            agent.emit("task.sent", task_id="1")
            await brain.wait_for_events(1)
            leaving_s = loop.time()
        assert loop.time() - leaving_s < 2.0
        brain.misbehaviour = Misbehaviour()
        async with agent_of(brain, tmp_path, credentials):
            await brain.seen.until(lambda: brain.seen.duplicates == 1, "the event came again")


async def test_the_bounds_drop_the_oldest_and_say_so(tmp_path: Path) -> None:
    with closed_port() as port:
        pass
    brain = DevBrain(port=port, limits=Limits(heartbeat_interval_s=0.1))
    url = f"http://127.0.0.1:{port}"
    async with agent_of(brain, tmp_path, brain_url=url, max_buffered_events=100) as agent:
        for n in range(300):
            assert agent.emit("task.sent", task_id=str(n))
        # the housekeeper drops: the bounds may be passed for a moment
        await until(lambda: agent.status.buffered <= 100, "the oldest were dropped")
        status = agent.status
        assert status.buffered + status.dropped == 300
        async with brain:
            await brain.wait_for_events(status.buffered)
            assert "299" in {event["task_id"] for event in brain.seen.events.values()}
            await brain.seen.until(
                lambda: any(h.payload["dropped_events"] == status.dropped for h in brain.seen.heartbeats),
                "a heartbeat reported the loss",
            )


async def test_an_event_above_the_brains_frame_limit_does_not_block_the_others(tmp_path: Path) -> None:
    limited = DevBrain(limits=Limits(max_frame_bytes=16_384))
    async with limited as brain, agent_of(brain, tmp_path) as agent:
        agent.emit("task.sent", task_id="large", args=["x" * 8000, "y" * 8000, "z" * 8000])
        agent.emit("task.sent", task_id="small")
        await brain.wait_for_events(1)
        await until(lambda: agent.status.buffered == 1, "the small one was acknowledged")
        assert [event["task_id"] for event in brain.seen.events.values()] == ["small"]
        assert agent.status.dropped == 0  # another brain, or this one tomorrow, may have another limit


async def test_a_host_object_that_raises_is_no_reason_to_lose_the_event(tmp_path: Path) -> None:
    class Hostile(dict[str, str]):
        def items(self) -> object:  # type: ignore[override]
            raise RuntimeError("no")

    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        assert agent.emit("task.sent", task_id="1", kwargs=Hostile())
        await brain.wait_for_events(1)
        (event,) = brain.seen.events.values()
        assert event["data"] == {"kwargs": "<Hostile: unreadable, RuntimeError>"}


async def test_what_is_above_the_buffers_own_bound_is_one_event_lost(tmp_path: Path) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path, max_buffered_bytes=1000) as agent:
        assert not agent.emit("task.sent", task_id="large", args=["x" * 2000])
        assert agent.status.dropped == 1


async def test_one_engine_may_be_named_as_it_is(tmp_path: Path) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path, engines="arq") as agent:
        agent.emit("task.sent", task_id="1", kind="a field of that name", self=1)
        await brain.wait_for_events(1)
        (event,) = brain.seen.events.values()
        assert (event["engine"], event["kind"], event["data"]["kind"]) == (
            "arq",
            "task.sent",
            "a field of that name",
        )
        assert brain.seen.hellos[0].engines == ("arq",)


async def test_an_event_may_come_from_a_signal_handler(tmp_path: Path) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        before = signal.signal(signal.SIGUSR2, lambda *_: agent.emit("worker.offline", task_id="signal"))
        try:
            signal.raise_signal(signal.SIGUSR2)
        finally:
            signal.signal(signal.SIGUSR2, before)
        await brain.wait_for_events(1)


async def test_a_flapping_brain_is_given_time(tmp_path: Path) -> None:
    flapping = DevBrain(misbehaviour=Misbehaviour(close_at_first_signed=Close(1011)))
    async with flapping as brain, agent_of(brain, tmp_path) as agent:
        await status_with(agent, State.OFFLINE, "signing.closed")
        brain.misbehaviour = Misbehaviour()
        await status_with(agent, State.ONLINE)
