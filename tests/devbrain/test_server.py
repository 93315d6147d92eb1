"""The embedded brain as a server: its URL, plain HTTP, TLS, restarts, and what it hands out."""

from __future__ import annotations

import asyncio
import logging
import ssl

import httpx
import pytest
import trustme

from tests.devbrain.bare_agent import close_code, event, online
from z4j_fastapi.devbrain import Credentials, DevBrain, serve_forever
from z4j_probes.protocol import decode_secret


async def get(url: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(url)


async def test_health_is_ok() -> None:
    async with DevBrain() as brain:
        response = await get(f"{brain.url}/api/v1/health")
        assert (response.status_code, response.json()) == (200, {"status": "ok"})
        assert response.headers["Content-Type"] == "application/json"


async def test_its_log_never_shows_a_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "z4j_fastapi")
    async with DevBrain() as brain:
        agent = brain.mint("web-1")
        async with online(brain, agent):
            pass
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("z4j_fastapi")]
    assert ours
    assert not any(agent.token in line for line in ours)


@pytest.mark.parametrize("path", ["/", "/ws", "/ws/agent/", "/api/v1/health/x"])
async def test_nothing_else_is_there(path: str) -> None:
    async with DevBrain() as brain:
        assert (await get(brain.url + path)).status_code == 404


async def test_everything_moves_behind_a_prefix() -> None:
    async with DevBrain(path_prefix="/z4j/") as brain:
        assert brain.url == f"http://127.0.0.1:{brain.port}/z4j"
        assert (await get(f"{brain.url}/api/v1/health")).status_code == 200
        assert (await get(f"http://127.0.0.1:{brain.port}/api/v1/health")).status_code == 404
        async with online(brain, brain.mint("web-1")):
            await brain.wait_for_workers(1)


async def test_it_speaks_tls() -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    async with DevBrain(ssl_context=server) as brain:
        assert brain.url.startswith("https://127.0.0.1:")
        async with online(brain, brain.mint("web-1"), ssl_context=client) as agent:
            await agent.send("event_batch", {"events": []})
            await agent.receive()


async def test_a_restart_keeps_the_port_the_tokens_and_the_events() -> None:
    async with DevBrain() as brain:
        credentials, url = brain.mint("web-1"), brain.url
        kept = event()
        async with online(brain, credentials) as agent:
            await agent.send("event_batch", {"events": [kept]})
            await agent.receive()
            await brain.stop()
            assert await close_code(agent.websocket) == 1001
        with pytest.raises(httpx.ConnectError):
            await get(f"{url}/api/v1/health")
        await brain.start()
        assert brain.url == url
        async with online(brain, credentials) as agent:
            await agent.send("event_batch", {"events": [kept, event()]})
            await agent.receive()
        assert (len(brain.seen.events), brain.seen.duplicates) == (2, 1)


async def test_starting_it_twice_is_an_error_and_stopping_it_twice_is_not() -> None:
    brain = DevBrain()
    await brain.start()
    with pytest.raises(RuntimeError):
        await brain.start()
    await brain.stop()
    await brain.stop()


async def test_the_environment_names_all_that_an_agent_needs() -> None:
    async with DevBrain() as brain:
        credentials = brain.mint("web-1", project="shop")
        assert brain.environment(credentials) == {
            "Z4J_BRAIN_URL": brain.url,
            "Z4J_TOKEN": credentials.token,
            "Z4J_HMAC_SECRET": credentials.hmac_secret,
            "Z4J_PROJECT_ID": "shop",
            "Z4J_AGENT_NAME": "web-1",
        }
        assert len(decode_secret(credentials.hmac_secret)) == 32


def test_secrets_stay_out_of_the_repr() -> None:
    credentials = DevBrain().mint("web-1")
    assert credentials.token not in repr(credentials)
    assert credentials.hmac_secret not in repr(credentials)


async def test_revoking_a_token_that_is_none_is_a_key_error_that_does_not_show_it() -> None:
    with pytest.raises(KeyError) as caught:
        await DevBrain().revoke("z4j_hunter2")
    assert "hunter2" not in str(caught.value)


async def test_a_wait_that_ends_in_vain_tells_what_did_happen() -> None:
    async with DevBrain() as brain, online(brain, brain.mint("web-1")):
        with pytest.raises(TimeoutError, match="2 events; so far 1 connections, 1 hellos"):
            await brain.wait_for_events(2, timeout_s=0.01)


async def test_serve_forever_announces_what_to_connect_with_until_it_is_cancelled() -> None:
    announced: asyncio.Future[tuple[DevBrain, Credentials]] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve_forever(
            lambda brain, credentials: announced.set_result((brain, credentials)), agent_name="demo"
        )
    )
    brain, credentials = await asyncio.wait_for(announced, 5)
    assert credentials.agent_name == "demo"
    async with online(brain, credentials):
        await brain.wait_for_workers(1)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    with pytest.raises(httpx.ConnectError):
        await get(brain.url)
