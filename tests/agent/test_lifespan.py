"""z4j_lifespan: an agent that lives as long as the application, whatever lifespan that has of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette

from tests.support.agents import agent_of
from z4j_fastapi import PreflightError, State, Z4JAgent, z4j_lifespan
from z4j_fastapi.devbrain import DevBrain


@pytest.fixture
async def brain() -> AsyncIterator[DevBrain]:
    async with DevBrain() as brain:
        yield brain


def arguments(brain: DevBrain, home: Path) -> dict[str, Any]:
    credentials = brain.mint("web")
    return {
        "brain_url": brain.url,
        "token": credentials.token,
        "hmac_secret": credentials.hmac_secret,
        "home": home / "z4j",
    }


@asynccontextmanager
async def running(app: Any) -> AsyncIterator[Any]:
    """What a server does with an application's lifespan; gives what it yields."""
    async with app.router.lifespan_context(app) as state:
        yield state


@pytest.mark.parametrize("kind", [FastAPI, Starlette])
async def test_the_application_has_an_agent_while_it_runs(brain: DevBrain, tmp_path: Path, kind: Any) -> None:
    app = kind(lifespan=z4j_lifespan(**arguments(brain, tmp_path)))
    async with running(app):
        assert app.state.z4j.status.state == State.ONLINE
        await brain.wait_for_workers(1)
    assert app.state.z4j.status.state is State.STOPPED
    await brain.wait_for_workers(0)


async def test_each_start_has_an_agent_of_its_own(brain: DevBrain, tmp_path: Path) -> None:
    app = FastAPI(lifespan=z4j_lifespan(**arguments(brain, tmp_path)))
    agents = []
    for _ in range(2):
        async with running(app):
            agents.append(app.state.z4j)
    assert agents[0] is not agents[1]
    assert len({hello.worker_id for hello in brain.seen.hellos}) == 1


async def test_an_agent_that_is_given_is_used_start_after_start(brain: DevBrain, tmp_path: Path) -> None:
    agent = agent_of(brain, tmp_path)
    app = FastAPI(lifespan=z4j_lifespan(agent))
    for _ in range(2):
        async with running(app):
            assert app.state.z4j is agent
            assert agent.status.state is State.ONLINE


async def test_an_agent_of_several_applications_runs_until_the_last_one_ends(
    brain: DevBrain, tmp_path: Path
) -> None:
    agent = agent_of(brain, tmp_path)
    first, second = FastAPI(lifespan=z4j_lifespan(agent)), FastAPI(lifespan=z4j_lifespan(agent))
    ending = running(first)
    await ending.__aenter__()
    async with running(second), running(second):
        await ending.__aexit__(None, None, None)
        assert (second.state.z4j, agent.status.state) == (agent, State.ONLINE)
    assert agent.status.state is State.STOPPED
    assert len(brain.seen.hellos) == 1


async def test_an_agent_of_an_application_and_a_router_of_it_is_one(brain: DevBrain, tmp_path: Path) -> None:
    agent = agent_of(brain, tmp_path)
    app = FastAPI(lifespan=z4j_lifespan(agent))
    app.include_router(APIRouter(lifespan=z4j_lifespan(agent)))
    async with running(app):
        assert agent.status.state is State.ONLINE
    assert len(brain.seen.hellos) == 1


async def test_an_agent_that_the_host_has_entered_is_left_by_the_host(
    brain: DevBrain, tmp_path: Path
) -> None:
    app = FastAPI(lifespan=z4j_lifespan(agent := agent_of(brain, tmp_path)))
    async with agent:
        for _ in range(2):
            async with running(app):
                assert app.state.z4j is agent
        assert agent.status.state is State.ONLINE


async def test_an_application_that_is_started_within_itself_keeps_its_agent(
    brain: DevBrain, tmp_path: Path
) -> None:
    app = FastAPI(lifespan=z4j_lifespan(**arguments(brain, tmp_path)))
    async with running(app):
        outer = app.state.z4j
        async with running(app):
            assert app.state.z4j is not outer
        assert app.state.z4j is outer
        assert app.state.z4j.emit("task.sent", task_id="1")


async def test_a_router_may_be_served_by_itself(brain: DevBrain, tmp_path: Path) -> None:
    agent = agent_of(brain, tmp_path)
    async with z4j_lifespan(agent)(None):  # which is what it gives to its lifespan
        assert agent.status.state is State.ONLINE


async def test_a_forked_worker_starts_without_the_agent_that_was_entered_before(
    brain: DevBrain, tmp_path: Path
) -> None:
    agent = agent_of(brain, tmp_path)

    async def start() -> list[object]:
        async with running(app := FastAPI(lifespan=z4j_lifespan(agent))):
            return [app.state.z4j is agent, agent.status.reason, agent.emit("task.sent", task_id="1")]

    read, write = os.pipe()
    async with agent:
        child = os.fork()
        if child == 0:  # nothing in here may return to pytest
            try:
                asyncio.set_event_loop(None)
                asyncio._set_running_loop(None)
                os.write(write, repr(asyncio.new_event_loop().run_until_complete(start())).encode())
            finally:
                os._exit(0)
        os.close(write)
        await asyncio.to_thread(os.waitpid, child, 0)
    assert os.read(read, 1000).decode() == "[True, 'this process was forked off', False]"
    os.close(read)


async def test_the_agent_is_there_for_the_applications_own_lifespan(brain: DevBrain, tmp_path: Path) -> None:
    seen = []

    @asynccontextmanager
    async def own(app: FastAPI) -> AsyncIterator[dict[str, int]]:
        seen.append(app.state.z4j.status.state)
        yield {"answer": 42}
        seen.append(app.state.z4j.status.state)

    app = FastAPI(lifespan=z4j_lifespan(lifespan=own, **arguments(brain, tmp_path)))
    async with running(app) as state:
        assert state == {"answer": 42}
    assert seen == [State.ONLINE, State.ONLINE]


async def test_an_own_lifespan_that_fails_to_start_stops_the_agent(brain: DevBrain, tmp_path: Path) -> None:
    @asynccontextmanager
    async def own(app: FastAPI) -> AsyncIterator[None]:
        raise RuntimeError("no database")
        yield

    app = FastAPI(lifespan=z4j_lifespan(lifespan=own, **arguments(brain, tmp_path)))
    with pytest.raises(RuntimeError, match="no database"):
        async with running(app):
            pass
    assert app.state.z4j.status.state is State.STOPPED


async def test_a_strict_preflight_keeps_the_application_from_starting(tmp_path: Path) -> None:
    app = FastAPI(lifespan=z4j_lifespan(preflight="strict", home=tmp_path))
    with pytest.raises(PreflightError):
        async with running(app):
            pass


def test_an_agent_and_arguments_for_one_exclude_each_other() -> None:
    with pytest.raises(TypeError, match="agent_name"):
        z4j_lifespan(Z4JAgent(), agent_name="web")


@pytest.mark.parametrize("steps", [1, 2, 20])
async def test_a_start_that_is_cancelled_leaves_no_agent_behind(
    brain: DevBrain, tmp_path: Path, steps: int
) -> None:
    app = FastAPI(lifespan=z4j_lifespan(agent_of(brain, tmp_path)))
    starting = asyncio.create_task(running(app).__aenter__())
    for _ in range(steps):
        await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    for thread in threading.enumerate():
        if thread.name.startswith("z4j"):
            thread.join(5)  # it has said that it ends
            assert not thread.is_alive()
    await brain.wait_for_workers(0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_handlers_of_the_application_run_as_without_us(brain: DevBrain, tmp_path: Path) -> None:
    async def called(app: FastAPI) -> list[str]:
        calls: list[str] = []

        @app.on_event("startup")
        async def up() -> None:
            calls.append("up")

        @app.on_event("startup")
        def up_too() -> None:
            calls.append("up too")

        router = APIRouter()
        router.add_event_handler("shutdown", lambda: calls.append("router down"))
        app.include_router(router)
        app.router.add_event_handler("shutdown", lambda: calls.append("down"))
        async with running(app):
            assert calls == ["up", "up too"]
        return calls

    app = FastAPI(lifespan=z4j_lifespan(**arguments(brain, tmp_path)))
    states: list[State] = []
    for event in ("startup", "shutdown"):
        app.router.add_event_handler(event, lambda: states.append(app.state.z4j.status.state))
    assert await called(app) == await called(FastAPI())
    assert states == [State.ONLINE, State.ONLINE]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_handlers_that_a_lifespan_switches_off_stay_off(brain: DevBrain, tmp_path: Path) -> None:
    @asynccontextmanager
    async def own(app: FastAPI) -> AsyncIterator[None]:
        yield

    app = FastAPI(lifespan=z4j_lifespan(lifespan=own, **arguments(brain, tmp_path)))
    calls: list[str] = []
    app.router.add_event_handler("startup", lambda: calls.append("up"))
    async with running(app):
        assert calls == []


@pytest.mark.parametrize("kind", [FastAPI, Starlette])
async def test_a_lifespan_may_be_a_generator_without_a_decorator(
    brain: DevBrain, tmp_path: Path, kind: Any
) -> None:
    calls: list[str] = []

    async def own(app: Any) -> AsyncIterator[dict[str, int]]:
        calls.append("up")
        yield {"answer": 42}
        calls.append("down")

    def own_without_async(app: Any) -> Iterator[dict[str, int]]:
        yield from ({"answer": 43},)
        calls.append("down too")

    for lifespan, answer in ((own, 42), (own_without_async, 43)):
        given: Any = lifespan
        app = kind(lifespan=z4j_lifespan(lifespan=given, **arguments(brain, tmp_path)))
        async with running(app) as state:
            assert state == {"answer": answer}
    assert calls == ["up", "down", "down too"]
