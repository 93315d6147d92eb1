"""What holds for every format: peers write none of it, and secrets are in none."""

from __future__ import annotations

import pytest

from tests.support.climbs import ladder, settings
from tests.support.reports import expired_certificate, green, hostile, warned
from z4j_fastapi.reports import FORMATS, exit_status, render
from z4j_probes import Climb, Probe, ProbeResult
from z4j_probes.codes import common, outcome

EVERY_FORMAT = pytest.mark.parametrize("name", FORMATS)
SECRETS = {
    "Z4J_TOKEN": "token-5ecret-0123456789",
    "Z4J_HMAC_SECRET": "aG1hYy01ZWNyZXQtMDEyMzQ1Njc4OWFiY2RlZmdoaWprbA",
    "Z4J_BRAIN_URL": "https://somebody:pa55word-0123@brain.example",
    "HTTPS_PROXY": "http://proxyuser:pr0xy-pa55word@proxy.example:3128",
}


@EVERY_FORMAT
def test_every_format_is_a_text_that_ends_with_a_newline(name: str) -> None:
    for report in (green(), warned(), expired_certificate()):
        text = render(name, report)

        assert text.endswith("\n")
        assert "tls" in text


@EVERY_FORMAT
def test_no_character_of_a_peer_controls_a_terminal_or_breaks_an_encoding(name: str) -> None:
    text = render(name, hostile())

    text.encode()
    assert not [c for c in text if not c.isprintable() and c not in "\n\u2060"]


@EVERY_FORMAT
async def test_no_secret_is_in_any_format(name: str) -> None:
    shown = [value for variable, value in SECRETS.items() if variable in ("Z4J_TOKEN", "Z4J_HMAC_SECRET")]
    shown += ["somebody:pa55word-0123", "pr0xy-pa55word"]

    async def tell(climb: Climb) -> ProbeResult:
        said = " ".join(shown)
        return outcome(
            "loud.unexpected", said, hint=f"run `echo {said}`", details={said: [said, {"x": said}]}
        )

    probe = Probe("loud", "?", (), tell, "loud.unexpected", codes=common("loud"))
    report = await ladder([probe], settings(SECRETS)).run()
    text = render(name, report)

    assert "loud" in text
    for secret in (*shown, "pa55word-0123"):
        assert secret not in text


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "nagios"])
def test_only_plug_ins_have_a_status_of_their_own(name: str) -> None:
    assert [exit_status(name, report) for report in (green(), warned(), expired_certificate())] == [0, 0, 1]
