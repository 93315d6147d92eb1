"""Blocking calls in threads of their own: what they return or raise arrives, whatever it is."""

from __future__ import annotations

import asyncio
import threading

import pytest

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


async def test_a_caller_that_is_cancelled_does_not_wait_for_the_call() -> None:
    let_go = threading.Event()
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await in_daemon_thread(let_go.wait)
    finally:
        let_go.set()
