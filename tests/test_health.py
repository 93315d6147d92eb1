"""The health routes in a real service: FastAPI under uvicorn, asked over HTTP and shown by a browser."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from tests.support import browser, cli
from tests.support.agents import agent_of, closed_port, status_with, until
from z4j_fastapi import z4j_lifespan
from z4j_fastapi.devbrain import DevBrain
from z4j_fastapi.health import Authorize, health_app
from z4j_fastapi.status import State


def has_the_word(scope: Any) -> bool:
    return (b"x-operator", b"yes") in scope["headers"]


OPERATOR = {"X-Operator": "yes"}


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """The app under uvicorn, in this loop, and a client for it."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="on"))
    running = asyncio.create_task(server.serve())
    await until(lambda: server.started, "uvicorn was up")
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def service(
    brain: DevBrain, directory: Path, authorize: Authorize | None = has_the_word, **arguments: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, FastAPI]]:
    agent = agent_of(brain, directory, **arguments)
    app = FastAPI(lifespan=z4j_lifespan(agent))
    app.mount("/z4j", health_app(lambda: app.state.z4j, authorize=authorize))
    async with served(app) as client:
        yield client, app


async def test_ready_follows_the_agent(tmp_path: Path) -> None:
    async with DevBrain() as brain, service(brain, tmp_path, preflight="warn") as (client, app):
        answer = await client.get("/z4j/ready")
        assert (answer.status_code, answer.json()["state"]) == (200, "online")
        await brain.stop()
        await until(lambda: app.state.z4j.status.state is State.OFFLINE, "the agent noticed")
        answer = await client.get("/z4j/ready")
        assert answer.status_code == 503
        assert answer.json()["ready"] is False
        await brain.start()
        await status_with(app.state.z4j, State.ONLINE)
        assert (await client.get("/z4j/ready")).status_code == 200


async def test_nothing_else_is_open_by_default(tmp_path: Path) -> None:
    async with DevBrain() as brain, service(brain, tmp_path, authorize=None) as (client, _):
        for method, path in (("GET", "/z4j/status"), ("GET", "/z4j/"), ("POST", "/z4j/doctor")):
            assert (await client.request(method, path, headers=OPERATOR)).status_code == 403
        assert brain.seen.connections == 1


async def test_the_dependency_decides_who_sees_more(tmp_path: Path) -> None:
    async def later(scope: Any) -> bool:
        await asyncio.sleep(0)
        return has_the_word(scope)

    async with DevBrain() as brain, service(brain, tmp_path, authorize=later) as (client, _):
        assert (await client.get("/z4j/status")).status_code == 403
        answer = await client.get("/z4j/status", headers=OPERATOR)
        assert answer.status_code == 200
        assert answer.json()["state"] == "online"
        cli.check(answer.json()["report"])


async def test_the_doctor_runs_in_the_service_and_not_too_often(tmp_path: Path) -> None:
    async with DevBrain() as brain, service(brain, tmp_path) as (client, _):
        answers = await asyncio.gather(*(client.post("/z4j/doctor", headers=OPERATOR) for _ in range(5)))
        again = await client.post("/z4j/doctor", headers=OPERATOR)
        for answer in (*answers, again):
            assert answer.status_code == 200
            cli.check(answer.json())
        assert int(again.headers["retry-after"]) > 1
        assert brain.seen.connections == 2  # the agent's, and one doctor's
        assert len(brain.online_workers) == 1


async def test_the_doctor_does_not_make_the_hosts_loop_late(tmp_path: Path) -> None:
    async with DevBrain() as brain, service(brain, tmp_path, agent_name="web") as (client, _):
        running = asyncio.create_task(client.post("/z4j/doctor", headers=OPERATOR))
        worst_s = 0.0
        while not running.done():
            before_s = time.perf_counter()
            await asyncio.sleep(0.001)
            worst_s = max(worst_s, time.perf_counter() - before_s)
        assert (await running).status_code == 200
        assert worst_s < 0.25


async def test_an_agent_that_is_offline_says_why(tmp_path: Path) -> None:
    with closed_port() as port:
        url = f"http://127.0.0.1:{port}"
        async with service(DevBrain(), tmp_path, brain_url=url) as (client, _):
            answer = await client.get("/z4j/ready")
            assert answer.json() == {"ready": False, "state": "offline", "code": "tcp.refused"}
            page = await client.get("/z4j/", headers=OPERATOR)
            assert "tcp.refused" in page.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/z4j/nowhere", 404),
        ("POST", "/z4j/ready", 405),
        ("GET", "/z4j/doctor", 405),
        ("HEAD", "/z4j/ready", 200),
    ],
)
async def test_other_requests_are_answered_too(tmp_path: Path, method: str, path: str, status: int) -> None:
    async with DevBrain() as brain, service(brain, tmp_path) as (client, _):
        assert (await client.request(method, path)).status_code == status


async def test_a_dependency_that_raises_does_not_reach_the_host(tmp_path: Path) -> None:
    def broken(scope: Any) -> bool:
        raise RuntimeError("no")

    async with DevBrain() as brain, service(brain, tmp_path, authorize=broken) as (client, _):
        assert (await client.get("/z4j/status")).status_code == 500
        assert (await client.get("/z4j/ready")).status_code == 200


async def test_no_secret_is_in_any_answer(tmp_path: Path) -> None:
    async with DevBrain() as brain:
        credentials = brain.mint("web")
        async with service(brain, tmp_path, credentials=credentials) as (client, _):
            texts = [
                (await client.get("/z4j/status", headers=OPERATOR)).text,
                (await client.get("/z4j/", headers=OPERATOR)).text,
                (await client.post("/z4j/doctor", headers=OPERATOR)).text,
            ]
        assert not any(
            secret in text for text in texts for secret in (credentials.token, credentials.hmac_secret)
        )


async def test_a_browser_shows_the_page_and_complains_of_nothing(tmp_path: Path) -> None:
    async with DevBrain() as brain, service(brain, tmp_path, authorize=lambda _: True) as (client, _):
        url = f"{client.base_url}/z4j/"
        seen = await browser.dom(url)
        assert "The agent in this process" in seen
        assert "Run the doctor now" in seen
        assert await browser.console(url) == []
        picture = await browser.screenshot(url, tmp_path / "phone.png", width=360, height=800)
        assert picture.startswith(b"\x89PNG")
