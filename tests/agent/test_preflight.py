"""Entering an agent: what the first climb's verdict does to the host."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import uvloop

from tests.support.agents import (
    agent_of,
    closed_port,
    errors,
    peer_that_freezes,
    silent_peer,
    status_with,
    until,
    warnings,
)
from z4j_fastapi.agent.agent import Z4JAgent
from z4j_fastapi.agent.errors import PreflightError
from z4j_fastapi.agent.reconnect import QUICK
from z4j_fastapi.agent.status import State
from z4j_fastapi.buffer import open as opening
from z4j_fastapi.devbrain import DevBrain, Misbehaviour


async def test_an_agent_with_good_settings_is_online_when_it_is_entered(tmp_path: Path) -> None:
    async with DevBrain() as brain:
        agent = agent_of(brain, tmp_path)
        async with agent:
            entered = agent.status
            await brain.wait_for_workers(1)
        assert entered.state is State.ONLINE
        assert entered.report is not None
        assert entered.report.ok
        assert entered.session_id is not None
        assert brain.seen.connections == 1
        assert agent.status.state is State.STOPPED


async def test_it_introduces_itself_with_names_that_a_restart_keeps(tmp_path: Path) -> None:
    async with DevBrain() as brain:
        for _ in range(2):
            async with agent_of(brain, tmp_path, engines=("arq",), role="task"):
                await brain.wait_for_workers(1)
            await brain.wait_for_workers(0)
        first, second = brain.seen.hellos
        assert first.worker_id == second.worker_id
        assert ".task.0." in str(first.worker_id)
        assert (first.engines, first.worker_role, first.host_name) == (("arq",), "task", "web")


async def test_the_disk_path_of_the_buffer_is_told(tmp_path: Path) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        assert agent.status.buffer_path is not None
        assert "buffer-0.sqlite" in os.listdir(agent.status.buffer_path)


async def test_a_failed_first_climb_is_one_error_and_the_host_starts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closed_port() as port:
        brain = DevBrain()
        url = f"http://127.0.0.1:{port}"
        async with agent_of(brain, tmp_path, brain_url=url) as agent:
            status = await status_with(agent, State.OFFLINE, "tcp.refused")
            assert f"127.0.0.1:{port}" in status.reason
            (said,) = errors(caplog)
            assert said.startswith(f"offline (tcp.refused): {status.reason}")


async def test_it_comes_online_when_the_brain_does(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closed_port() as port:
        pass
    brain = DevBrain(port=port)
    credentials = brain.mint("web")
    async with agent_of(brain, tmp_path, credentials, brain_url=f"http://127.0.0.1:{port}") as agent:
        await status_with(agent, State.OFFLINE, "tcp.refused")
        async with brain:
            await status_with(agent, State.ONLINE)
            await until(lambda: len(errors(caplog)) == 2, "a line in the log")  # it follows the status
            assert [said.partition(":")[0] for said in errors(caplog)] == [
                "offline (tcp.refused)",
                "online again",
            ]


async def test_strict_raises_with_the_doctors_table(tmp_path: Path) -> None:
    async with DevBrain() as brain:
        agent = agent_of(brain, tmp_path, token="not-a-token-of-this-brain", preflight="strict")
        with pytest.raises(PreflightError) as caught:
            await agent.__aenter__()
        assert caught.value.report is not None
        failure = caught.value.report.first_failure
        assert failure is not None
        assert failure.code == "auth.token_rejected"
        assert "auth.token_rejected" in str(caught.value)
        assert all(step.text in " ".join(str(caught.value).split()) for step in failure.steps)
        assert "not-a-token" not in str(caught.value)
        assert agent.status.state is State.STOPPED


async def test_off_does_not_wait(tmp_path: Path) -> None:
    async with silent_peer() as url:
        started_s = time.monotonic()
        async with agent_of(
            DevBrain(), tmp_path, brain_url=url, preflight="off", shutdown_budget_s=0.1
        ) as agent:
            assert time.monotonic() - started_s < 1.0
            assert agent.status.state is State.STARTING


async def test_a_peer_that_says_nothing_costs_the_budget_and_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with silent_peer() as url:
        agent = agent_of(DevBrain(), tmp_path, brain_url=url, preflight_budget_s=1.0, shutdown_budget_s=0.1)
        started_s = time.monotonic()
        async with agent:
            assert time.monotonic() - started_s < 2.0
            entered = agent.status
            assert entered.state is State.STARTING
            assert entered.reason == "still connecting: waiting for websocket"
            assert agent.emit("task.sent", task_id="1")
            await status_with(agent, State.OFFLINE, "websocket.timeout")
    assert warnings(caplog) == [
        "still connecting: waiting for websocket after 1 s (preflight_budget_s); "
        "the agent continues in the background"
    ]


async def test_a_first_attempt_that_takes_longer_than_the_budget_goes_on(tmp_path: Path) -> None:
    slow = DevBrain(misbehaviour=Misbehaviour(delay_s=1.0))
    async with slow as brain, agent_of(brain, tmp_path, preflight_budget_s=0.3) as agent:
        assert agent.status.state is State.STARTING
        await status_with(agent, State.ONLINE)
        assert brain.seen.connections == 1


@pytest.mark.parametrize(("peer", "probe"), [(silent_peer, "websocket"), (peer_that_freezes, "auth")])
async def test_strict_lets_no_host_start_beside_a_peer_that_is_stuck(
    tmp_path: Path, peer: Callable[[], AbstractAsyncContextManager[str]], probe: str
) -> None:
    async with peer() as url:
        agent = agent_of(
            DevBrain(),
            tmp_path,
            brain_url=url,
            preflight="strict",
            preflight_budget_s=3.0,
            shutdown_budget_s=0.1,
        )
        with pytest.raises(PreflightError, match=rf"waiting for {probe} after 3 s \(preflight_budget_s\)"):
            await agent.__aenter__()
        assert agent.status.state is State.STOPPED


async def test_strict_lets_no_host_start_without_a_thread_for_its_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async with DevBrain() as brain:
        agent = agent_of(brain, tmp_path, preflight="strict")
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start)  # what a limit of processes does
            with pytest.raises(PreflightError, match="can't start new thread"):
                await agent.__aenter__()


async def test_a_slow_state_directory_takes_of_the_same_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr(opening, "_open", lambda *_: released.wait())  # a mount that does not answer
    async with silent_peer() as url:
        agent = agent_of(
            DevBrain(),
            tmp_path,
            brain_url=url,
            preflight="strict",
            preflight_budget_s=1.0,
            shutdown_budget_s=0.1,
        )
        started_s = time.monotonic()
        with pytest.raises(PreflightError):
            await agent.__aenter__()
        assert time.monotonic() - started_s < 2.0
    released.set()


async def test_what_passes_today_and_may_not_tomorrow_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    drifting = DevBrain(misbehaviour=Misbehaviour(clock_offset_s=30))
    async with drifting as brain, agent_of(brain, tmp_path) as agent:
        first = agent.status.session_id
        await brain.stop()
        await brain.start()
        await until(lambda: agent.status.session_id not in (None, first), "it had another session")
    said = [said.partition(":")[0] for said in warnings(caplog)]
    assert said.count("signing.clock_skew") == 1


async def test_strict_does_not_start_with_a_peer_that_knows_neither_token_nor_secret(tmp_path: Path) -> None:
    stranger = DevBrain(misbehaviour=Misbehaviour(accept_unsigned=True, send_unsigned=True))
    async with stranger as brain:
        with pytest.raises(PreflightError, match=r"signing\.brain_signature_invalid"):
            await agent_of(brain, tmp_path, preflight="strict").__aenter__()


# policies go with Python 3.16
@pytest.mark.filterwarnings("ignore:.*(event_loop_policy|EventLoopPolicy):DeprecationWarning")
def test_a_hosts_policy_for_event_loops_is_not_the_agents(tmp_path: Path) -> None:
    async def enter() -> State:
        async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
            return agent.status.state

    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    try:
        assert asyncio.run(enter()) is State.ONLINE
    finally:
        asyncio.set_event_loop_policy(before)


async def test_settings_that_are_no_use_disable_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ftp = Z4JAgent(brain_url="ftp://brain.example", token="t" * 20, hmac_secret="s" * 43, home=tmp_path)
    async with ftp as agent:
        assert agent.status.state is State.DISABLED
        assert agent.status.code == "config.unsupported_scheme"
        assert "Stays off until restarted." in errors(caplog)[0]
        assert agent.emit("task.sent", task_id="1") is False
        assert agent.status.dropped >= 1


async def test_no_secret_means_disabled_since_no_brain_would_listen(tmp_path: Path) -> None:
    async with Z4JAgent(brain_url="http://127.0.0.1:1", token="t" * 20, home=tmp_path) as agent:
        assert agent.status.state is State.DISABLED
        assert agent.status.code == "config.missing"


async def test_a_host_can_disable_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("Z4J_DISABLED", "1")
    async with Z4JAgent(home=tmp_path) as agent:
        assert agent.status.state is State.DISABLED
        assert not os.listdir(tmp_path)


async def test_cancelling_a_start_leaves_nothing_behind(tmp_path: Path) -> None:
    async with silent_peer() as url:
        agent = agent_of(DevBrain(), tmp_path, brain_url=url)
        entering = asyncio.create_task(agent.__aenter__())
        await asyncio.sleep(0)
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        await agent.__aexit__(None, None, None)
        assert agent.status.state is State.STOPPED


async def test_an_unusable_directory_means_memory_and_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    async with DevBrain() as brain, agent_of(brain, tmp_path, home=tmp_path / "file") as agent:
        assert agent.status.state is State.ONLINE
        assert agent.status.buffer_path is None
        assert errors(caplog)[0].startswith("buffer.not_a_directory: ")
        assert not agent.emit("task.sent", task_id="1")  # it is in no file, and delivered all the same
        assert (agent.status.not_durable, agent.status.dropped) == (1, 0)
        await brain.wait_for_events(1)


def test_the_longest_quick_delay_is_what_a_brain_that_restarts_costs() -> None:
    assert QUICK.cap_s <= 30
