"""z4j_lifespan: an agent for as long as a FastAPI or Starlette application runs, beside its own code."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, Protocol, cast

from z4j_fastapi.agent.agent import Z4JAgent
from z4j_probes.given import seal_arguments


class Application(Protocol):
    """What is needed of an application: FastAPI, Starlette and their kin have it."""

    state: Any


Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]


def z4j_lifespan(
    agent: Z4JAgent | None = None, *, lifespan: Lifespan | None = None, **agent_arguments: Any
) -> Lifespan:
    """A lifespan that runs an agent and leaves it in `app.state.z4j`.

        app = FastAPI(lifespan=z4j_lifespan())
        app = FastAPI(lifespan=z4j_lifespan(lifespan=my_own_lifespan, agent_name="web"))

    Without an agent, each start makes a new one from `agent_arguments` (those of Z4JAgent) and `Z4J_*`. The
    application's own lifespan runs inside: the agent is there before its start-up code and until after its
    shutdown code. What it yields, as state for requests, is passed on. It may be whatever the framework
    takes, a generator function without a decorator too. Where there is none, the handlers that were added
    with `on_event` or `add_event_handler` run, as they do in an application without a lifespan.
    """
    agent_arguments = seal_arguments(agent_arguments)  # error trackers show the locals of these frames
    if agent is not None and agent_arguments:
        raise TypeError(f"pass an agent or arguments for one, not both: {', '.join(agent_arguments)}")
    own = _event_handlers if lifespan is None else _context_of(lifespan)

    @asynccontextmanager
    async def with_agent(app: Application) -> AsyncIterator[Any]:
        async with agent or Z4JAgent(**agent_arguments) as running:
            app.state.z4j = running
            async with own(app) as state:
                yield state

    return with_agent


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
