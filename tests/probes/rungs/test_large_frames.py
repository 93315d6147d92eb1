"""Frames as large as an agent's: what becomes of them, in a table, and over connections that lose them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.ladders import climbed, probe, settings_for
from tests.support.message_limit import gateway
from z4j_fastapi.devbrain import NEVER, DevBrain, Limits, Misbehaviour
from z4j_probes.protocol import FrameSigner
from z4j_probes.result import Status
from z4j_probes.rungs.exchange import Closed
from z4j_probes.rungs.large_frames import (
    LARGEST_BYTES,
    SMALL_BYTES,
    USUAL_BYTES,
    Flight,
    classify,
    padded,
)
from z4j_probes.settings import Settings
from z4j_probes.unsent import Unsent

BOTH = (USUAL_BYTES, LARGEST_BYTES)
LOST, REFUSED = "signing.large_frame_lost", "signing.large_frame_refused"
RECEIVED, STUCK = Unsent(0), Unsent(80_000, peer_window=65_536)


def flight(*acknowledged: int, sizes: tuple[int, ...] = BOTH, **more: object) -> Flight:
    return Flight(sizes, frozenset(acknowledged), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "code", "status"),
    [
        (flight(waiting=STUCK, is_lost=True), LOST, Status.FAIL),
        (flight(SMALL_BYTES, waiting=RECEIVED), LOST, Status.FAIL),
        (flight(waiting=RECEIVED), LOST, Status.WARN),
        (flight(waiting=None), LOST, Status.FAIL),
        (flight(USUAL_BYTES, waiting=STUCK, is_lost=True), LOST, Status.WARN),
        (flight(USUAL_BYTES, SMALL_BYTES, waiting=RECEIVED), LOST, Status.WARN),
        (flight(USUAL_BYTES, closed=Closed(1009)), REFUSED, Status.WARN),
        (flight(closed=Closed(1009)), REFUSED, Status.WARN),
        (flight(sizes=(USUAL_BYTES,), closed=Closed(1009)), REFUSED, Status.FAIL),
        (flight(USUAL_BYTES, closed=Closed(1011)), REFUSED, Status.WARN),
        (flight(USUAL_BYTES, closed=Closed(4400)), REFUSED, Status.WARN),
        (flight(USUAL_BYTES, closed=Closed(None)), REFUSED, Status.WARN),
        (flight(USUAL_BYTES, closed=Closed(1003)), REFUSED, Status.WARN),
        (flight(sizes=(USUAL_BYTES,), closed=Closed(1005)), REFUSED, Status.FAIL),
        (flight(closed=Closed(1001)), "signing.closed", Status.FAIL),
        (flight(closed=Closed(1012)), "signing.closed", Status.FAIL),
        (flight(closed=Closed(4002)), "signing.closed", Status.FAIL),
        (flight(closed=Closed(4003)), "signing.closed", Status.FAIL),
    ],
)
def test_what_is_missing_has_its_code(seen: Flight, code: str, status: Status) -> None:
    assert classify(seen) == (code, status)


@pytest.mark.parametrize("size", BOTH)
def test_a_padded_frame_is_nearly_as_large_as_it_says_and_no_larger(size: int) -> None:
    signer = FrameSigner(b"s" * 32, "a" * 36, "p" * 36, "s" * 36)
    assert size - 512 < len(padded(signer, "i" * 32, size)) <= size


@pytest.mark.parametrize(
    ("waiting", "sent", "lost"),
    [
        (Unsent(100, peer_window=1000), 100, True),
        (Unsent(100), 100, True),
        (Unsent(99, peer_window=1000), 100, False),
        (Unsent(100, peer_window=0), 100, False),
        (Unsent(0, peer_window=1000), 100, False),
        (Unsent(0, peer_window=1000), 0, False),
    ],
)
def test_a_bad_path_is_told_from_a_slow_one_and_from_a_busy_peer(
    waiting: Unsent, sent: int, lost: bool
) -> None:
    assert waiting.nothing_arrived_of(sent) is lost


def settings_of(brain: DevBrain, url: str = "") -> Settings:
    agent = brain.mint("web-1")
    return settings_for(url or brain.url, token=agent.token, hmac_secret=agent.hmac_secret)


async def test_what_arrives_is_green_and_leaves_no_event() -> None:
    async with DevBrain() as brain:
        result = await probe("signing", settings_of(brain))
        assert result.code == "signing.ok"
        assert result.details["frames_acknowledged"] == [LARGEST_BYTES]
        assert brain.seen.events == {}


async def test_no_frame_is_sent_that_the_brain_has_said_to_refuse() -> None:
    async with DevBrain(limits=Limits(max_frame_bytes=32 * 1024)) as brain:
        result = await probe("signing", settings_of(brain))
    assert result.code == "signing.ok"
    assert result.details["frames_bytes"] == [USUAL_BYTES]


@pytest.mark.parametrize("code", [1000, 1003, 1009, 4000])
async def test_what_a_gateway_closes_with_for_its_size_is_refused(code: int) -> None:
    async with DevBrain() as brain:
        async with gateway(brain.url, refusing_over=32 * 1024, with_code=code) as url:
            small = await probe("signing", settings_of(brain, url))
        async with gateway(brain.url, refusing_over=8 * 1024, with_code=code) as url:
            usual = await probe("signing", settings_of(brain, url))
    assert (small.code, small.status) == (REFUSED, Status.WARN)
    assert f"frames of 66 KiB are refused: close code {code}" in small.message
    assert (usual.code, usual.status) == (REFUSED, Status.FAIL)


async def test_a_gateway_that_drops_large_messages_is_red_within_the_budget() -> None:
    async with DevBrain() as brain, gateway(brain.url, dropping_over=8 * 1024) as url:
        result = await probe("signing", settings_of(brain, url), timeout_s=1.0)
    assert (result.code, result.status) == (LOST, Status.FAIL)
    assert "16 KiB" in result.message
    assert "while small frames arrive" in result.message
    assert result.duration_ms < 2000


async def test_a_gateway_that_drops_the_largest_messages_is_a_warning() -> None:
    async with DevBrain() as brain, gateway(brain.url, dropping_over=32 * 1024) as url:
        result = await probe("signing", settings_of(brain, url), timeout_s=1.0)
    assert (result.code, result.status) == (LOST, Status.WARN)
    assert "66 KiB" in result.message


@pytest.mark.parametrize(
    ("limit", "status", "size"), [(32 * 1024, Status.WARN, "66 KiB"), (8 * 1024, Status.FAIL, "16 KiB")]
)
async def test_what_is_refused_before_anything_was_acknowledged_is_tried_again(
    limit: int, status: Status, size: str
) -> None:
    slow = Misbehaviour(delay_s=0.3)
    async with DevBrain(misbehaviour=slow) as brain, gateway(brain.url, refusing_over=limit) as url:
        result = await probe("signing", settings_of(brain, url), timeout_s=10.0)
    assert (result.code, result.status) == (REFUSED, status)
    assert f"frames of {size} are refused" in result.message
    assert "1009" in result.message


async def test_a_brain_that_thinks_is_busy_and_its_path_is_not_blamed() -> None:
    async with DevBrain(misbehaviour=Misbehaviour(acks_before_silence=1)) as brain:
        result = await probe("signing", settings_of(brain), timeout_s=1.0)
    assert (result.code, result.status) == (LOST, Status.WARN)
    assert "the brain is busy" in result.message
    assert result.details["unacknowledged_bytes"] == 0


async def test_an_acknowledgement_that_is_not_genuine_acknowledges_nothing() -> None:
    async with DevBrain(misbehaviour=Misbehaviour(drop_acks=NEVER)) as brain:
        result = await probe("signing", settings_of(brain), timeout_s=0.5)
    assert result.code == "signing.no_reply"


@asynccontextmanager
async def stalling(port: int, after_bytes: int) -> AsyncIterator[str]:
    """A relay's URL, which reads no more than so many bytes of each connection."""
    ended = asyncio.Event()

    async def to_brain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = after_bytes
        while left and (data := await reader.read(left)):
            left -= len(data)
            writer.write(data)
        await ended.wait()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        sending = asyncio.create_task(to_brain(reader, up_writer))
        with contextlib.suppress(OSError):
            while data := await up_reader.read(65536):
                writer.write(data)
        sending.cancel()
        writer.close()
        up_writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ended.set()


async def test_a_peer_that_reads_no_more_is_no_path_that_loses() -> None:
    async with DevBrain() as brain, stalling(brain.port, 2000) as url:
        result = await probe("signing", settings_of(brain, url), timeout_s=1.0)
    assert (result.code, result.status) == (LOST, Status.WARN)


async def test_what_the_agent_climbs_is_the_small_frame_only() -> None:
    async with DevBrain() as brain, climbed(settings_of(brain), look_closer=False) as (_, results):
        assert results["signing"].code == "signing.ok"
        assert brain.seen.batches == 1
