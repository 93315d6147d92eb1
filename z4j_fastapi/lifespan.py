"""z4j_lifespan: an agent for as long as a FastAPI or Starlette application runs, beside its own lifespan."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from z4j_fastapi.agent.agent import Z4JAgent


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
    shutdown code. What it yields, as state for requests, is passed on.
    """
    if agent is not None and agent_arguments:
        raise TypeError(f"an agent and arguments for one exclude each other: {', '.join(agent_arguments)}")

    @asynccontextmanager
    async def with_agent(app: Application) -> AsyncIterator[Any]:
        async with agent or Z4JAgent(**agent_arguments) as running:
            app.state.z4j = running
            if lifespan is None:
                yield None
            else:
                async with lifespan(app) as state:
                    yield state

    return with_agent
