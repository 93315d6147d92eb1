"""The health routes in a real service: FastAPI under uvicorn, asked over HTTP and shown by a browser."""

from __future__ import annotations

import asyncio
import gc
import importlib
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse
from prometheus_client import parser as classic
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.samples import Sample
from websockets import InvalidStatus
from websockets.asyncio.client import connect

from tests.support import browser, cli
from tests.support.agents import agent_of, closed_port, status_with, until
from z4j_fastapi import z4j_lifespan
from z4j_fastapi.agent.status import State
from z4j_fastapi.devbrain import DevBrain
from z4j_fastapi.health import DOCTOR_EVERY_S, Authorize, health_app
from z4j_fastapi.health.doctor import ResidentDoctor
from z4j_probes import Report, Settings


def has_the_word(scope: Any) -> bool:
    return (b"x-operator", b"yes") in scope["headers"]


OPERATOR = {"X-Operator": "yes"}


@asynccontextmanager
async def served(app: Any, lifespan: Literal["on", "auto"] = "on") -> AsyncIterator[httpx.AsyncClient]:
    """The app under uvicorn, in this loop, and a client for it."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan=lifespan))
    running = asyncio.create_task(server.serve())
    await until(lambda: server.started, "uvicorn was up")
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, verify=False) as client:
            yield client
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def service(
    brain: DevBrain,
    directory: Path,
    authorize: Authorize | None = has_the_word,
    doctor_every_s: float = DOCTOR_EVERY_S,
    **arguments: Any,
) -> AsyncIterator[tuple[httpx.AsyncClient, FastAPI]]:
    agent = agent_of(brain, directory, **arguments)
    app = FastAPI(lifespan=z4j_lifespan(agent))
    app.mount("/z4j", health_app(lambda: app.state.z4j, authorize=authorize, doctor_every_s=doctor_every_s))
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


async def test_live_follows_the_process_and_not_the_brain(tmp_path: Path) -> None:
    async with DevBrain() as brain, service(brain, tmp_path, preflight="warn") as (client, app):
        assert (await client.get("/z4j/live")).json() == {"live": True, "state": "online", "code": ""}
        await brain.stop()
        await until(lambda: app.state.z4j.status.state is State.OFFLINE, "the agent noticed")
        answer = await client.get("/z4j/live")
        assert (answer.status_code, answer.json()["state"]) == (200, "offline")
        del app.state.z4j
        assert (await client.get("/z4j/live")).status_code == 503


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


async def test_the_doctor_runs_again_once_it_has_rested(tmp_path: Path) -> None:
    async with DevBrain() as brain, service(brain, tmp_path, doctor_every_s=0) as (client, _):
        answers = [await client.post("/z4j/doctor", headers=OPERATOR) for _ in range(2)]
        assert "retry-after" not in answers[1].headers
        assert answers[0].json()["started_at"] < answers[1].json()["started_at"]


async def test_two_services_of_one_machine_may_ask_at_once(tmp_path: Path) -> None:
    async with (
        DevBrain() as brain,
        service(brain, tmp_path, credentials=(same := brain.mint("web"))) as (one, _),
        service(brain, tmp_path, credentials=same) as (other, _),
    ):
        answers = await asyncio.gather(*(c.post("/z4j/doctor", headers=OPERATOR) for c in (one, other)))
        assert [answer.json()["ok"] for answer in answers] == [True, True]


async def test_a_probe_that_blocks_does_not_block_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits, without an await, for what only the host's loop can do: answer a request and let it go on."""
    found = cli.install_plugin(
        tmp_path / "plugin",
        "stubborn",
        """
        import threading
        from z4j_probes import Probe, Status, outcome
        from z4j_probes.codes import Code, common

        entered, released = threading.Event(), threading.Event()

        async def run(climb):
            entered.set()
            return outcome("stubborn.ok" if released.wait(20) else "stubborn.unexpected", "waited")

        CODES = (Code("stubborn.ok", "it waited", status=Status.PASS), *common("stubborn"))
        PROBE = Probe("stubborn", "Does it wait?", (), run, "stubborn.unexpected", codes=CODES)
        """,
    )
    monkeypatch.syspath_prepend(found["PYTHONPATH"])
    async with DevBrain() as brain, service(brain, tmp_path) as (client, _):
        running = asyncio.create_task(client.post("/z4j/doctor", headers=OPERATOR))
        plugin = await asyncio.to_thread(importlib.import_module, "plugin_stubborn")
        await until(plugin.entered.is_set, "the probe ran")
        assert (await client.get("/z4j/ready")).status_code == 200
        plugin.released.set()
        codes = [probe["code"] for probe in (await running).json()["probes"]]
        assert "stubborn.ok" in codes


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


async def test_a_dependency_may_ask_for_a_password(tmp_path: Path) -> None:
    def ask(scope: Any) -> bool:
        raise HTTPException(401, "who are you?", {"WWW-Authenticate": "Basic"})

    async with DevBrain() as brain, service(brain, tmp_path, authorize=ask) as (client, _):
        answer = await client.get("/z4j/")
        assert (answer.status_code, answer.json()) == (401, {"error": "who are you?"})
        assert answer.headers["www-authenticate"] == "Basic"


async def test_a_header_that_is_none_does_not_reach_the_host(tmp_path: Path) -> None:
    def ask(scope: Any) -> bool:
        raise HTTPException(401, headers={"WWW-Authenticate": 'Basic realm="z4j \u2013 ops\r\nX: y"'})

    async with DevBrain() as brain, service(brain, tmp_path, ask) as (client, _):
        answer = await client.get("/z4j/status")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="z4j ? ops??X: y"'


async def test_a_doctor_that_fails_after_everybody_has_left_is_no_complaint_of_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    let_go = threading.Event()

    async def fail(settings: Settings) -> Report:
        let_go.wait()
        raise LookupError("a plug-in that is broken")

    monkeypatch.setattr("z4j_fastapi.health.doctor._examine", fail)
    resident = ResidentDoctor(0.0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await resident.report(Settings())
    let_go.set()
    with pytest.raises(LookupError):
        await resident.report(Settings())  # who comes meanwhile is told
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.0):
            await resident.report(Settings())
    await until(lambda: resident._running is None, "the run had ended")
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []


async def test_an_agent_that_was_switched_off_on_purpose_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("Z4J_DISABLED", "1")
    async with DevBrain() as brain, service(brain, tmp_path) as (client, _):
        answer = await client.get("/z4j/ready")
        assert (answer.status_code, answer.json()["state"]) == (200, "disabled")


async def test_a_host_without_an_agent_is_told_so() -> None:
    app = FastAPI()
    app.mount("/z4j", health_app(lambda: app.state.z4j, authorize=lambda _: True))
    async with served(app) as client:
        assert (await client.get("/z4j/ready")).json()["state"] == "absent"
        assert (await client.get("/z4j/status")).status_code == 503


async def test_a_websocket_is_refused(tmp_path: Path) -> None:
    async with DevBrain() as brain, service(brain, tmp_path) as (client, _):
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{client.base_url}/z4j/ready".replace("http", "ws"))
        assert refused.value.response.status_code == 403


async def test_it_stands_alone_as_well(tmp_path: Path) -> None:
    async with (
        DevBrain() as brain,
        agent_of(brain, tmp_path) as agent,
        served(health_app(lambda: agent), lifespan="auto") as client,
    ):
        assert (await client.get("/ready")).json()["state"] == "online"


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


@pytest.mark.component
async def test_a_browser_shows_the_page_and_complains_of_nothing(tmp_path: Path) -> None:
    async with DevBrain() as brain, service(brain, tmp_path, authorize=lambda _: True) as (client, _):
        url = f"{client.base_url}/z4j/"
        seen = await browser.dom(url)
        assert "<h1>The agent is <span>online</span></h1>" in seen
        assert "<button>Run the doctor now</button>" in seen
        assert "The report below is from the agent's last connection attempt" in seen
        assert await browser.console(url) == []
        picture = await browser.screenshot(url, tmp_path / "phone.png", width=360, height=800)
        assert picture.startswith(b"\x89PNG")
        window, content = await browser.widths((await client.get("/z4j/")).text, tmp_path, 360)
        assert content == window


@pytest.mark.component
async def test_a_browser_that_presses_the_button_is_shown_the_doctors_report(tmp_path: Path) -> None:
    async with DevBrain() as brain, service(brain, tmp_path, authorize=lambda _: True) as (client, app):
        app.add_route("/press", lambda request: HTMLResponse(_PRESSED.format(host="")))
        seen = await browser.dom(f"{client.base_url}/press", "--virtual-time-budget=20000")
        assert "The report below is from the doctor" in seen
        assert "<button disabled" in seen
        assert brain.seen.connections == 2


@pytest.mark.component
async def test_another_sites_page_can_not_press_the_button(tmp_path: Path) -> None:
    async with DevBrain() as brain, service(brain, tmp_path, authorize=lambda _: True) as (client, _):
        page = tmp_path / "evil.html"
        page.write_text(_PRESSED.format(host=client.base_url))
        seen = await browser.dom(page.as_uri(), "--virtual-time-budget=20000")
        assert "sent from another site" in seen
        assert brain.seen.connections == 1


_PRESSED = (
    """<form method="post" action="{host}/z4j/doctor"></form><script>document.forms[0].submit()</script>"""
)


def samples(text: str, kind: str) -> dict[str, list[Sample]]:
    """What a scraper of that content type reads, by the samples' names."""
    is_openmetrics = kind.startswith("application/openmetrics-text")
    parse = (
        openmetrics.text_string_to_metric_families
        if is_openmetrics
        else classic.text_string_to_metric_families
    )
    found: dict[str, list[Sample]] = {}
    for family in parse(text):
        assert family.documentation
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


@pytest.mark.parametrize("accept", ["application/openmetrics-text; version=1.0.0", "text/plain"])
async def test_metrics_are_of_all_slots_and_open_to_operators(tmp_path: Path, accept: str) -> None:
    async with DevBrain() as brain:
        credentials = brain.mint("web")
        async with (
            service(brain, tmp_path, credentials=credentials) as (client, app),
            agent_of(brain, tmp_path, credentials) as second,
        ):
            assert (await client.get("/z4j/metrics")).status_code == 403
            for number in range(3):
                app.state.z4j.emit("task.sent", task_id=str(number))
            await until(lambda: app.state.z4j.status.acknowledged == 3, "they were acknowledged")
            directory = Path(str(second.status.buffer_path))
            await until(lambda: len(list(directory.glob("status-*.json"))) == 2, "both had a file")
            answer = await client.get("/z4j/metrics", headers=OPERATOR | {"Accept": accept})
            assert answer.status_code == 200
            found = samples(answer.text, answer.headers["content-type"])
            assert answer.headers["content-type"].startswith(accept)
            assert {s.labels["slot"]: s.value for s in found["z4j_agent_online"]} == {"0": 1, "1": 1}
            events = [s for s in found["z4j_agent_events_total"] if s.labels["slot"] == "0"]
            assert {s.labels["outcome"]: s.value for s in events} == {"acknowledged": 3, "rejected": 0}
            counts = {s.labels["slot"]: s.value for s in found["z4j_agent_acknowledgement_seconds_count"]}
            assert counts["0"] >= 1
            assert found["z4j_agent_dropped_events_total"][0].labels["reason"]
            status = (await client.get("/z4j/status", headers=OPERATOR)).json()
            assert [row["slot"] for row in status["agents"]] == [0, 1]
            assert status["agents"][0]["acknowledged"] == 3


async def test_metrics_of_an_agent_without_a_disk_and_without_a_brain(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with closed_port() as port:
        url = f"http://127.0.0.1:{port}"
        async with (
            DevBrain() as brain,
            service(brain, tmp_path, home=tmp_path / "file" / "z4j", brain_url=url) as (client, app),
        ):
            await status_with(app.state.z4j, State.OFFLINE, "tcp.refused")
            answer = await client.get("/z4j/metrics", headers=OPERATOR)
            found = samples(answer.text, answer.headers["content-type"])
            assert [s.labels["slot"] for s in found["z4j_agent_online"]] == ["memory"]
            assert found["z4j_agent_online"][0].value == 0
            reconnects = {s.labels["code"]: s.value for s in found["z4j_agent_reconnects_total"]}
            assert reconnects["tcp.refused"] >= 1
            assert [s.labels["code"] for s in found["z4j_agent_state"]] == ["tcp.refused"]
