"""The documentation's examples as services of the real brain: its dashboard has their engines and tasks."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from arq.connections import RedisSettings, create_pool

from tests.support.agents import until, warnings
from tests.support.brain_api import BrainApi, Credentials
from tests.support.programs import free_port
from tests.support.real_brain import BrainProcess
from tests.support.redis import running_redis
from tests.support.services import EXAMPLES, STAND_INS, service
from z4j_fastapi import State, Z4JAgent

pytestmark = pytest.mark.interop

EVENTS = 2_000
WAIT_S = 90.0
"""Far more than it takes: the brain and the machine have other tests to serve."""


@pytest.fixture
async def redis_url(tmp_path: Path) -> AsyncIterator[str]:
    async with running_redis(tmp_path) as url:
        yield url


def environment(brain: BrainApi, agent: Credentials, home: Path) -> dict[str, str]:
    return {
        "Z4J_BRAIN_URL": brain.url,
        "Z4J_TOKEN": agent.token,
        "Z4J_HMAC_SECRET": agent.hmac_secret,
        "Z4J_HOME": str(home / "z4j"),
    }


async def online(brain: BrainApi, agent: Credentials) -> dict[str, Any]:
    """The dashboard's row of the agent, once it says online and has a worker, which the brain notes later."""
    await until(lambda: brain.agent(agent)["state"] == "online", "the agent was online", WAIT_S)
    await until(lambda: bool(brain.workers(agent)), "it had a worker", WAIT_S)
    return brain.agent(agent)


async def ended(brain: BrainApi, name: str, state: str) -> dict[str, Any]:
    """The only task of that name, once it is in that state."""

    def found() -> list[dict[str, Any]]:
        # the brain's filter takes a part of a name for it, and tests share the brain
        return [t for t in brain.tasks(name=name) if (t["name"], t["state"]) == (name, state)]

    await until(lambda: bool(found()), f"a task {name} was {state}", WAIT_S)
    (task,) = found()
    return task


async def test_a_fastapi_service_is_online_until_it_stops(real_brain: BrainApi, tmp_path: Path) -> None:
    agent = real_brain.mint()
    port = free_port()
    serve = ("uvicorn", "fastapi_app:app", "--port", str(port))
    async with service(tmp_path, *serve, environ=environment(real_brain, agent, tmp_path)) as running:
        row = await online(real_brain, agent)
        assert row["framework_adapter"] == "fastapi"
        await running.until_it_accepts("127.0.0.1", port)
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"http://127.0.0.1:{port}/health")).json() == {"z4j": "online"}
        (worker,) = real_brain.workers(agent)
        assert worker["role"] == "web"
    await until(lambda: real_brain.agent(agent)["state"] == "offline", "the agent was offline", WAIT_S)


async def test_what_an_application_emits_becomes_a_task(real_brain: BrainApi, tmp_path: Path) -> None:
    agent = real_brain.mint()
    port = free_port()
    serve = ("uvicorn", "fastapi_own_lifespan:app", "--port", str(port))
    async with service(tmp_path, *serve, environ=environment(real_brain, agent, tmp_path)) as running:
        await running.until_it_accepts("127.0.0.1", port)
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"http://127.0.0.1:{port}/work/w-{port}")).json() == "hello"
        task = await ended(real_brain, "work", "success")
    assert (task["task_id"], task["engine"]) == (f"w-{port}", "fastapi")


async def test_an_application_tells_of_the_tasks_that_it_sends(real_brain: BrainApi, tmp_path: Path) -> None:
    agent = real_brain.mint()
    port = free_port()
    serve = ("uvicorn", "taskiq_from_fastapi:app", "--port", str(port))
    async with service(tmp_path, *serve, environ=environment(real_brain, agent, tmp_path)) as running:
        await running.until_it_accepts("127.0.0.1", port)
        async with httpx.AsyncClient(trust_env=False) as client:
            task_id = (await client.post(f"http://127.0.0.1:{port}/greet/you")).json()
        task = await ended(real_brain, "taskiq_from_fastapi:greet", "success")
    assert (task["task_id"], task["result"]) == (task_id, "hello you")


async def test_an_arq_worker_shows_its_jobs(real_brain: BrainApi, tmp_path: Path, redis_url: str) -> None:
    agent = real_brain.mint()
    environ = {**environment(real_brain, agent, tmp_path), "REDIS_URL": redis_url}
    async with service(tmp_path, "arq", "arq_worker.WorkerSettings", environ=environ):
        row = await online(real_brain, agent)
        assert row["engine_adapters"] == ["arq"]
        pool = await create_pool(RedisSettings.from_dsn(redis_url))
        await pool.enqueue_job("add", 2, b=3)
        good = await ended(real_brain, "add", "success")
        await pool.enqueue_job("add", 2, b="x")
        bad = await ended(real_brain, "add", "failure")
        await pool.aclose()
    (worker,) = real_brain.workers(agent)
    assert worker["role"] == "task"
    assert (good["engine"], good["queue"], good["worker_name"]) == ("arq", "arq:queue", worker["worker_id"])
    assert (good["args"], good["kwargs"], good["result"]) == ([2], {"b": 3}, 5)
    assert good["runtime_ms"] >= 0
    assert bad["exception"].startswith("TypeError: unsupported operand")
    assert "return a + b" in bad["traceback"]


@pytest.mark.waits
async def test_a_taskiq_worker_shows_its_tasks(
    real_brain: BrainApi, tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = real_brain.mint()
    environ = {**environment(real_brain, agent, tmp_path), "REDIS_URL": redis_url}
    for directory in (EXAMPLES, STAND_INS):
        monkeypatch.syspath_prepend(directory)
    monkeypatch.setenv("REDIS_URL", redis_url)
    example = importlib.import_module("taskiq_worker")
    async with service(tmp_path, "taskiq", "worker", "taskiq_worker:broker", "--workers=2", environ=environ):
        row = await online(real_brain, agent)
        assert row["engine_adapters"] == ["taskiq"]
        await until(lambda: len(real_brain.workers(agent)) == 2, "both processes were there", WAIT_S)
        await example.broker.startup()
        await example.divide.kiq(6, b=3)
        await example.divide.kiq(6, b=0)
        await example.broker.shutdown()
        good = await ended(real_brain, "taskiq_worker:divide", "success")
        bad = await ended(real_brain, "taskiq_worker:divide", "failure")
    workers = {worker["worker_id"] for worker in real_brain.workers(agent)}
    assert (good["engine"], good["queue"], good["result"]) == ("taskiq", "taskiq", 2.0)
    assert good["worker_name"] in workers
    assert good["runtime_ms"] >= 0
    assert bad["exception"] == "ZeroDivisionError: division by zero"
    await until(lambda: real_brain.agent(agent)["state"] == "offline", "the agent was offline", WAIT_S)


@pytest.mark.slow
async def test_every_event_arrives_once_though_the_brain_is_killed_midway(
    own_brain: BrainProcess, tmp_path: Path
) -> None:
    api = BrainApi(own_brain.url)
    minted = api.mint()
    async with Z4JAgent(
        brain_url=own_brain.url,
        token=minted.token,
        hmac_secret=minted.hmac_secret,
        home=tmp_path / "z4j",
        engines=["arq"],
    ) as agent:
        await until(lambda: agent.status.state is State.ONLINE, "it was online", WAIT_S)
        for number in range(EVENTS):
            assert agent.emit("task.succeeded", task_id=f"t-{number}", task_name="flood", runtime_ms=number)
            if number == EVENTS // 2:
                await until(lambda: agent.status.buffered < EVENTS // 4, "some were acknowledged", WAIT_S)
                await asyncio.to_thread(own_brain.kill)
        assert agent.status.buffered > EVENTS // 2
        await asyncio.to_thread(own_brain.start)
        await until(lambda: agent.status.buffered == 0, "all were acknowledged", WAIT_S)
        assert agent.status.dropped == 0
    tasks = await asyncio.to_thread(api.tasks, name="flood")
    assert len(tasks) == EVENTS
    assert {task["task_id"]: task["runtime_ms"] for task in tasks} == {f"t-{n}": n for n in range(EVENTS)}
    api.close()


async def test_a_task_that_is_retried_at_once_is_no_reason_to_warn(
    real_brain: BrainApi, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The brain keeps one event of a kind a second, and counts the others as rejected."""
    agent = real_brain.mint()
    async with Z4JAgent(
        brain_url=real_brain.url, token=agent.token, hmac_secret=agent.hmac_secret, home=tmp_path
    ) as running:
        for count in range(1, 21):
            running.emit("task.retried", task_id="again", task_name="again", retry_count=count)
        await until(lambda: running.status.rejected > 0, "the brain had rejected some", WAIT_S)
        await until(lambda: running.status.buffered == 0, "all were acknowledged", WAIT_S)
    assert not [said for said in warnings(caplog) if "connecting" not in said]  # a busy brain
