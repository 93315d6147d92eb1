"""An agent in trouble: disks that fail or vanish, handlers that raise, acknowledgements that are lost."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.agents import agent_of, closed_port, errors, status_with, until, warnings
from tests.support.namespaces import run_python_with_mount
from z4j_fastapi.agent import in_flight
from z4j_fastapi.agent.agent import Z4JAgent
from z4j_fastapi.agent.reconnect import Schedule
from z4j_fastapi.agent.status import State
from z4j_fastapi.buffer import EventBuffer, housekeeper
from z4j_fastapi.devbrain import DevBrain, Limits, Misbehaviour


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Climb again and look after the disk without much ado."""
    monkeypatch.setattr(Schedule, "delay_s", lambda *_: 0.05)
    monkeypatch.setattr(housekeeper, "HOUSEKEEPING_EVERY_S", 0.05)


@contextmanager
def absent_brain() -> Iterator[DevBrain]:
    """A brain that is not there yet."""
    with closed_port() as port:
        pass
    yield DevBrain(port=port)


def absent(brain: DevBrain, tmp_path: Path) -> Z4JAgent:
    """Its agent."""
    url = f"http://127.0.0.1:{brain.port}"
    return agent_of(brain, tmp_path, brain_url=url, preflight="off", shutdown_budget_s=0.2)


def buffer_file(agent: Z4JAgent) -> Path:
    assert agent.status.buffer_path is not None
    return Path(agent.status.buffer_path, "buffer-0.sqlite")


FULL_DISK = """
import asyncio, logging, sys
from pathlib import Path
from z4j_fastapi import Z4JAgent
from z4j_fastapi.buffer import housekeeper
housekeeper.HOUSEKEEPING_EVERY_S = 0.05
logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
home = Path(sys.argv[1])
async def main():
    given = dict(token="t" * 20, hmac_secret="s" * 43, preflight="off", shutdown_budget_s=0.1)
    agent = Z4JAgent(brain_url="http://127.0.0.1:9", home=home / "z4j", **given)
    async with agent:
        with open(home / "filler", "wb", 0) as filler:
            try:
                while filler.write(bytes(4096)) == 4096: pass
            except OSError: pass
        kept = sum(agent.emit("task.sent", task_id=str(n), pad="x" * 2000) for n in range(1000))
        while not agent.status.buffer_fault: await asyncio.sleep(0.01)
        print("kept", kept, agent.status.buffered, agent.status.dropped, agent.status.buffer_fault,
              agent.status.not_durable)
        if sys.argv[2] == "freed":
            (home / "filler").unlink()
            while agent.status.buffer_fault: await asyncio.sleep(0.01)
    left = agent.status
    print("left", left.state, left.buffered + left.dropped, left.dropped > 0)
asyncio.run(main())
"""


@pytest.mark.component
@pytest.mark.parametrize("then", ["freed", "full"])
def test_a_full_disk_is_told_and_what_it_costs_is_counted(tmp_path: Path, then: str) -> None:
    result = run_python_with_mount(FULL_DISK, tmp_path, "size=8m", tmp_path, then)
    said = result.stdout.splitlines()
    kept = next(line.split() for line in said if line.startswith("kept"))
    assert kept[2:] == ["1000", "0", "buffer.disk_full", str(1000 - int(kept[1]))], said
    assert int(kept[1]) < 1000
    assert f"left stopped 1000 {then == 'full'}" in said, said
    errors = [line for line in said if line.startswith("ERROR z4j: buffer.")]
    assert all(error.startswith("ERROR z4j: buffer.disk_full: ") for error in errors)
    assert len(errors) == (1 if then == "freed" else 2)
    assert any("on disk again" in line for line in said) == (then == "freed")
    assert any("lost with this process" in line for line in said) == (then == "full")


async def test_a_file_that_is_damaged_while_in_use_is_told_counted_and_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with absent_brain() as brain:
        async with absent(brain, tmp_path) as agent:
            for n in range(10_000):
                agent.emit("task.sent", task_id=str(n), pad="x" * 500)
            path = buffer_file(agent)
            # larger than SQLite's cache: what is in that is delivered from there, and not lost
            await until(lambda: path.stat().st_size > 4_000_000, "the log was moved into the database")
            with path.open("r+b") as file:
                file.seek(4096 * 3)
                file.write(b"\xff" * 4096 * 100)
            async with brain:
                await status_with(agent, State.ONLINE)
                await until(lambda: agent.status.dropped > 0, "the loss was counted")
                await until(lambda: agent.status.buffer_fault == "", "a new file was begun")
                agent.emit("task.sent", task_id="after")
                await until(lambda: agent.status.buffered == 0, "the buffer was empty")
                assert agent.status.dropped + len(brain.seen.events) >= 10_001
                assert "after" in {event["task_id"] for event in brain.seen.events.values()}
    assert any(said.startswith("buffer.corrupt: ") and "set aside" in said for said in errors(caplog))


async def test_files_that_are_deleted_while_in_use_cost_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with absent_brain() as brain:
        async with absent(brain, tmp_path) as agent:
            agent.emit("task.sent", task_id="before")
            path = buffer_file(agent)
            path.parent.rename(gone := tmp_path / "gone")  # at once: the agent makes files again at any time
            shutil.rmtree(gone)
            agent.emit("task.sent", task_id="after")
            await until(path.exists, "a new file was begun")
            assert agent.status.dropped == 0
            async with brain:
                await brain.wait_for_events(2)
    assert any("deleted" in said for said in warnings(caplog))


def test_a_deleted_file_makes_room_for_nobody_elses_events(tmp_path: Path) -> None:
    first, second = EventBuffer.open(tmp_path, "abc"), EventBuffer.open(tmp_path, "abc")
    told: list[str] = []
    second.on_trouble(lambda code, said: told.append(said))
    for n in range(50):
        first.append(f'"first {n}"')
        second.append(f'"second {n}"')
    batch = second.claim(20, 10**6)
    first.close()  # it ends, and leaves what it has
    for name in os.listdir(tmp_path / "abc"):
        if name.startswith("buffer-1."):
            os.unlink(tmp_path / "abc" / name)
    wait_for(lambda: bool(told), second)
    second.forget(batch)
    second.close()
    heirs = [EventBuffer.open(tmp_path, "abc"), EventBuffer.open(tmp_path, "abc")]
    depths = [heir.depth for heir in heirs]
    for heir in heirs:
        heir.close()
    assert sum(depths) >= 50 + 30
    assert depths[0] == 50


def test_a_place_that_can_not_be_made_again_is_a_fault_for_as_long_as_it_lasts(tmp_path: Path) -> None:
    buffer = EventBuffer.open(tmp_path, "abc")
    told: list[str] = []
    buffer.on_trouble(lambda code, said: told.append(code))
    buffer.append('"before"')
    shutil.rmtree(tmp_path / "abc")
    (tmp_path / "abc").touch()
    wait_for(lambda: bool(told), buffer)
    assert told == ["buffer.not_a_directory"]
    assert buffer.fault == "buffer.not_a_directory"
    (tmp_path / "abc").unlink()
    wait_for(lambda: len(told) > 1, buffer)
    assert (told[1:], buffer.fault) == ([""], "")
    buffer.close()


def wait_for(condition: Callable[[], bool], buffer: EventBuffer) -> None:
    """Until the housekeeper, which an event wakes, has seen to it."""
    deadline_s = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline_s
        buffer.append('"meanwhile"')
        time.sleep(0.01)


async def test_what_only_memory_had_is_told_at_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = tmp_path / "file"
    nowhere.touch()
    with absent_brain() as brain:
        url = f"http://127.0.0.1:{brain.port}"
        agent = agent_of(brain, tmp_path, brain_url=url, home=nowhere / "z4j", shutdown_budget_s=0.2)
        async with agent:
            in_memory = agent.status.buffer_path is None
            for n in range(3):
                assert agent.emit("task.sent", task_id=str(n)) is not in_memory
        assert agent.status.not_durable == (3 if in_memory else 0)
        if in_memory:
            assert (agent.status.buffered, agent.status.dropped) == (0, 3)
            assert any(said.startswith("3 events were only in memory") for said in warnings(caplog))
        else:  # the state directory has moved
            assert (agent.status.buffered, agent.status.dropped) == (3, 0)


async def test_a_hosts_log_handler_that_raises_costs_a_line(tmp_path: Path) -> None:
    class Broken(logging.Handler):
        raised = 0

        def emit(self, record: logging.LogRecord) -> None:
            Broken.raised += 1
            raise RuntimeError("no")

    logger = logging.getLogger("z4j")
    handler = Broken()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
            await brain.stop()
            await status_with(agent, State.OFFLINE, "tcp.refused")
            await brain.start()
            await status_with(agent, State.ONLINE)
            agent.emit("task.sent", task_id="1")
            await brain.wait_for_events(1)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert Broken.raised >= 3


async def test_a_batch_whose_acknowledgement_is_lost_is_sent_again_whatever_comes_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_flight, "ACK_TIMEOUT_S", 0.5)
    limits = Limits(heartbeat_interval_s=0.1)
    async with DevBrain(limits=limits) as brain, agent_of(brain, tmp_path) as agent:
        brain.misbehaviour = Misbehaviour(drop_acks=brain.seen.batches + 1)
        agent.emit("task.sent", task_id="lost")
        sent = 0

        def resent() -> bool:
            nonlocal sent
            sent += 1
            agent.emit("task.sent", task_id=f"later {sent}")  # there is always one that was just acknowledged
            return brain.seen.duplicates > 0

        await until(resent, "the first one came again")
        await until(lambda: agent.status.buffered == 0, "the buffer was empty")
        assert len(brain.seen.events) == sent + 1
