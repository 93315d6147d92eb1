"""Why a connection did not become a WebSocket: what answered instead, or what became of the connection."""

from __future__ import annotations

import ssl
from typing import Any

from z4j_probes.climb import Climb
from z4j_probes.codes import lookup, outcome
from z4j_probes.http_response import Answer, may_be_http
from z4j_probes.result import ProbeResult, Step
from z4j_probes.rungs.hints import ask_brain, set_url
from z4j_probes.rungs.websocket.refusal import banner, classify, explain, headline
from z4j_probes.transport import HELD_MAX_BYTES


def refused(climb: Climb, answer: Answer, evidence: dict[str, Any]) -> ProbeResult:
    """The verdict where an HTTP answer came that is no upgrade."""
    code = classify(answer)
    message, steps = explain(code, answer, climb.endpoint, climb.settings, _look(climb))
    row = headline(code, answer, climb.endpoint)
    return outcome(code, message, hint=steps, details=evidence, headline=row)


def no_http(climb: Climb, waited: str) -> ProbeResult:
    """The verdict where no HTTP answer came: something else, an end, or nothing (`waited` says how long)."""
    holding, where = climb.protocol, climb.endpoint.host_and_port
    received = bytes(holding.received)
    encrypted = climb.endpoint._replace(secure=True).url  # at this port, http's own too
    details: dict[str, Any] = {"url": climb.endpoint.websocket_url, "received_bytes": len(received)}
    if received:
        text = received.decode("utf-8", "replace")
        details["received"] = climb.settings.redactor().excerpt(text, cut=True)
    if received and (not may_be_http(received) or len(received) > HELD_MAX_BYTES):
        code, what = banner(received)
        details["received_hex"] = received[:16].hex(" ")
        correct = set_url(climb.settings, encrypted) if code.endswith("tls_expected") else None
        row = f"{where} {what.partition(',')[0]}"
        return outcome(code, f"{where} {what}", hint=correct, details=details, headline=row)
    if isinstance(holding.error, ssl.SSLError) and _is_about_client_certificate(holding.error):
        details["alert"] = holding.error.reason
        message = f"{where} ended the connection with the TLS alert {holding.error.reason}"
        return outcome("websocket.client_certificate", message, details=details)
    partly = "in the middle of its answer" if received else "without an answer"
    if holding.eof or holding.lost:
        how = f"cut the connection ({holding.error})" if holding.error else "closed the connection"
        steps = lookup("websocket.closed").steps
        if not (received or climb.endpoint.secure):  # as many TLS servers do to plain HTTP
            text = "Set the brain's URL, if that port has TLS"
            steps = (*set_url(climb.settings, encrypted, text), *steps)
        row = f"connection closed by {where} during the upgrade"
        return outcome(
            "websocket.closed", f"{where} {how} {partly}", hint=steps, details=details, headline=row
        )
    seen = f"sent {len(received)} bytes of an answer" if received else "said nothing"
    path = climb.endpoint.path
    message = f"{where} accepted the connection, took the request for {path}, and {seen} {waited}".rstrip()
    steps = (Step("See whether the brain answers", _look(climb)), *lookup("websocket.timeout").steps)
    row = f"no answer to the upgrade from {where}"
    return outcome("websocket.timeout", message, hint=steps, details=details, headline=row)


def _look(climb: Climb) -> str:
    return ask_brain(climb.endpoint, climb.proxy, climb.settings.ca_file)


def _is_about_client_certificate(error: ssl.SSLError) -> bool:
    # With TLS 1.3 the server judges the client's certificate after the client's side of the handshake has
    # ended (RFC 8446 §4.4.2.4); any alert about a certificate that arrives this late is about ours.
    return "ALERT" in error.reason and "CERTIFICATE" in error.reason if error.reason else False
