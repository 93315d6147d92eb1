"""Reports made by hand, for what shows them."""

from __future__ import annotations

from datetime import UTC, datetime

from z4j_probes import ProbeResult, Report, Status

CONFIG = {
    "brain_url": "https://brain.example",
    "project_id": "default",
    "agent_name": "web-1",
    "token": "set",
    "hmac_secret": "missing",
    "user": "app (uid 1000)",
    "buffer_dir": "/home/app/.z4j",
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
        hint="renew it on the brain's proxy: `sudo certbot renew --cert-name brain.example --deploy-hook "
        "'systemctl reload nginx'`; the brain itself needs no restart",
        duration_ms=41.0,
        details={
            "subject": "CN=brain.example",
            "not_after": "2026-11-20T12:00:00Z",
            "names": ["brain.example", "www.brain.example"],
        },
    )
    rows = [passed(name) for name in NAMES[:4]]
    return report(*rows, expired, *(skipped(name, "tls failed") for name in NAMES[5:]))
