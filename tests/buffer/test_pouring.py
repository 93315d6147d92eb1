"""A buffer in memory, for as long as opening the one on disk takes, gives its events to that one."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest

from tests.support.agents import until
from z4j_fastapi import Z4JAgent
from z4j_fastapi.buffer import EventBuffer, event_buffer, slots
from z4j_fastapi.buffer import open as opening
from z4j_probes.portable import files, flags, locks
from z4j_probes.portable.thread_clock import own_clock


def test_what_was_in_memory_is_on_disk_then(tmp_path: Path) -> None:
    waiting, buffer = EventBuffer.open(None, ""), EventBuffer.open(tmp_path, "abc")
    assert not any(waiting.append(f'"{number}"') for number in range(3))
    waiting.pour_into(buffer)
    assert (waiting.closed, waiting.append('"late"')) == (True, False)
    assert (buffer.depth, buffer.not_durable, buffer.dropped) == (3, 3, 0)
    buffer.close()
    again = EventBuffer.open(tmp_path, "abc")
    assert again.claim(10, 1000).payloads == ('"0"', '"1"', '"2"')
    again.close()


def test_what_was_dropped_meanwhile_is_counted(tmp_path: Path) -> None:
    waiting, buffer = EventBuffer.open(None, "", max_events=2), EventBuffer.open(tmp_path, "abc")
    for number in range(5):
        waiting.append(str(number))
    waiting.pour_into(buffer)
    assert (buffer.depth, buffer.dropped) == (2, 3)
    buffer.close()


def test_what_finds_the_file_closed_is_counted(tmp_path: Path) -> None:
    waiting, buffer = EventBuffer.open(None, ""), EventBuffer.open(tmp_path, "abc")
    assert not any(waiting.append(str(number)) for number in range(3))
    buffer.close()
    waiting.pour_into(buffer)
    assert buffer.dropped == 3


def test_nothing_is_lost_that_is_emitted_while_it_pours(tmp_path: Path) -> None:
    waiting, buffer = EventBuffer.open(None, ""), EventBuffer.open(tmp_path, "abc")
    begun, kept = threading.Barrier(5), []

    def append(name: int) -> None:
        begun.wait()
        for number in range(200):
            event = f'"{name}-{number}"'
            if not (waiting.append(event) or not waiting.closed):
                buffer.append(event)
            kept.append(event)

    threads = [threading.Thread(target=append, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    begun.wait()
    waiting.pour_into(buffer)
    for thread in threads:
        thread.join()
    assert set(buffer.claim(10**6, 10**9).payloads) == set(kept)
    buffer.close()


@pytest.mark.skipif(own_clock() is None, reason="this system has no clock of another thread")
async def test_an_opening_that_gets_on_is_waited_for_beyond_its_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine on which many processes start at once: the thread works, and is not there yet."""
    ready = threading.Event()
    opens = event_buffer.EventBuffer.open.__func__  # type: ignore[attr-defined]

    def slow_open(
        cls: type[EventBuffer], /, directory: Path | None, identity: str, **more: int
    ) -> EventBuffer:
        while directory and not ready.is_set():
            time.thread_time()  # the processor is what it waits for
        opened: EventBuffer = opens(cls, directory, identity, **more)
        return opened

    monkeypatch.setattr(EventBuffer, "open", classmethod(slow_open))
    agent = Z4JAgent(
        brain_url="http://127.0.0.1:1",
        token="z4j_" + "a" * 40,
        project_id="default",
        agent_name="a",
        hmac_secret="q" * 43,
        home=tmp_path / "z4j",
        preflight="off",
        preflight_budget_s=1.0,
        shutdown_budget_s=0.1,
    )
    async with agent:
        assert not agent.emit("task.sent", task_id="1")  # in memory, and so it says
        await asyncio.sleep(1.0)
        ready.set()
        await until(lambda: agent.status.buffer_path is not None, "it is open")
        assert agent.emit("task.sent", task_id="2")
        assert (agent.status.buffered, agent.status.dropped, agent.status.not_durable) == (2, 0, 1)
        assert agent.status.worker_id is not None
        assert agent.status.worker_id.split(".")[-2] == "0"


async def test_an_opening_that_hangs_is_given_up_at_its_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = threading.Event()
    monkeypatch.setattr(opening, "_open", lambda *_: hangs.wait(30))
    began_s = time.monotonic()
    try:
        from z4j_probes import Settings

        opened = await opening.open_buffer(Settings.load(home=tmp_path, environ={}), 0.5, {})
    finally:
        hangs.set()
    assert opened.directory is None
    assert 0.5 <= time.monotonic() - began_s < 5
    opened.buffer.close()


def test_a_lock_that_changes_hands_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "TAKING_BUDGET_S", 0.3)
    directory = tmp_path / "abc"
    directory.mkdir()
    held = files.open_shared(directory / "slots.lock", flags.READ_WRITE | os.O_CREAT)
    assert locks.try_lock(held)
    ends = threading.Event()

    def pass_on() -> None:
        for _ in range(10):  # ten processes, one after the other
            os.write(held, b".")
            ends.wait(0.1)
        locks.release(held)

    thread = threading.Thread(target=pass_on)
    thread.start()
    began_s = time.monotonic()
    slot = slots.take_lowest(directory)
    took_s = time.monotonic() - began_s
    thread.join()
    slot.connection.close()
    assert slot.number == 0
    assert took_s > 0.9
