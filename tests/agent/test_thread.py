"""The agent's thread: nothing ends it but a stop, and one that has died is noticed and started again."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.agents import agent_of, closed_port, errors, peer_that_freezes, status_with, until
from z4j_fastapi.agent import ascent, supervisor, thread
from z4j_fastapi.agent.agent import Z4JAgent
from z4j_fastapi.agent.reconnect import Schedule
from z4j_fastapi.agent.status import State
from z4j_fastapi.buffer import EventBuffer, housekeeper
from z4j_fastapi.buffer.event_store import EventStore
from z4j_fastapi.devbrain import DevBrain, Limits
from z4j_probes import Ladder, Report


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect again without much ado."""
    monkeypatch.setattr(Schedule, "delay_s", lambda *_: 0.05)


async def test_a_brain_that_hangs_after_a_session_is_one_failure_among_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ascent, "RUN_BUDGET_S", 1.0)
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        await brain.stop()
        async with peer_that_freezes(brain.port):
            first = await status_with(agent, State.OFFLINE, "auth.no_reply")
            assert agent.emit("task.sent", task_id="1")
            # once that climb was released, which is where Python 3.11.2 ended the thread
            await until(lambda: agent.status.since > first.since, "it climbed again")
        await brain.start()
        await status_with(agent, State.ONLINE)
        await brain.wait_for_events(1)


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError, ValueError, MemoryError, SystemExit, KeyboardInterrupt]
)
async def test_an_error_of_any_kind_is_logged_and_the_agent_connects_again(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
) -> None:
    async with DevBrain() as brain:
        credentials = brain.mint("web")
        raised = fail_once(monkeypatch, error(f"{credentials.token} {credentials.hmac_secret}"))
        async with agent_of(brain, tmp_path, credentials, preflight="off") as agent:
            await status_with(agent, State.ONLINE)
            assert agent.emit("task.sent", task_id="1")
            await brain.wait_for_events(1)
            assert agent.status.worker_id is not None
            assert ".web.0." in agent.status.worker_id  # the buffer is the same
        assert raised
    (said,) = errors(caplog)
    assert "please report it" in said
    assert f"{error.__name__}: [redacted] [redacted]" in said
    assert "test_thread.py" in said  # the traceback
    assert credentials.token not in caplog.text
    assert credentials.hmac_secret not in caplog.text


def fail_once(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> list[BaseException]:
    """The first climb of this process ends in that error, outside of all probes."""
    raised: list[BaseException] = []
    real = Ladder.report

    def report(*args: object, **options: object) -> Report:
        if not raised:
            raised.append(error)
            raise error
        return real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Ladder, "report", report)
    return raised


async def test_a_log_handler_that_exits_costs_a_line(tmp_path: Path) -> None:
    class Exits(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if threading.current_thread() is not threading.main_thread():
                raise SystemExit

    logger, handler = logging.getLogger("z4j"), Exits()
    logger.addHandler(handler)
    try:
        async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
            await brain.stop()
            await status_with(agent, State.OFFLINE, "tcp.refused")
            await brain.start()
            await status_with(agent, State.ONLINE)
    finally:
        logger.removeHandler(handler)


@contextmanager
def killing(agent: Z4JAgent, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Kills that agent's thread: SystemExit leaves its loop, and what would survive that exits as well."""

    def die(*_: object) -> None:
        raise SystemExit

    def kill() -> None:
        life = agent._thread
        assert life is not None
        assert life._thread is not None
        assert life._loop is not None
        life._loop.call_soon_threadsafe(die)
        life._thread.join(15)
        assert not life._thread.is_alive()

    with monkeypatch.context() as patch:
        patch.setattr(thread.AgentThread, "_died", die)
        yield kill


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("who", ["emit", "status", "housekeeper"])
async def test_a_dead_thread_is_noticed_logged_and_started_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    if who == "housekeeper":
        monkeypatch.setattr(housekeeper, "LOOK_EVERY_S", 0.05)
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        before = agent.status.worker_id
        with killing(agent, monkeypatch) as kill:
            await asyncio.to_thread(kill)
        if who == "emit":
            assert agent.emit("task.sent", task_id="1")
        elif who == "status":
            seen = agent.status
            assert (seen.state, seen.session_id) == (State.OFFLINE, None)
            assert "thread" in seen.reason
        await until(lambda: brain.seen.connections == 2, "it connected again")
        await status_with(agent, State.ONLINE)
        assert agent.status.worker_id == before
        agent.emit("task.sent", task_id="2")
        await brain.wait_for_events(2 if who == "emit" else 1)
    assert any("thread died" in said for said in errors(caplog))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_thread_that_dies_again_waits_for_its_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        with killing(agent, monkeypatch) as kill:
            await asyncio.to_thread(kill)
            await status_with(agent, State.ONLINE)
            await asyncio.to_thread(kill)
        started = count_starts(monkeypatch)
        for n in range(100):
            assert agent.emit("task.sent", task_id=str(n))  # on disk
            assert agent.status.state is State.OFFLINE
        assert not started
        monkeypatch.setattr(thread, "RESTART_EVERY_S", 0.0)
        await status_with(agent, State.ONLINE)
        await brain.wait_for_events(100)
        assert len(started) == 1


def count_starts(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Each thread that an agent lives in from here on. Several may ask for one at once, and get the same."""
    started: list[object] = []
    real = thread.AgentThread._run

    def run(self: thread.AgentThread) -> None:
        started.append(self)
        real(self)

    monkeypatch.setattr(thread.AgentThread, "_run", run)
    return started


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_leaving_with_a_dead_thread_closes_what_it_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closed_port() as port:
        brain = DevBrain(port=port)
        url = f"http://127.0.0.1:{port}"
        agent = agent_of(brain, tmp_path, brain_url=url)
        async with agent:
            assert agent.emit("task.sent", task_id="1")
            path = Path(agent.status.buffer_path or "")
            with killing(agent, monkeypatch) as kill:
                await asyncio.to_thread(kill)
    assert (agent.status.state, agent.status.buffered) == (State.STOPPED, 1)
    heir = EventBuffer.open(path.parent, path.name)
    assert (heir.slot, heir.depth) == (0, 1)
    heir.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_leaving_waits_for_no_thread_that_there_is_no_memory_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's `Thread.start` waits for what the new thread does first, and that may fail."""

    real, tried = threading.Thread._bootstrap, threading.Event()  # type: ignore[attr-defined]

    def ends_at_once(self: threading.Thread) -> None:
        if self.name == "z4j-agent":
            tried.set()
        else:
            real(self)

    async with DevBrain() as brain:
        agent = agent_of(brain, tmp_path, shutdown_budget_s=0.1)
        await agent.__aenter__()
        with killing(agent, monkeypatch) as kill:
            await asyncio.to_thread(kill)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "_bootstrap", ends_at_once)
            leaving = threading.Thread(target=lambda: asyncio.run(agent.__aexit__()), daemon=True)
            leaving.start()
            await asyncio.to_thread(leaving.join, 20)
    assert tried.is_set()
    assert not leaving.is_alive()
    assert agent.status.state is State.STOPPED


async def test_a_start_that_fails_behind_the_buffer_keeps_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("of a kind that nothing expects")

    async with DevBrain() as brain:
        with monkeypatch.context() as patch:
            patch.setattr(supervisor.Supervisor, "__init__", fail)
            async with agent_of(brain, tmp_path) as agent:
                assert agent.status.state is State.OFFLINE
                assert agent.emit("task.sent", task_id="1")
        async with agent_of(brain, tmp_path):
            await brain.wait_for_events(1)


async def test_a_signal_handler_that_raises_in_a_wake_costs_no_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread, "FORGOTTEN_S", -1.0)

    class TooLong(Exception):
        pass

    async with DevBrain(limits=Limits(heartbeat_interval_s=300)) as brain, agent_of(brain, tmp_path) as agent:
        await status_with(agent, State.ONLINE)
        assert agent._thread
        loop = agent._thread._loop

        class Interrupted:
            def call_soon_threadsafe(self, *_: object) -> None:
                raise TooLong

        agent._thread._loop = Interrupted()  # type: ignore[assignment]
        assert agent.emit("task.sent", task_id="1")
        agent._thread._loop = loop
        assert agent.emit("task.sent", task_id="2")
        await brain.wait_for_events(2)


async def test_housekeeping_that_fails_is_logged_and_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeper, "HOUSEKEEPING_EVERY_S", 0.01)
    rounds: list[object] = []
    real = EventStore.tend

    def tend(store: EventStore) -> None:
        rounds.append(store)
        if len(rounds) < 5:
            raise ValueError("of a kind that nothing expects")
        real(store)

    monkeypatch.setattr(EventStore, "tend", tend)
    buffer = EventBuffer.open(tmp_path, "abc")
    buffer.append('"1"')
    await until(lambda: len(rounds) >= 5, "it went on")
    buffer.close()
    assert len([said for said in errors(caplog) if "housekeeping failed" in said]) == 1


async def test_events_of_others_that_can_not_be_read_do_not_end_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def adopt(buffer: EventBuffer) -> int:
        raise OSError("of a kind that nothing expects")

    monkeypatch.setattr(supervisor, "ADOPT_EVERY_S", 0.01)
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        monkeypatch.setattr(EventBuffer, "adopt", adopt)
        await until(lambda: any("exited processes" in said for said in errors(caplog)), "it was logged")
        assert agent.status.state is State.ONLINE


# It writes each line in one piece, since the log goes to the same place.
NO_DESCRIPTORS = """
import asyncio, logging, os, resource, sys
from z4j_fastapi import Z4JAgent
from z4j_fastapi.agent import thread
logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
thread.RESTART_EVERY_S = 0.05
async def main():
    given = dict(token="t" * 20, hmac_secret="s" * 43, preflight_budget_s=1.0, shutdown_budget_s=0.1)
    agent = Z4JAgent(brain_url="http://127.0.0.1:9", home=sys.argv[1], **given)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1, hard))
    async with agent:
        sys.stdout.write(f"entered {agent.status.state} {agent.status.reason}\\n")
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        while agent.status.code != "tcp.refused": await asyncio.sleep(0.01)
        sys.stdout.write(f"kept {agent.emit('task.sent', task_id='1')}\\n")
asyncio.run(main())
"""


@pytest.mark.component
def test_an_agent_that_finds_no_descriptor_for_its_loop_starts_when_there_is_one(tmp_path: Path) -> None:
    command = [sys.executable, "-c", NO_DESCRIPTORS, str(tmp_path / "z4j")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    said = result.stdout.splitlines()
    assert any(line.startswith("entered offline OSError in the agent's thread") for line in said), result
    assert "kept True" in said, result


FAULT_WITHOUT_DESCRIPTORS = """
import logging, os, resource, sys
from z4j_fastapi.log import log
logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1, hard))
log.fault(logging.ERROR, "offline (tcp.no_descriptors)", "can't open a socket", extra={})
assert "z4j_fastapi.reports.text" not in sys.modules
"""


@pytest.mark.component
def test_a_fault_is_logged_though_no_descriptor_is_left_to_load_its_layout_with() -> None:
    command = [sys.executable, "-c", FAULT_WITHOUT_DESCRIPTORS]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout == "ERROR z4j: offline (tcp.no_descriptors): can't open a socket\n", result
