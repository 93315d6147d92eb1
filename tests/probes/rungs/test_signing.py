"""The signing rung: one signed frame there, one signed frame back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.hostile_relay import hostile_relay
from tests.support.ladders import BUDGET_S, climbed, from_websocket_up, probe, settings_for
from z4j_fastapi.devbrain import NEVER, Close, Credentials, DevBrain, Misbehaviour
from z4j_probes.errors import FrameRejected, ProtocolError
from z4j_probes.ladder import Ladder
from z4j_probes.protocol import encode_secret
from z4j_probes.result import ProbeResult, Status
from z4j_probes.rungs.exchange import Closed
from z4j_probes.rungs.signing import classify_end, classify_rejection
from z4j_probes.settings import Settings

SHORT_S = 0.4


def settings_of(brain: DevBrain, agent: Credentials, **more: str) -> Settings:
    return settings_for(brain.url, **({"token": agent.token, "hmac_secret": agent.hmac_secret} | more))


async def verdict(misbehaviour: Misbehaviour, *, timeout_s: float = 5.0, **more: str) -> ProbeResult:
    async with DevBrain(misbehaviour=misbehaviour) as brain:
        settings = settings_of(brain, brain.mint("web-1"), **more)
        return await probe("signing", settings, timeout_s=timeout_s)


@pytest.mark.parametrize(
    ("closed", "offset_s", "objection", "code"),
    [
        (Closed(4403), 0.0, "", "secret_wrong"),
        (Closed(4403), 59.0, "", "secret_wrong"),
        (Closed(4403), 61.0, "", "clock_skew"),
        (Closed(4403), -61.0, "", "clock_skew"),
        (Closed(4403), 0.0, "bad", "secret_wrong"),
        (Closed(4400), 0.0, "", "closed"),
        (Closed(4003), 0.0, "", "closed"),
        (Closed(4002), 0.0, "", "closed"),
        (Closed(1011), 0.0, "", "closed"),
        (Closed(None), 0.0, "", "closed"),
        (Closed(None, sent=1002), 0.0, "", "brain_signature_invalid"),
        (Closed(1001), 0.0, "bad", "brain_signature_invalid"),
        (None, 0.0, "bad", "brain_signature_invalid"),
        (None, 0.0, "", "no_reply"),
    ],
)
def test_every_end_has_its_code(closed: Closed | None, offset_s: float, objection: str, code: str) -> None:
    assert classify_end(closed, offset_s=offset_s, objection=objection) == f"signing.{code}"


@pytest.mark.parametrize(
    ("rejected", "code"),
    [
        (FrameRejected("unsigned", ""), "brain_signature_invalid"),
        (FrameRejected("clock", ""), "clock_skew"),
        (FrameRejected("signature", ""), "brain_signature_invalid"),
        (FrameRejected("sequence", ""), "brain_signature_invalid"),
        (FrameRejected("nonce", ""), "brain_signature_invalid"),
        (ProtocolError(""), "brain_signature_invalid"),
    ],
)
def test_every_rejection_has_its_code(rejected: ProtocolError, code: str) -> None:
    assert classify_rejection(rejected) == f"signing.{code}"


async def test_a_right_secret_passes_and_no_event_arrives() -> None:
    async with DevBrain() as brain:
        settings = settings_of(brain, brain.mint("web-1"))
        async with climbed(settings) as (climb, results):
            assert results["signing"].code == "signing.ok"
            assert climb.has("signer")
            assert climb.has("verifier")
            assert climb.pending == ()
        assert brain.seen.events == {}


async def test_without_a_secret_nothing_is_sent() -> None:
    async with DevBrain() as brain:
        agent = brain.mint("web-1")
        result = await probe("signing", settings_for(brain.url, token=agent.token))
        assert result.code == "signing.secret_missing"
        assert brain.seen.frames == {}


async def test_a_wrong_secret_is_named_and_not_shown() -> None:
    wrong = encode_secret(b"another project's secret, 32 bytes")
    result = await verdict(Misbehaviour(), hmac_secret=wrong)
    assert result.code == "signing.secret_wrong"
    assert result.details["close_code"] == 4403
    assert wrong not in repr(result)


@pytest.mark.parametrize(("offset_s", "direction"), [(300.0, "behind"), (-300.0, "ahead of")])
async def test_a_wrong_clock_is_not_taken_for_a_wrong_secret(offset_s: float, direction: str) -> None:
    result = await verdict(Misbehaviour(clock_offset_s=offset_s))
    assert result.code == "signing.clock_skew"
    assert result.status is Status.FAIL
    assert f"300 s {direction}" in result.message
    assert result.headline == f"clock skew: 300 s {direction} the brain"


async def test_a_clock_that_is_still_taken_is_a_warning() -> None:
    result = await verdict(Misbehaviour(clock_offset_s=30))
    assert result.code == "signing.clock_skew"
    assert result.status is Status.WARN
    assert "30 s behind" in result.message


async def test_a_brain_without_a_clock_check_is_refused_by_ours() -> None:
    result = await verdict(Misbehaviour(clock_offset_s=300, accept_unsigned=True))
    assert result.code == "signing.clock_skew"
    assert result.status is Status.FAIL


async def test_an_acknowledgement_with_a_wrong_signature_is_named() -> None:
    result = await verdict(Misbehaviour(sign_with_wrong_secret=True))
    assert result.code == "signing.brain_signature_invalid"


async def test_an_unsigned_acknowledgement_fails_and_leaves_nothing_to_live_with() -> None:
    async with (
        DevBrain(misbehaviour=Misbehaviour(send_unsigned=True)) as brain,
        climbed(settings_of(brain, brain.mint("web-1"))) as (climb, results),
    ):
        assert results["signing"].code == "signing.brain_signature_invalid"
        assert results["signing"].status is Status.FAIL
        assert "carries no signature" in results["signing"].message
        assert not climb.has("signer")
        assert not climb.has("verifier")


async def test_a_relay_that_removes_signatures_is_red() -> None:
    async with DevBrain() as brain, hostile_relay(brain.url) as relay:
        agent = brain.mint("web-1")
        settings = settings_for(relay.url, token=agent.token, hmac_secret=agent.hmac_secret)
        assert (await probe("signing", settings)).code == "signing.brain_signature_invalid"


async def test_an_unsigned_error_is_neither_believed_nor_quoted() -> None:
    async with DevBrain(misbehaviour=Misbehaviour(drop_acks=NEVER, send_unsigned=True)) as brain:
        settings = settings_of(brain, brain.mint("web-1"))
        result, pending = await between_hello_and_acknowledgement(
            brain, settings, lambda: brain.send_error("database_locked", "try again"), timeout_s=1.0
        )
    assert result.code == "signing.brain_signature_invalid"
    assert "database_locked" not in result.message
    assert pending is None


async def test_a_brain_that_never_acknowledges_is_named_within_the_budget() -> None:
    result = await verdict(Misbehaviour(drop_acks=NEVER), timeout_s=SHORT_S)
    assert result.code == "signing.no_reply"
    assert result.duration_ms < SHORT_S * 1000 * 1.5


@pytest.mark.parametrize("close", [Close(1011, "oops"), Close(4003, "revoked"), Close(None)])
async def test_any_other_end_is_closed_with_its_code(close: Close) -> None:
    result = await verdict(Misbehaviour(close_at_first_signed=close))
    assert result.code == "signing.closed"
    assert result.details["close_code"] == close.code
    assert close.reason in result.message


async def between_hello_and_acknowledgement(
    brain: DevBrain, settings: Settings, act: Any, *, timeout_s: float = BUDGET_S, look_closer: bool = True
) -> Any:
    """Let the brain do something before it acknowledges; the climb's results and its pending frames."""
    ladder = Ladder(from_websocket_up(), settings, timeout_s=timeout_s, look_closer=look_closer)
    async with ladder.start() as climb:

        async def results() -> dict[str, ProbeResult]:
            return {result.name: result async for result in ladder.climb(climb)}

        task = asyncio.create_task(results())
        await brain.wait_for_workers(1)
        await act()
        found = await task
        return found["signing"], climb.pending if climb.has("pending") else None


async def test_a_command_that_arrives_meanwhile_is_kept_for_whoever_stays() -> None:
    async with DevBrain(misbehaviour=Misbehaviour(delay_s=0.3)) as brain:
        settings = settings_of(brain, brain.mint("web-1"))
        result, pending = await between_hello_and_acknowledgement(
            brain, settings, lambda: brain.send_command("retry-task"), look_closer=False
        )
        assert result.code == "signing.ok"
        assert [frame["payload"]["action"] for frame in pending] == ["retry-task"]
        [command] = brain.seen.commands.values()
        assert not command.acknowledged


async def test_a_doctor_acts_on_no_command_and_leaves_what_is_sent_again_unanswered() -> None:
    async with DevBrain(misbehaviour=Misbehaviour(delay_s=0.3)) as brain:
        settings = settings_of(brain, brain.mint("web-1"))

        async def deliver() -> None:
            for action in ("cancel_task", "schedule.fire", "purge_queue"):
                await brain.send_command(action)

        result, _ = await between_hello_and_acknowledgement(brain, settings, deliver)
        cancel, fire, purge = brain.seen.commands.values()
        await brain.wait_for_result(purge)
    assert result.code == "signing.ok"
    assert result.message.endswith("; 3 commands came meanwhile (1 refused, 2 left for the agent)")
    assert result.details["commands"] == {"refused": 1, "left": 2}
    assert purge.acknowledged
    assert purge.result is not None
    assert purge.result["status"] == "failed"
    assert "delivered to a doctor" in purge.result["error"]
    assert not any(left.acknowledged or left.result for left in (cancel, fire))


async def test_an_error_frame_is_shown_where_no_acknowledgement_follows() -> None:
    async with DevBrain(misbehaviour=Misbehaviour(drop_acks=NEVER)) as brain:
        settings = settings_of(brain, brain.mint("web-1"))
        result, _ = await between_hello_and_acknowledgement(
            brain,
            settings,
            lambda: brain.send_error("database_locked", "try again"),
            timeout_s=1.0,
        )
    assert result.code == "signing.no_reply"
    assert "database_locked: try again" in result.message
