"""An embedded brain in a thread of its own, for tests that block the event loop they run in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from z4j_fastapi.devbrain import DevBrain


@contextmanager
def brain_elsewhere(**arguments: Any) -> Iterator[DevBrain]:
    """A brain that answers while this thread does not. Read what it has `seen`; call nothing on it."""
    started, stop = threading.Event(), threading.Event()
    brains: list[DevBrain] = []

    async def serve() -> None:
        async with DevBrain(**arguments) as brain:
            brains.append(brain)
            started.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert started.wait(10)
        yield brains[0]
    finally:
        stop.set()
        thread.join()
