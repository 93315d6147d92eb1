"""Ascent: one climb of an agent, which may begin before its hello can be made.

A disk opens the buffer's files while a brain answers the upgrade; only the hello needs both, since it has the
worker's id, which comes of the buffer's slot. So the first climb begins with the opening, and its buffer
probe waits for that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Self

from z4j_probes import Climb, Ladder, LiveSession, ProbeResult, Registry, Report, Settings
from z4j_probes.ladder import RUN_BUDGET_S
from z4j_probes.protocol import Hello
from z4j_probes.storage import StateDirectory

MakeHello = Callable[[Climb], Awaitable[Hello]]


class Ascent:
    """Begins when it is made, in the agent's loop; what it has opened is released when it is left.

    `settings` are those that it is made with.
    """

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self.settings = settings
        self._ladder = Ladder(
            registry, settings, make_hello=self._hello, budget_s=RUN_BUDGET_S, look_closer=False
        )
        self._climb = self._ladder.start()
        self._climb.opened = self._opened = asyncio.Event()
        self.is_left = False
        """Whether it has ended, however far it came."""
        self._make_hello: MakeHello | None = None
        self._results = self._ladder.climb(self._climb)
        self._first = asyncio.create_task(self._begin(), name="z4j first probe")

    async def results(
        self, make_hello: MakeHello, directory: StateDirectory | None
    ) -> AsyncIterator[ProbeResult]:
        """Each probe's, in order. `directory` is that of an open buffer, None where it is in memory only."""
        self._make_hello = make_hello
        if directory is not None:
            self._climb.directory = directory
        self._opened.set()
        yield await self._first
        async for result in self._results:
            yield result

    def report(self, results: Sequence[ProbeResult]) -> Report:
        """What became of it."""
        return self._ladder.report(self._climb, results)

    def detach(self) -> LiveSession:
        """The session that it has reached, which is the caller's from here on."""
        return self._climb.detach()

    async def leave(self) -> None:
        """End it, and release what it has opened and not handed over. May be called again."""
        self.is_left = True
        self._first.cancel()
        await asyncio.gather(self._first, return_exceptions=True)
        await self._results.aclose()
        await self._climb.__aexit__(None, None, None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.leave()

    async def _begin(self) -> ProbeResult:
        return await anext(self._results)

    async def _hello(self, climb: Climb) -> Hello:
        await self._opened.wait()
        assert self._make_hello is not None  # noqa: S101 - it is there first
        return await self._make_hello(climb)
