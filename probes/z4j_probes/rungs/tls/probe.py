"""Does the certificate verify, for this name, with the trust store the runtime uses?

Evidence: the handshake itself, and after a failure what the server presents to one that verifies nothing (see
`verify.py`).

Codes: ok, not_used, expired, not_yet_valid, clock_suspect, hostname_mismatch, self_signed, unknown_ca,
incomplete_chain, empty_trust_store, wrong_purpose, weak, not_strict, expiring_soon, protocol_version,
not_tls, client_certificate, closed, timeout.

Leaves the encrypted transport in place of the plain one.
"""

from __future__ import annotations

from z4j_probes.climb import Climb
from z4j_probes.codes import outcome
from z4j_probes.probe import Probe
from z4j_probes.result import ProbeResult
from z4j_probes.rungs.naming_origin import naming_origin


async def run(climb: Climb) -> ProbeResult:
    """Shake hands on the climb's transport; replace it, or say why that can't be."""
    if not climb.endpoint.secure:
        return outcome("tls.not_used", f"{climb.endpoint.websocket_url} is plain, without TLS", hint="")
    from z4j_probes.rungs.tls import verify

    return await verify.shake_hands(climb)


async def look_closer(climb: Climb, result: ProbeResult) -> ProbeResult:
    """Hold the certificates against the rules of Python 3.13, where this one is older."""
    from z4j_probes.rungs.tls import verify

    return await verify.look_closer(climb, result)


PROBE = Probe(
    name="tls",
    question="Is the certificate valid for this name, and trusted by the agent?",
    needs=("tcp",),
    run=naming_origin(run),
    timeout_code="tls.timeout",
    look_closer=look_closer,
    waits_for=lambda climb: f"TLS handshake with {climb.endpoint.authority}",
)
