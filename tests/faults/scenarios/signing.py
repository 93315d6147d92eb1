"""Secrets, clocks and signatures that do not fit: everything before them is green."""

from __future__ import annotations

import secrets

from tests.faults.scenario import Case, scenario
from tests.faults.scenarios.tls_handshake import faketime
from tests.faults.stage import Stage
from tests.support.hostile_relay import hostile_relay
from z4j_fastapi.devbrain import NEVER, Close, Misbehaviour
from z4j_probes.protocol import encode_secret


async def misbehaving(stage: Stage, wrong: Misbehaviour, **more: str) -> Case:
    """An embedded brain that does this wrong."""
    return Case(stage.settings(await stage.brain(wrong), **more))


@scenario(
    "signing.secret_wrong",
    "the secret of another brain (real brain)",
    "refused our signature",
    "4403",
    "not for the clock",
    hint=("same page",),
)
async def the_secret_is_another_brains(stage: Stage) -> Case:
    """the real brain, with staging's secret beside production's token"""
    return Case(stage.real_settings(Z4J_HMAC_SECRET=encode_secret(b"s" * 32)))


@scenario("signing.secret_wrong", "the secret of another project (real brain)", "refused our signature")
async def the_secret_is_another_projects(stage: Stage) -> Case:
    """the real brain, a token of its default project, and the secret of an agent of a second one"""
    brain = stage.real_brain()
    slug = f"shop-{secrets.token_hex(4)}"
    brain.create_project(slug)
    return Case(stage.real_settings(Z4J_HMAC_SECRET=brain.mint(project=slug).hmac_secret))


@scenario(
    "signing.clock_skew",
    "this machine's clock is five minutes fast (real brain)",
    "300 s ahead of the brain's",
    hint=("timedatectl",),
)
async def this_clock_is_five_minutes_fast(stage: Stage) -> Case:
    """libfaketime sets the clock five minutes ahead: the close code is a wrong secret's"""
    return Case(stage.real_settings(), prefix=faketime("+300"))


@scenario(
    "signing.clock_skew",
    "this machine's clock is half a minute slow (real brain)",
    "30 s behind the brain's",
    "refused beyond 60 s",
    status="warn",
)
async def this_clock_is_half_a_minute_slow(stage: Stage) -> Case:
    """libfaketime sets the doctor's clock thirty seconds back: it works, and will not for long"""
    return Case(stage.real_settings(), prefix=faketime("-30"))


@scenario("signing.clock_skew", "the brain's clock is fast", "behind the brain's")
async def the_brains_clock_is_fast(stage: Stage) -> Case:
    """an embedded brain whose clock is two minutes ahead"""
    return await misbehaving(stage, Misbehaviour(clock_offset_s=120))


@scenario(
    "signing.no_reply",
    "a brain that hangs at the first signed frame",
    "not acknowledged",
    hint=("database",),
    timeout_s=1.0,
)
async def the_frame_is_not_acknowledged(stage: Stage) -> Case:
    """an embedded brain that records the batch and acknowledges nothing"""
    return await misbehaving(stage, Misbehaviour(drop_acks=NEVER))


@scenario(
    "signing.brain_signature_invalid",
    "a brain that signs with another secret",
    "the brain acknowledged our frame, but",
)
async def the_brain_signs_with_another_secret(stage: Stage) -> Case:
    """an embedded brain that takes our signature and signs with another secret"""
    return await misbehaving(stage, Misbehaviour(sign_with_wrong_secret=True))


@scenario(
    "signing.brain_signature_invalid",
    "a brain that does not sign",
    "the brain acknowledged our frame, but",
    "carries no signature",
    hint=("middleboxes",),
)
async def the_brain_does_not_sign(stage: Stage) -> Case:
    """an embedded brain that takes and sends unsigned frames"""
    return await misbehaving(stage, Misbehaviour(accept_unsigned=True, send_unsigned=True))


@scenario(
    "signing.brain_signature_invalid",
    "a relay that removes signatures",
    "carries no signature",
    hint=("middleboxes",),
)
async def a_relay_removes_signatures(stage: Stage) -> Case:
    """a relay in front of an embedded brain removes `hmac` from all frames that the brain sends"""
    brain = await stage.brain()
    relay = await stage.stack.enter_async_context(hostile_relay(brain.url))
    return Case(stage.settings(brain, relay.url))


@scenario("signing.closed", "the brain fails at the first signed frame", "1011", hint=("log",))
async def the_brain_fails_at_the_first_frame(stage: Stage) -> Case:
    """an embedded brain closes with 1011 when the first signed frame arrives"""
    return await misbehaving(stage, Misbehaviour(close_at_first_signed=Close(1011, "internal error")))


@scenario("signing.closed", "the connection is cut at the first signed frame", "without a close code")
async def the_connection_is_cut_at_the_first_frame(stage: Stage) -> Case:
    """an embedded brain cuts the connection when the first signed frame arrives"""
    return await misbehaving(stage, Misbehaviour(close_at_first_signed=Close(None)))


@scenario(
    "signing.closed", "a second client with the same worker id", "4002", hint=("took this worker id over",)
)
async def a_double_takes_the_session(stage: Stage) -> Case:
    """an embedded brain closes with 4002, as for a newer connection of the same worker id, every time"""
    return await misbehaving(stage, Misbehaviour(close_at_first_signed=Close(4002, "replaced")))
