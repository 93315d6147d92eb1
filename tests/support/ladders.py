"""Ladders for tests: a few probes with given settings, or from the websocket rung upwards."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

from z4j_probes.climb import Climb
from z4j_probes.codes import outcome
from z4j_probes.endpoint import parse_endpoint
from z4j_probes.ladder import Ladder
from z4j_probes.probe import Probe
from z4j_probes.protocol import Hello, decode_secret
from z4j_probes.registry import Registry
from z4j_probes.result import ProbeResult
from z4j_probes.rungs import auth, signing
from z4j_probes.rungs.websocket import probe as websocket
from z4j_probes.settings import Settings
from z4j_probes.transport import HoldingProtocol

BUDGET_S = 5.0
BRAIN_URL = "https://brain.example"
SECRET = base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")
TOKEN = "z4j-agent-0123456789abcdef"  # shaped like one, accepted nowhere


def settings_for(brain_url: str, **more: str) -> Settings:
    """Complete settings that read nothing of the environment."""
    values = {"Z4J_BRAIN_URL": brain_url, "Z4J_TOKEN": "token-of-the-agent", "Z4J_AGENT_NAME": "web-1"}
    return Settings.load(environ=values | {f"Z4J_{name.upper()}": value for name, value in more.items()})


def from_websocket_up(*, tls: ssl.SSLContext | None = None) -> Registry:
    """A registry from `websocket` upwards, over a plain or encrypted connection to the brain URL."""

    async def config(climb: Climb) -> ProbeResult:
        climb.endpoint = parse_endpoint(climb.settings.brain_url or "")
        climb.proxy = None
        secret = climb.settings.hmac_secret
        climb.hmac_secret = decode_secret(secret.reveal()) if secret else None
        return outcome("config.ok", "made by a test")

    async def connection(climb: Climb) -> ProbeResult:
        transport, protocol = await asyncio.get_running_loop().create_connection(
            HoldingProtocol,
            climb.endpoint.host,
            climb.endpoint.port,
            ssl=tls,
            server_hostname=climb.endpoint.host if tls else None,
        )
        climb.transport, climb.protocol = transport, protocol
        climb.on_release(transport.abort)
        return outcome("tls.ok", "made by a test")

    async def nothing(climb: Climb) -> ProbeResult:
        return outcome("buffer.ok", "made by a test")

    return Registry(
        (
            Probe("config", "", (), config, "config.ok"),
            Probe("buffer", "", ("config",), nothing, "buffer.timeout"),
            Probe("tls", "", ("config",), connection, "tls.timeout"),
            websocket.PROBE,
            auth.PROBE,
            signing.PROBE,
        )
    )


@asynccontextmanager
async def climbed(
    settings: Settings,
    *,
    tls: ssl.SSLContext | None = None,
    timeout_s: float = BUDGET_S,
    look_closer: bool = True,
) -> AsyncIterator[tuple[Climb, dict[str, ProbeResult]]]:
    """A climb as far as it goes, and its results by name; released at the end of the block."""
    ladder = Ladder(from_websocket_up(tls=tls), settings, timeout_s=timeout_s, look_closer=look_closer)
    async with ladder.start() as climb, contextlib.aclosing(ladder.climb(climb)) as results:
        yield climb, {result.name: result async for result in results}


async def probe(
    name: str, settings: Settings, *, tls: ssl.SSLContext | None = None, timeout_s: float = BUDGET_S
) -> ProbeResult:
    """One rung's result."""
    async with climbed(settings, tls=tls, timeout_s=timeout_s) as (_, results):
        return results[name]


async def no_hello(climb: Climb) -> Hello:
    """For ladders that never get as far as a hello."""
    raise AssertionError("no rung of this test sends a hello")


def settings(environ: Mapping[str, str] | None = None, **explicit: str | None) -> Settings:
    """Settings that are in order, from an environment that has these variables alone."""
    variables = {"Z4J_BRAIN_URL": BRAIN_URL, "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET}
    variables |= environ or {}
    return Settings.load(environ=variables, env_file=None, allow_plaintext=False, read_files=True, **explicit)


def ladder(probes: Iterable[Probe], given: Settings | None = None, *, timeout_s: float = 5.0) -> Ladder:
    """A ladder of these probes alone."""
    return Ladder(Registry(probes), given or settings(), make_hello=no_hello, timeout_s=timeout_s)


async def climb_to(name: str, probes: Iterable[Probe], given: Settings) -> ProbeResult:
    """The result of the probe of that name."""
    report = await ladder(probes, given).run()
    return next(result for result in report.results if result.name == name)
