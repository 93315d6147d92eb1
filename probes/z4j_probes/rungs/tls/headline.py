"""What a row says of a failed TLS handshake: the cause with the names, dates and addresses that tell it."""

from __future__ import annotations

import errno

from z4j_probes.rungs.tls.classify import CLOCK_READING, Evidence, culprit
from z4j_probes.rungs.tls.handshake import ALERTS
from z4j_probes.rungs.tls.spans import day, span


def headline(code: str, evidence: Evidence) -> str:
    """The row's text for this code; empty where the code's title says as much."""
    where, host, chain = evidence.where, evidence.endpoint.host, evidence.chain
    match code:
        case "tls.expired" | "tls.not_yet_valid":
            return _dates(code, evidence)
        case "tls.clock_suspect":
            there = evidence.server_time or evidence.now
            direction = "ahead of" if evidence.now > there else "behind"
            return f"clock skew: {span(abs(evidence.now - there) + CLOCK_READING)} {direction} {host}"
        case "tls.hostname_mismatch":
            return _names(evidence)
        case "tls.self_signed" if chain:
            return f'self-signed certificate, not trusted: "{chain[0].name}"'
        case "tls.unknown_ca" if chain:
            return f'CA not trusted: "{(evidence.path or chain)[-1].issuer_name}"'
        case "tls.incomplete_chain":
            return f'incomplete chain: "{evidence.path[0].issuer_name}" is missing'
        case "tls.empty_trust_store":
            sources = evidence.store.disappointing or evidence.store.sources
            return f"no trusted certificates in {sources[0].path}" if sources else ""
        case "tls.protocol_version" if evidence.alert == 120:
            return f"{where} refuses HTTP/1.1"
        case "tls.protocol_version" if evidence.presented.is_old:
            return f"{where} speaks only {evidence.presented.version}"
        case "tls.not_tls":
            plain = evidence.presented.said.startswith(b"HTTP/")
            return f"{where} speaks plain HTTP, not TLS" if plain else f"{where} does not speak TLS"
        case "tls.client_certificate":
            return f"{where} requires a client certificate (mTLS)"
        case "tls.closed" if evidence.alert is not None:
            return f"TLS alert from {where}: {ALERTS.get(evidence.alert, evidence.alert)}"
        case "tls.closed":
            how = "reset" if getattr(evidence.error, "errno", None) == errno.ECONNRESET else "closed"
            return f"connection {how} by {where} in the TLS handshake"
        case "tls.timeout":
            return f"no answer to the TLS handshake from {where}"
    return ""


def _names(evidence: Evidence) -> str:
    host, names = evidence.endpoint.host, evidence.chain[0].names if evidence.chain else ()
    if f"DNS:{host}" in names:
        return f"certificate has {host} as a DNS name, not as an IP"
    if evidence.alert is not None or not names:
        return f"hostname mismatch: no certificate for {host}"
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"certificate is for {names[0]}{more}, not {host}"


def _dates(code: str, evidence: Evidence) -> str:
    certificate = culprit(evidence)
    if certificate is None:
        return ""
    which = "certificate" if certificate == evidence.chain[0] else f'"{certificate.name}"'
    if code == "tls.expired":
        ago = span(evidence.now - certificate.not_after)
        return f"{which} expired {ago} ago ({day(certificate.not_after)})"
    ahead = span(certificate.not_before - evidence.now)
    return f"{which} not yet valid: {ahead} to go ({day(certificate.not_before)})"
