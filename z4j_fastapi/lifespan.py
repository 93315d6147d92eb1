"""z4j_lifespan: an agent for as long as a FastAPI or Starlette application runs, beside its own code."""

from __future__ import annotations

import inspect
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, cast

from z4j_fastapi.agent.agent import Z4JAgent
from z4j_fastapi.agent.errors import ForkedAgentError
from z4j_fastapi.log import log
from z4j_probes.given import seal_arguments

Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]

# How many lifespans each agent serves that one of them has entered, by the process.
_served: Counter[tuple[int, Z4JAgent]] = Counter()


def z4j_lifespan(
    agent: Z4JAgent | None = None, *, lifespan: Lifespan | None = None, **agent_arguments: Any
) -> Lifespan:
    """A lifespan that runs an agent and leaves it in `app.state.z4j`.

        app = FastAPI(lifespan=z4j_lifespan())
        app = FastAPI(lifespan=z4j_lifespan(lifespan=my_own_lifespan, agent_name="web"))

    Without an agent, each start makes a new one from `agent_arguments` (those of Z4JAgent) and `Z4J_*`.
    One that is given may serve several applications: it runs from the first one's start to the last one's
    end, or for as long as the host itself has entered it. The application's own lifespan runs inside: the
    agent is there before its start-up code and until after its shutdown code. What it yields, as state
    for requests, is passed on. It may be whatever the framework takes, a generator function without a
    decorator too. Where there is none, the handlers that were added with `on_event` or
    `add_event_handler` run, as they do in an application without a lifespan.
    """
    agent_arguments = seal_arguments(agent_arguments)  # error trackers show the locals of these frames
    if agent is not None and agent_arguments:
        raise TypeError(f"pass an agent or arguments for one, not both: {', '.join(agent_arguments)}")
    own = _event_handlers if lifespan is None else _context_of(lifespan)

    @asynccontextmanager
    async def with_agent(app: Any) -> AsyncIterator[Any]:
        async with _running(agent or Z4JAgent(**agent_arguments)) as running:
            with _shown_in(app, running):
                async with own(app) as state:
                    yield state

    return with_agent


@asynccontextmanager
async def _running(agent: Z4JAgent) -> AsyncIterator[Z4JAgent]:
    """The agent, entered by the first of the lifespans that it serves and left by the last."""
    here = os.getpid(), agent
    is_first = here not in _served
    if is_first and agent.is_entered:
        yield agent  # what has entered it leaves it
        return
    _served[here] += 1
    try:
        if is_first:
            await _enter(agent)
        yield agent
    finally:
        _served[here] -= 1
        if not _served[here]:
            del _served[here]
            await agent.__aexit__()


async def _enter(agent: Z4JAgent) -> None:
    try:
        await agent.__aenter__()
    except ForkedAgentError as exc:  # the application starts all the same, unless it wants a session
        if agent.settings.preflight == "strict":
            raise
        log.error("%s", exc)


@contextmanager
def _shown_in(app: Any, agent: Z4JAgent) -> Iterator[None]:
    """Where the application's code finds it. A lifespan within another one gives the place back."""
    # a router that is served by itself has none, nor is it an application
    state = getattr(app, "state", None)
    if state is None:
        yield
        return
    outer = getattr(state, "z4j", None)
    state.z4j = agent
    try:
        yield
    finally:
        if isinstance(outer, Z4JAgent) and outer.is_entered:
            state.z4j = outer


@asynccontextmanager
async def _event_handlers(app: Any) -> AsyncIterator[None]:
    """What the framework does without a lifespan. Newer Starlettes have no handlers, FastAPI has."""
    router = getattr(app, "router", None)
    await _call_all(getattr(router, "on_startup", ()))
    try:
        yield
    finally:
        await _call_all(getattr(router, "on_shutdown", ()))


async def _call_all(handlers: Iterable[Callable[[], Any]]) -> None:
    for handler in handlers:
        if isinstance(called := handler(), Awaitable):
            await called


def _context_of(lifespan: Any) -> Lifespan:
    """A lifespan in any form that FastAPI and Starlette take, as a context manager."""
    if inspect.isasyncgenfunction(lifespan):
        return asynccontextmanager(lifespan)
    if inspect.isgeneratorfunction(lifespan):
        return _asynchronous(contextmanager(lifespan))
    return cast("Lifespan", lifespan)


def _asynchronous(lifespan: Callable[[Any], Any]) -> Lifespan:
    @asynccontextmanager
    async def context(app: Any) -> AsyncIterator[Any]:
        with lifespan(app) as state:
            yield state

    return context
