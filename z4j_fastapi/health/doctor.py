"""The doctor inside a service, as its user and with its network: in a thread of its own, not too often."""

from __future__ import annotations

import asyncio
import time

from z4j_probes import Report, Settings
from z4j_probes.portable import loop
from z4j_probes.threads import in_daemon_thread


class ResidentDoctor:
    """Runs one at a time: a request that comes meanwhile waits for the same report."""

    def __init__(self, every_s: float) -> None:
        self.last: Report | None = None
        self._every_s = every_s
        self._ended_s = -every_s
        self._running: asyncio.Task[Report] | None = None

    @property
    def rests_s(self) -> float:
        """How long it will answer with its last report; 0 where it would run."""
        if self.last is None or self._running is not None:
            return 0.0
        return max(0.0, self._ended_s + self._every_s - time.monotonic())

    async def report(self, settings: Settings) -> Report:
        """A fresh report, or the last one while it rests. A caller that is cancelled does not end the run."""
        if self.last is not None and self.rests_s:
            return self.last
        if self._running is None:
            self._running = asyncio.create_task(self._run(settings), name="z4j doctor")
            self._running.add_done_callback(_retrieve)
        return await asyncio.shield(self._running)

    async def _run(self, settings: Settings) -> Report:
        try:
            self.last = await in_daemon_thread(lambda: loop.run(_examine(settings.reread())))
            return self.last
        finally:
            self._ended_s, self._running = time.monotonic(), None


def _retrieve(run: asyncio.Task[Report]) -> None:
    # Those who wait are told what went wrong. Where all have left, the next to ask finds out.
    if not run.cancelled():
        run.exception()


async def _examine(settings: Settings) -> Report:
    # this is the doctor's own thread: what it takes to climb is loaded here, not in the host's loop
    from z4j_probes import default_registry
    from z4j_probes.doctor import examine
    from z4j_probes.plugins import add_plugins

    return await examine(add_plugins(default_registry()), settings)
