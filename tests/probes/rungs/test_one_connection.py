"""The whole ladder climbs one connection: the doctor closes it, the agent keeps it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
import uvloop

from z4j_fastapi.devbrain import Close, DevBrain, Misbehaviour
from z4j_probes import Ladder, Report, Settings, Status, default_registry
from z4j_probes.doctor import was_replaced
from z4j_probes.doctor_hello import second_doctor_hello


@pytest.fixture
async def brain() -> AsyncIterator[DevBrain]:
    async with DevBrain() as brain:
        yield brain


@pytest.fixture
def settings(brain: DevBrain, tmp_path: Path) -> Settings:
    agent = brain.mint("web-1")
    return Settings.load(environ={**brain.environment(agent), "Z4J_HOME": str(tmp_path / "state")})


async def test_a_green_climb_makes_one_connection_and_closes_it(brain: DevBrain, settings: Settings) -> None:
    report = await Ladder(default_registry(), settings).run()
    assert report.first_failure is None
    assert [r.status for r in report.results if r.name != "tls"] == [Status.PASS] * 7
    assert brain.seen.connections == 1
    await brain.wait_for_workers(0)
    assert brain.seen.refusals == []


@pytest.mark.parametrize("encrypted", [False, True])
def test_it_is_climbed_in_uvloops_loop_too(tmp_path: Path, encrypted: bool) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)

    async def climb() -> Report:
        async with DevBrain(ssl_context=server if encrypted else None) as brain:
            environ = brain.environment(brain.mint("web-1")) | {"Z4J_HOME": str(tmp_path / "state")}
            if encrypted:
                environ["Z4J_CA_FILE"] = str(tmp_path / "ca.pem")
            return await Ladder(default_registry(), Settings.load(environ=environ)).run()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(climb())
    assert report.first_failure is None


async def test_a_detached_session_stays_open_and_goes_on_where_the_climb_ended(
    brain: DevBrain, settings: Settings
) -> None:
    ladder = Ladder(default_registry(), settings)
    async with ladder.start() as climb:
        results = [result async for result in ladder.climb(climb)]
        assert all(result.ok for result in results)
        session = climb.detach()

    await session.websocket.send(session.signer.sign("event_batch", {"events": []}, "the-next-batch"))
    assert session.verifier is not None
    frame = session.verifier.verify(await session.websocket.recv())
    assert frame["payload"]["acked_id"] == "the-next-batch"
    assert len(brain.online_workers) == 1
    assert brain.seen.connections == 1
    await session.websocket.close()
    await brain.wait_for_workers(0)


async def test_a_climb_that_fails_closes_what_it_opened(brain: DevBrain, settings: Settings) -> None:
    await brain.revoke(settings.secrets()[0])
    report = await Ladder(default_registry(), settings).run()
    assert report.first_failure is not None
    assert report.first_failure.code == "auth.token_rejected"
    assert brain.seen.connections == 1


async def test_a_doctor_that_another_one_replaces_can_tell(brain: DevBrain, settings: Settings) -> None:
    brain.misbehaviour = Misbehaviour(close_at_first_signed=Close(4002, "replaced by a newer connection"))
    report = await Ladder(default_registry(), settings).run()
    assert report.first_failure is not None
    assert report.first_failure.code == "signing.closed"
    assert was_replaced(report.results)


async def test_a_second_doctor_leaves_the_first_one_alone(brain: DevBrain, settings: Settings) -> None:
    first = Ladder(default_registry(), settings)
    async with first.start() as climb:
        assert all([result.ok async for result in first.climb(climb)])
        second = await Ladder(default_registry(), settings, make_hello=second_doctor_hello).run()
        assert second.ok
        await brain.wait_for_workers(1)
        assert brain.online_workers == (climb.hello.worker_id,)
