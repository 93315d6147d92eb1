"""Gauges: what a worker's engine says of its queues and of itself, for heartbeats.

A heartbeat waits for nothing: it has what the engine said last. The engine is asked in the worker's loop
every 10 s, which is one round trip to its broker; where that does not answer, less and less often. So
heartbeats go on while Redis is silent or the host's loop is blocked, and what is too old to be true is left
out.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from z4j_fastapi.log import log
from z4j_probes.protocol import health
from z4j_probes.protocol.health import WorkerDetails

if TYPE_CHECKING:  # where there is one, it is loaded
    from z4j_fastapi.commands.engine import Engine

EVERY_S = 10.0
SILENT_EVERY_S = 60.0
"""The longest time between two questions to a broker that does not answer."""
ANSWERS_S = 5.0
OLD_S = 30.0
"""What was said longer ago is not repeated."""


class Gauges:
    """Of one worker, in the agent's loop; `engine` is None where the process has no worker."""

    def __init__(self, engine: Engine | None, loop: asyncio.AbstractEventLoop | None) -> None:
        self._engine = engine
        self._loop = loop
        self._started_s = time.monotonic()
        self._details: tuple[float, WorkerDetails] | None = None
        self._depths: tuple[float, Mapping[str, int]] | None = None
        self._has_failed = False

    async def run(self) -> None:
        """Ask until cancelled; returns where there is no engine to ask."""
        every_s = EVERY_S
        while self._engine is not None and self._loop is not None:
            asked_s = time.monotonic()
            every_s = EVERY_S if await self._ask(self._engine, self._loop) else 2 * every_s
            every_s = min(every_s, SILENT_EVERY_S)
            await asyncio.sleep(asked_s + every_s - time.monotonic())

    def texts(self, worker_id: str | None) -> dict[str, str]:
        """The entries of `adapter_health`; `worker_id` is what the brain calls this worker."""
        engine, now_s, texts = self._engine, time.monotonic(), dict[str, str]()
        if engine is None:
            return texts
        if self._depths is not None and now_s - self._depths[0] < OLD_S and self._depths[1]:
            texts[f"{engine.name}.queue_depths"] = health.queue_depths(self._depths[1])
        if worker_id is not None and self._details is not None and now_s - self._details[0] < OLD_S:
            texts[f"{engine.name}.worker_details"] = health.worker_details(
                worker_id,
                self._details[1],
                pid=os.getpid(),
                uptime_s=now_s - self._started_s,
                load=os.getloadavg() if hasattr(os, "getloadavg") else None,
                zone=time.strftime("%Z"),
            )
        return texts

    async def _ask(self, engine: Engine, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether it has answered."""
        coroutine = self._look(engine)
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        except RuntimeError:  # the worker's loop has ended
            coroutine.close()
            return False
        try:
            async with asyncio.timeout(ANSWERS_S):
                await asyncio.wrap_future(future)
        except (Exception, asyncio.CancelledError) as exc:  # the engine's own, of any kind
            task = asyncio.current_task()
            if isinstance(exc, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            if not self._has_failed:
                log.debug("the engine doesn't tell its queues' depths: %s", type(exc).__name__)
            self._has_failed = True
            return False
        self._has_failed = False
        return True

    async def _look(self, engine: Engine) -> None:
        with contextlib.suppress(Exception):  # of a host's own objects; the depths can be told all the same
            details = engine.details()
            self._details = None if details is None else (time.monotonic(), details)
        self._depths = (time.monotonic(), await engine.depths())
