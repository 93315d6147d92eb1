"""Climbing a few probes with given settings, as short as a test wants it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping

from z4j_probes import Climb, Ladder, Probe, ProbeResult, Registry, Settings
from z4j_probes.protocol import Hello

BRAIN_URL = "https://brain.example"
SECRET = base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")
TOKEN = "z4j-agent-0123456789abcdef"  # shaped like one, accepted by nobody


async def nobody(climb: Climb) -> Hello:
    """For ladders that never get as far as an introduction."""
    raise AssertionError("no rung of this test introduces anybody")


def settings(environ: Mapping[str, str] | None = None, **explicit: str | None) -> Settings:
    """Settings that are in order, from an environment that has these variables alone."""
    variables = {"Z4J_BRAIN_URL": BRAIN_URL, "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET}
    variables |= environ or {}
    return Settings.load(environ=variables, env_file=None, allow_plaintext=False, read_files=True, **explicit)


def ladder(probes: Iterable[Probe], given: Settings | None = None, *, timeout_s: float = 5.0) -> Ladder:
    """A ladder of these probes alone."""
    return Ladder(Registry(probes), given or settings(), introduce=nobody, timeout_s=timeout_s)


async def climb_to(name: str, probes: Iterable[Probe], given: Settings) -> ProbeResult:
    """The result of the probe of that name."""
    report = await ladder(probes, given).run()
    return next(result for result in report.results if result.name == name)
