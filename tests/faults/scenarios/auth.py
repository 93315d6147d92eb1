"""Brains that open the WebSocket and then do not want this agent: the real one, and an embedded one."""

from __future__ import annotations

import uuid

from tests.faults.scenario import Case, scenario
from tests.faults.stage import UPGRADE, Stage
from tests.support.http_peers import text_frame, upgrading
from tests.support.ladders import SECRET, TOKEN
from z4j_fastapi.devbrain import Close, DevBrain, Limits, Misbehaviour
from z4j_probes.protocol import CloseCode


async def closing(stage: Stage, code: int | None, reason: str = "", *, after_hello: bool = True) -> Case:
    """An embedded brain that closes with this code after the upgrade, or instead of hello_ack."""
    close = Close(code, reason)
    wrong = Misbehaviour(close_after_hello=close) if after_hello else Misbehaviour(close_after_upgrade=close)
    return Case(stage.settings(await stage.brain(wrong)))


@scenario("auth.token_rejected", "an unknown token (real brain)", "4401", hint=("Z4J_TOKEN",))
async def the_token_is_unknown(stage: Stage) -> Case:
    """the real brain and a token that it never issued: it accepts the upgrade and then closes"""
    return Case(stage.real_settings(Z4J_TOKEN="z4j_agent_0123456789abcdefghijklmnopqrstuv"))


@scenario("auth.token_rejected", "a revoked token (real brain)", "4401", hint=("Z4J_TOKEN",))
async def the_token_was_revoked(stage: Stage) -> Case:
    """the real brain, and an agent that was deleted on its dashboard"""
    brain = stage.real_brain()
    agent = brain.mint()
    brain.revoke(agent)
    return Case({"Z4J_BRAIN_URL": brain.url, "Z4J_TOKEN": agent.token, "Z4J_HMAC_SECRET": agent.hmac_secret})


@scenario(
    "auth.project_mismatch",
    "a token of another project (real brain)",
    "belongs to project",
    hint=("Z4J_PROJECT_ID=",),
)
async def the_token_is_of_another_project(stage: Stage) -> Case:
    """the real brain, a token of its default project, and another project's UUID in Z4J_PROJECT_ID"""
    other = str(uuid.uuid4())
    return Case(stage.real_settings(Z4J_PROJECT_ID=other), words=(other,))


@scenario(
    "auth.address_refused",
    "this machine's address is not on the brain's allowlist",
    "4403",
    hint=("allowlist",),
)
async def the_address_is_not_on_the_allowlist(stage: Stage) -> Case:
    """a dev brain closes with 4403 during the handshake, as the real one does for such an address"""
    return await closing(stage, CloseCode.FORBIDDEN, "source address is not allowed", after_hello=False)


@scenario(
    "auth.protocol_unsupported",
    "the brain speaks another protocol version",
    "4426",
    hint=("upgrade the older of the two",),
)
async def the_brain_speaks_another_protocol(stage: Stage) -> Case:
    """a dev brain closes with 4426"""
    return await closing(stage, CloseCode.PROTOCOL_UNSUPPORTED, "protocol_version 2 is not supported")


@scenario(
    "auth.version_skew",
    "an agent outside the range that the brain supports",
    "4427",
    hint=("upgrade the older of the two",),
)
async def the_agent_is_too_old(stage: Stage) -> Case:
    """a dev brain closes with 4427"""
    return await closing(stage, 4427, "agent builds below 2.0 are not supported")


@scenario("auth.rate_limited", "more than 64 workers on one agent", "4429", hint=("create more agents",))
async def there_are_too_many_workers(stage: Stage) -> Case:
    """a dev brain that takes no worker more on this agent"""
    brain = DevBrain(limits=Limits(workers_per_agent=0))
    await stage.stack.enter_async_context(brain)
    return Case(stage.settings(brain))


@scenario("auth.hello_rejected", "an old brain that does not accept our handshake", "4400")
async def the_brain_does_not_take_hello(stage: Stage) -> Case:
    """a dev brain closes with 4400, as one that is older than a field of the handshake"""
    return await closing(stage, CloseCode.MALFORMED, "hello: worker_id is missing")


@scenario("auth.revoked", "a token that is revoked during the handshake", "4003", hint=("Z4J_TOKEN",))
async def the_token_is_revoked_at_this_moment(stage: Stage) -> Case:
    """a dev brain closes with 4003"""
    return await closing(stage, CloseCode.REVOKED, "revoked")


@scenario(
    "auth.no_reply",
    "the handshake is not answered: a half-open connection",
    "no answer to the handshake within",
    hint=("brain's log",),
    timeout_s=1.0,
)
async def hello_is_not_answered(stage: Stage) -> Case:
    """a dev brain that does not answer the handshake"""
    return Case(stage.settings(await stage.brain(Misbehaviour(withhold_hello_ack=True))))


@scenario(
    "auth.bad_reply",
    "another WebSocket service answers",
    "did not answer the handshake as a brain does",
    hint=("Z4J_BRAIN_URL",),
)
async def another_service_answers(stage: Stage) -> Case:
    """a chat server at that path: it upgrades, and sends JSON that a brain would not send"""
    peer = await stage.peer(upgrading(text_frame(b'{"event":"welcome","room":"lobby"}')))
    return Case({"Z4J_BRAIN_URL": peer.url, "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET})


@scenario("auth.bad_reply", "junk after the 101", "invalid WebSocket message")
async def junk_follows_the_upgrade(stage: Stage) -> Case:
    """a peer that upgrades and goes on in another protocol"""
    peer = await stage.peer(upgrading(b"\xff\xfe\xfd junk that is no frame"))
    return Case({"Z4J_BRAIN_URL": peer.url, "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET})


@scenario(
    "auth.project_mismatch",
    "a brain that compares the project, and refuses it",
    "4403",
    "shop",
    hint=("Z4J_PROJECT_ID",),
)
async def the_brain_refuses_the_project(stage: Stage) -> Case:
    """a dev brain that refuses the project that the agent names, as one that knows the field may"""
    return await closing(stage, CloseCode.FORBIDDEN, "project shop is not this token's")


@scenario("auth.closed", "a load balancer that closes right after the upgrade", "without a close code")
async def a_load_balancer_closes_after_the_upgrade(stage: Stage) -> Case:
    """a dev brain that cuts the connection as soon as it is a WebSocket, without a close code"""
    return await closing(stage, None, after_hello=False)


@scenario("auth.closed", "the brain restarts", "1012", hint=("doctor --wait 60",))
async def the_brain_is_restarting(stage: Stage) -> Case:
    """a dev brain closes with 1012"""
    return await closing(stage, 1012, "service restart")


@scenario("auth.closed", "the brain crashes: no close frame", "without a close code")
async def the_brain_crashes(stage: Stage) -> Case:
    """a dev brain cuts the connection after the agent's first frame"""
    return await closing(stage, None)


@scenario(
    "auth.token_rejected",
    "a proxy that drops the Authorization header (real brain)",
    "4401",
    hint=("pass on the Authorization header", "proxy_set_header Authorization $http_authorization"),
    timeout_s=15.0,
)
async def a_proxy_drops_authorization(stage: Stage) -> Case:
    """nginx with `proxy_set_header Authorization ""` before the real brain, with a token that is in order"""
    site = (
        f'location / {{ proxy_pass {stage.real_brain().url}; {UPGRADE} proxy_set_header Authorization ""; }}'
    )
    nginx = await stage.nginx(site)
    return Case(stage.real_settings(f"http://127.0.0.1:{nginx.port}"))


@scenario("auth.bad_reply", "an answer to the handshake that is too large", "too large", "more than 1 MiB")
async def the_answer_is_too_large(stage: Stage) -> Case:
    """a dev brain answers the handshake with 18 MB of JSON"""
    answer = '{"filler":"' + "x" * 18_000_000 + '"}'
    return Case(stage.settings(await stage.brain(Misbehaviour(raw_hello_ack=answer))))
