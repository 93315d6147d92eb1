"""Secrets, clocks and signatures that do not fit: everything before them is green."""

from __future__ import annotations

import secrets

from tests.faults.scenario import Case, scenario
from tests.faults.scenarios.tls_handshake import faketime
from tests.faults.stage import Stage
from tests.support.hostile_relay import hostile_relay
from tests.support.message_limit import gateway
from z4j_fastapi.devbrain import NEVER, Close, Misbehaviour
from z4j_probes.protocol import encode_secret


async def misbehaving(stage: Stage, wrong: Misbehaviour, **more: str) -> Case:
    """An embedded brain that does this wrong."""
    return Case(stage.settings(await stage.brain(wrong), **more))


@scenario(
    "signing.secret_wrong",
    "the secret of another brain (real brain)",
    "rejected our signature",
    "4403",
    "clock skew only",
    hint=("same page",),
)
async def the_secret_is_another_brains(stage: Stage) -> Case:
    """the real brain, with staging's secret beside production's token"""
    return Case(stage.real_settings(Z4J_HMAC_SECRET=encode_secret(b"s" * 32)))


@scenario("signing.secret_wrong", "the secret of another project (real brain)", "rejected our signature")
async def the_secret_is_another_projects(stage: Stage) -> Case:
    """the real brain, a token of its default project, and the secret of an agent of a second one"""
    brain = stage.real_brain()
    slug = f"shop-{secrets.token_hex(4)}"
    brain.create_project(slug)
    return Case(stage.real_settings(Z4J_HMAC_SECRET=brain.mint(project=slug).hmac_secret))


@scenario(
    "signing.clock_skew",
    "this machine's clock is five minutes fast (real brain)",
    "s ahead of the brain's",
    hint=("timedatectl",),
)
async def this_clock_is_five_minutes_fast(stage: Stage) -> Case:
    """libfaketime sets the clock five minutes ahead: the close code is a wrong secret's"""
    return Case(stage.real_settings(), prefix=faketime("+300"))


@scenario(
    "signing.clock_skew",
    "this machine's clock is half a minute slow (real brain)",
    "s behind the brain's",
    "refused beyond 60 s",
    status="warn",
)
async def this_clock_is_half_a_minute_slow(stage: Stage) -> Case:
    """libfaketime sets the doctor's clock thirty seconds back: it works, and will not for long"""
    return Case(stage.real_settings(), prefix=faketime("-30"))


@scenario("signing.clock_skew", "the brain's clock is fast", "behind the brain's")
async def the_brains_clock_is_fast(stage: Stage) -> Case:
    """a dev brain whose clock is two minutes ahead"""
    return await misbehaving(stage, Misbehaviour(clock_offset_s=120))


@scenario(
    "signing.no_reply",
    "a brain that hangs at the first signed frame",
    "did not acknowledge",
    hint=("database",),
    timeout_s=1.0,
)
async def the_frame_is_not_acknowledged(stage: Stage) -> Case:
    """a dev brain that records the batch and acknowledges nothing"""
    return await misbehaving(stage, Misbehaviour(drop_acks=NEVER))


@scenario(
    "signing.brain_signature_invalid",
    "a brain that signs with another secret",
    "the brain acknowledged our frame, but",
)
async def the_brain_signs_with_another_secret(stage: Stage) -> Case:
    """a dev brain that takes our signature and signs with another secret"""
    return await misbehaving(stage, Misbehaviour(sign_with_wrong_secret=True))


@scenario(
    "signing.brain_signature_invalid",
    "a brain that does not sign",
    "the brain acknowledged our frame, but",
    "carries no signature",
    hint=("middleboxes",),
)
async def the_brain_does_not_sign(stage: Stage) -> Case:
    """a dev brain that takes and sends unsigned frames"""
    return await misbehaving(stage, Misbehaviour(accept_unsigned=True, send_unsigned=True))


@scenario(
    "signing.brain_signature_invalid",
    "a relay that removes signatures",
    "carries no signature",
    hint=("middleboxes",),
)
async def a_relay_removes_signatures(stage: Stage) -> Case:
    """a relay in front of a dev brain removes `hmac` from all frames that the brain sends"""
    brain = await stage.brain()
    relay = await stage.stack.enter_async_context(hostile_relay(brain.url))
    return Case(stage.settings(brain, relay.url))


async def behind_a_filter(stage: Stage, rule: str) -> Case:
    """A brain on another machine, in TLS, and a packet filter that drops by size on the way to it."""
    lab, environ = await stage.lab_with_brain()
    # as on a wire: the kernel takes less at once where a packet is small
    await lab.shell("ip link set dev lo gso_max_segs 1 mtu 1500")
    await lab.firewall(f"tcp dport 443 meta length > {rule} drop")
    return Case(environ, prefix=lab.prefix, words=("16 KiB",))


@scenario(
    "signing.large_frame_lost",
    "a path that loses packets over 1,400 bytes",
    "no acknowledgment of a 16 KiB frame",
    "small frames arrive",
    hint=("ping -c 3 -M do -s 1472", "mtu 1280"),
    timeout_s=2.5,
)
async def the_path_loses_large_packets(stage: Stage) -> Case:
    """nftables drops TCP packets of more than 1,400 bytes to the brain, as a tunnel without ICMP does"""
    return await behind_a_filter(stage, "1400")


@scenario(
    "signing.large_frame_lost",
    "a path that loses packets over 600 bytes",
    "no acknowledgment of a 16 KiB frame",
    timeout_s=2.5,
)
async def the_path_loses_packets_over_600_bytes(stage: Stage) -> Case:
    """the same for packets of more than 600 bytes: the handshakes just fit"""
    return await behind_a_filter(stage, "600")


@scenario(
    "signing.large_frame_lost",
    "a gateway that drops messages over 8 KiB without a word",
    "no acknowledgment of a 16 KiB frame",
    "small frames arrive",
    hint=("message limit",),
    timeout_s=2.5,
)
async def a_gateway_drops_large_messages(stage: Stage) -> Case:
    """a gateway that passes on WebSocket messages up to 8 KiB, and no others"""
    brain = await stage.brain()
    url = await stage.stack.enter_async_context(gateway(brain.url, dropping_over=8 * 1024))
    return Case(stage.settings(brain, url))


@scenario(
    "signing.large_frame_lost",
    "a brain that is too busy to answer large frames",
    "the other end received it",
    hint=("load",),
    status="warn",
    timeout_s=2.5,
)
async def the_brain_is_busy(stage: Stage) -> Case:
    """a dev brain that acknowledges the first batch, and thinks about the second for a long time"""
    return await misbehaving(stage, Misbehaviour(acks_before_silence=1))


@scenario(
    "signing.large_frame_refused",
    "a gateway with a limit of 32 KiB for messages",
    "frames of 66 KiB are refused",
    "1009",
    hint=("limit for WebSocket messages",),
)
async def a_gateway_limits_messages(stage: Stage) -> Case:
    """a gateway that closes with 1009 at messages over 32 KiB, before the brain has acknowledged others"""
    brain = await stage.brain()
    url = await stage.stack.enter_async_context(gateway(brain.url, refusing_over=32 * 1024))
    return Case(stage.settings(brain, url))


@scenario(
    "signing.large_frame_refused",
    "a gateway with a limit of 8 KiB for messages",
    "frames of 16 KiB are refused",
    "1009",
    hint=("limit for WebSocket messages",),
    status="fail",
)
async def a_gateway_limits_messages_to_8_kib(stage: Stage) -> Case:
    """the same with a limit of 8 KiB, below an agent's usual batch"""
    brain = await stage.brain()
    url = await stage.stack.enter_async_context(gateway(brain.url, refusing_over=8 * 1024))
    return Case(stage.settings(brain, url))


@scenario("signing.closed", "the brain fails at the first signed frame", "1011", hint=("log",))
async def the_brain_fails_at_the_first_frame(stage: Stage) -> Case:
    """a dev brain closes with 1011 when the first signed frame arrives"""
    return await misbehaving(stage, Misbehaviour(close_at_first_signed=Close(1011, "internal error")))


@scenario("signing.closed", "the connection is cut at the first signed frame", "without a close code")
async def the_connection_is_cut_at_the_first_frame(stage: Stage) -> Case:
    """a dev brain cuts the connection when the first signed frame arrives"""
    return await misbehaving(stage, Misbehaviour(close_at_first_signed=Close(None)))


@scenario(
    "signing.closed", "a second client with the same worker id", "4002", hint=("took this worker id over",)
)
async def a_double_takes_the_session(stage: Stage) -> Case:
    """a dev brain closes with 4002, as for a newer connection of the same worker id, every time"""
    return await misbehaving(stage, Misbehaviour(close_at_first_signed=Close(4002, "replaced")))
