"""Blocking calls in threads of their own: what they return or raise arrives, whatever it is."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from functools import partial

import pytest

from tests.support.agents import until
from z4j_probes import threads
from z4j_probes.threads import in_daemon_thread


async def test_the_result_arrives() -> None:
    assert await in_daemon_thread(lambda: 42) == 42


@pytest.mark.parametrize("error", [OSError("no"), KeyboardInterrupt()])
async def test_what_is_raised_arrives(error: BaseException) -> None:
    def call() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        await in_daemon_thread(call)
    assert caught.value is error


async def test_a_stop_iteration_arrives_as_an_error_that_a_future_can_hold() -> None:
    async with asyncio.timeout(10):
        with pytest.raises(RuntimeError, match="StopIteration") as caught:
            await in_daemon_thread(lambda: next(iter(())))
    assert isinstance(caught.value.__cause__, StopIteration)


async def test_a_thread_that_is_done_takes_the_next_call_and_one_that_hangs_does_not() -> None:
    first = await in_daemon_thread(threading.get_ident)
    await until(lambda: bool(threads._idle), "it was idle")
    assert await in_daemon_thread(threading.get_ident) == first
    let_go = threading.Event()
    try:
        hanging = [asyncio.create_task(in_daemon_thread(let_go.wait)) for _ in range(3)]
        assert await in_daemon_thread(lambda: 1) == 1
    finally:
        let_go.set()
    assert await asyncio.gather(*hanging) == [True] * 3


async def test_a_thread_without_a_call_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "IDLE_S", 0.0)
    threads._idle.clear()  # those of other tests wait for longer
    thread = await in_daemon_thread(threading.current_thread)
    await until(lambda: not thread.is_alive(), "it has ended")
    assert not threads._idle


async def test_a_call_that_is_given_at_the_last_moment_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "IDLE_S", 0.0)
    for number in range(500):
        assert await in_daemon_thread(lambda: number) == number  # noqa: B023 - it is awaited here


async def test_what_a_call_refers_to_is_not_kept() -> None:
    class Large:
        pass

    large = Large()
    gone = weakref.ref(large)
    await in_daemon_thread(partial(id, large))
    del large
    await until(lambda: gone() is None, "it was let go")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no system with fork(2)")
def test_a_child_process_has_no_threads_to_give_calls_to() -> None:
    async def have_one() -> None:
        await in_daemon_thread(lambda: 1)
        await until(lambda: bool(threads._idle), "one was idle")

    asyncio.run(have_one())
    child = os.fork()
    if not child:
        os._exit(len(threads._idle))
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


async def test_a_caller_that_is_cancelled_does_not_wait_for_the_call() -> None:
    let_go = threading.Event()
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await in_daemon_thread(let_go.wait)
    finally:
        let_go.set()
