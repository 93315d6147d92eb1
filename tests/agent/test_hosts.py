"""The host comes first: its loop, its forks, its signals, its reloads."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import sys
import time
from pathlib import Path

import pytest

from tests.support.agents import agent_of, until
from tests.support.brain_thread import brain_elsewhere
from tests.support.uvicorn import APP, Uvicorn
from z4j_fastapi.agent.errors import ForkedAgentError
from z4j_fastapi.agent.status import State
from z4j_fastapi.devbrain import DevBrain, Limits

pytestmark = pytest.mark.component


def settings_of(brain: DevBrain) -> dict[str, str]:
    return brain.environment(brain.mint("web"))


async def test_a_host_whose_loop_is_blocked_keeps_its_session_and_loses_nothing(tmp_path: Path) -> None:
    # the brain gives up on whoever is silent for a second; the host's loop stands still for four
    with brain_elsewhere(limits=Limits(heartbeat_interval_s=0.2, idle_timeout_s=1.0)) as brain:
        async with agent_of(brain, tmp_path) as agent:
            session = agent.status.session_id
            for n in range(100):
                agent.emit("task.sent", task_id=str(n))
            time.sleep(4)  # noqa: ASYNC251 - that is the point
            agent.emit("task.sent", task_id="after")
            await until(lambda: len(brain.seen.events) == 101, "all events arrived")
            assert agent.status.session_id == session
            assert brain.seen.connections == 1


@pytest.mark.slow
async def test_thirty_seconds_are_survived_too(tmp_path: Path) -> None:
    with brain_elsewhere() as brain:
        async with agent_of(brain, tmp_path) as agent:
            agent.emit("task.sent", task_id="before")
            time.sleep(30)  # noqa: ASYNC251 - that is the point
            agent.emit("task.sent", task_id="after")
            await until(lambda: len(brain.seen.events) == 2, "both events arrived")
            assert agent.status.state is State.ONLINE
            assert brain.seen.connections == 1


@pytest.mark.slow
async def test_a_thousand_events_a_second_do_not_make_the_hosts_loop_late(tmp_path: Path) -> None:
    """The added p99 lag stays under 2 ms where no other tests run beside; the best of three tries is ours."""

    async def lags_ms(agent_emits: bool) -> list[float]:
        lags: list[float] = []
        for n in range(1500):
            due_s = time.perf_counter() + 0.001
            await asyncio.sleep(0.001)
            lags.append((time.perf_counter() - due_s) * 1000)
            if agent_emits:
                agent.emit(
                    "task.succeeded", task_id=str(n), task_name="mail", queue="arq:queue", runtime_ms=1.5
                )
        return lags

    def p99(lags: list[float]) -> float:
        return statistics.quantiles(lags, n=100)[98]

    with brain_elsewhere() as brain:
        async with agent_of(brain, tmp_path) as agent:
            added = []
            for _ in range(3):
                quiet, busy = p99(await lags_ms(False)), p99(await lags_ms(True))
                added.append(busy - quiet)
                if added[-1] < 2.0:
                    break
            assert min(added) < 2.0, added


async def test_a_fork_has_no_agent(tmp_path: Path) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        agent.emit("task.sent", task_id="parent")
        read, write = os.pipe()
        child = os.fork()
        if child == 0:  # nothing in here may return to pytest
            try:
                answers = [agent.emit("task.sent", task_id="child"), agent.status.state is State.DISABLED]
                try:
                    asyncio.new_event_loop().run_until_complete(agent.__aenter__())
                except ForkedAgentError:
                    answers.append(True)
                os.write(write, repr(answers).encode())
            finally:
                os._exit(0)
        os.close(write)
        await asyncio.to_thread(os.waitpid, child, 0)
        assert os.read(read, 1000) == b"[False, True, True]"
        os.close(read)
        agent.emit("task.sent", task_id="parent again")
        await brain.wait_for_events(2)
        assert {e["task_id"] for e in brain.seen.events.values()} == {"parent", "parent again"}


async def test_a_child_does_not_keep_a_killed_parent_online(tmp_path: Path) -> None:
    async with DevBrain() as brain:
        environ = {**os.environ, **settings_of(brain), "Z4J_HOME": str(tmp_path / "z4j")}
        parent = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.support.forking_agent",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environ,
        )
        assert parent.stdin is not None
        assert parent.stdout is not None
        child = int(await asyncio.wait_for(parent.stdout.readline(), 20))
        await brain.wait_for_workers(1)
        parent.kill()
        await brain.wait_for_workers(0)  # far below the patience of a brain, which is 90 s
        os.kill(child, 0)  # it lives
        parent.stdin.close()
        await parent.stdout.read()  # the child has gone
        await parent.wait()


async def test_sigterm_under_uvicorn_stops_it_cleanly_and_fast(tmp_path: Path) -> None:
    async with DevBrain() as brain, Uvicorn(settings_of(brain), tmp_path) as process:
        await brain.wait_for_workers(1)
        started_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 10)
        assert time.monotonic() - started_s < 2.0
        await brain.wait_for_workers(0)
        assert brain.seen.refusals == []


async def test_sigterm_stops_it_fast_while_the_brain_is_away(tmp_path: Path) -> None:
    brain = DevBrain()
    async with brain, Uvicorn(settings_of(brain), tmp_path) as process:
        await brain.wait_for_workers(1)
        await brain.stop()
        started_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 10)
        assert time.monotonic() - started_s < 3.0


async def test_four_workers_are_four_workers_of_one_agent_however_often_they_start(tmp_path: Path) -> None:
    async with DevBrain() as brain:
        for _ in range(2):
            async with Uvicorn(settings_of(brain), tmp_path, "--workers", "4"):
                await brain.wait_for_workers(4, timeout_s=60)  # five starts of Python, on a busy machine too
            await brain.wait_for_workers(0)
        names = {hello.worker_id for hello in brain.seen.hellos}
        assert {str(name).split(".")[-2] for name in names} == {"0", "1", "2", "3"}
        assert len(names) == 4


async def test_a_reload_is_the_same_worker_again(tmp_path: Path) -> None:
    async with DevBrain() as brain, Uvicorn(settings_of(brain), tmp_path, "--reload"):
        await brain.wait_for_workers(1)

        written_s = 0.0

        def changed() -> bool:
            nonlocal written_s
            # again: the reloader may not have taken its first look yet; not at once: each change ends a start
            if time.monotonic() - written_s > 5.0:
                written_s = time.monotonic()
                (tmp_path / "app.py").write_text(APP + f"\n# {written_s}\n")
            return len(brain.seen.hellos) >= 2

        await until(changed, "it came again", timeout_s=60)
        await brain.wait_for_workers(1)
        assert len({hello.worker_id for hello in brain.seen.hellos}) == 1
