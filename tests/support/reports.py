"""Reports made by hand, for what shows them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from z4j_probes import ProbeResult, Report, Status, Step
from z4j_probes.result import Cause

CONFIG: dict[str, Any] = {
    "brain_url": "https://brain.example",
    "project_id": "default",
    "agent_name": "web-1",
    "token": "set",
    "hmac_secret": "missing",
    "user": "app (uid 1000)",
    "buffer_dir": "/home/app/.z4j",
    "settings_from": "the environment",
    "sources": {
        "brain_url": "env Z4J_BRAIN_URL",
        "token": "file /etc/web.env",
        "project_id": "default",
        "agent_name": "default (host name)",
    },
}
NAMES = ("config", "buffer", "dns", "tcp", "tls", "websocket", "auth", "signing")
EXPIRED = "the certificate of brain.example expired 3 days ago (2026-11-20)"


def passed(name: str, message: str = "in order") -> ProbeResult:
    """A row that passed."""
    return ProbeResult(name, Status.PASS, f"{name}.ok", message, duration_ms=1.25)


def skipped(name: str, reason: str) -> ProbeResult:
    """A row of a probe that was not run."""
    return ProbeResult(name, Status.SKIP, f"{name}.skipped", f"not run: {reason}")


def report(*results: ProbeResult) -> Report:
    """A report of these rows."""
    return Report(
        version="0.1.0",
        started_at=datetime(2026, 11, 23, 20, 0, tzinfo=UTC),
        duration_ms=184.24,
        config=CONFIG,
        results=results,
        host="web-1.example",
    )


def green() -> Report:
    """Everything passed."""
    return report(*map(passed, NAMES))


def expired_certificate(message: str = EXPIRED) -> Report:
    """The ladder broke at tls."""
    expired = ProbeResult(
        "tls",
        Status.FAIL,
        "tls.expired",
        message,
        hint=(
            Step(
                "Renew it on the brain's proxy",
                "sudo certbot renew --cert-name brain.example --deploy-hook 'systemctl reload nginx'",
            ),
            Step("Leave the brain running: it needs no restart"),
        ),
        duration_ms=41.0,
        details={
            "subject": "CN=brain.example",
            "not_after": "2026-11-20T12:00:00Z",
            "names": ["brain.example", "www.brain.example"],
        },
    )
    rows = [passed(name) for name in NAMES[:4]]
    return report(*rows, expired, *(skipped(name, "tls failed") for name in NAMES[5:]))


def several_causes() -> Report:
    """Three things are wrong with the settings at once, and one of them is only worth a warning."""
    causes = (
        Cause(
            "config.missing",
            Status.FAIL,
            "Z4J_HMAC_SECRET is not set",
            (
                Step("Copy it from the brain's dashboard", "read -rs Z4J_HMAC_SECRET"),
                Step("Already in a file? Add --env-file FILE"),
            ),
        ),
        Cause(
            "config.invalid_url",
            Status.FAIL,
            "Z4J_BRAIN_URL is not a valid brain URL: it has no host",
            (Step("Set Z4J_BRAIN_URL to the address of the dashboard"),),
        ),
        Cause(
            "config.unknown_variable",
            Status.WARN,
            "Z4J_PROJECT is set, but not used",
            (Step("Rename Z4J_PROJECT to Z4J_PROJECT_ID"),),
        ),
    )
    row = ProbeResult(
        "config",
        Status.FAIL,
        "config.missing",
        "; ".join(cause.message for cause in causes),
        steps=[step for cause in causes for step in cause.steps],
        duration_ms=2.0,
        headline="1 required setting is missing, 2 more problems",
        causes=causes,
    )
    return report(row, *(skipped(name, "config failed") for name in NAMES[1:]))


# What a network service may say of itself, and every character that some format takes for its own.
HOSTILE = (
    "\x1b[31mred\x1b[0m \x00\x08\x0b\x7f\x85 a|b <script>alert(1)</script> \"q\" 'q' \\n ]]> &lt; `tick` "
    "``two`` [x](javascript:alert(1)) https://evil.example www.evil.example @someone :smile: *bold* __b__ "
    "~~no~~ # EOF\n# EOF\r\n{} \ud800 \uffff \u202e \U000e0001 {{7*7}} $(id) $x$"
)


def partial_addresses() -> ProbeResult:
    """A row that warns."""
    return ProbeResult(
        "tcp",
        Status.WARN,
        "tcp.partial",
        "203.0.113.7 accepts, [2001:db8::7] does not: connection timed out",
        hint=Step("Fix or withdraw the AAAA record of brain.example", "ping -6 -c 3 brain.example"),
        duration_ms=250.3,
        details={"addresses": [{"address": "203.0.113.7", "ms": 3.2}, {"address": "2001:db8::7"}]},
    )


def warned() -> Report:
    """Everything passed, one row with a warning."""
    return report(*(partial_addresses() if name == "tcp" else passed(name) for name in NAMES))


def hostile() -> Report:
    """A peer tried to write the report, and a person named everything after it."""
    row = ProbeResult(
        "websocket",
        Status.FAIL,
        "websocket.not_http",
        HOSTILE,
        hint=(Step(f"Look at this {HOSTILE}", f"run {HOSTILE}"), Step(HOSTILE)),
        duration_ms=1.0,
        details={HOSTILE: HOSTILE, "list": [HOSTILE, {"inner": HOSTILE}]},
    )
    rows = [passed(name, HOSTILE) for name in NAMES[:5]]
    made = report(*rows, row, *(skipped(name, HOSTILE) for name in NAMES[6:]))
    named = dict.fromkeys(("brain_url", "project_id", "agent_name", "user", "buffer_dir"), HOSTILE)
    sources = dict.fromkeys(CONFIG["sources"], HOSTILE)
    labels = {"service": HOSTILE}
    return replace(made, config=CONFIG | named | {"sources": sources}, host=HOSTILE, labels=labels)
