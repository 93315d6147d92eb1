"""Which code a failed TLS handshake has: tables and pure functions, for `failure`.

First what the exception itself says (verify code, OpenSSL's reason, alert, errno; never its text). Several
causes share one of these, so a second step decides by the evidence: the chain that the server presents, what
the trust store was made of, the server's clock.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from z4j_probes.endpoint import Endpoint
from z4j_probes.http_response import parse_answer
from z4j_probes.proxy import Proxy
from z4j_probes.rungs.tls.certificates import Certificate, issuing_path
from z4j_probes.rungs.tls.handshake import Presented
from z4j_probes.settings import Settings
from z4j_probes.trust import TrustStore

# X509_V_ERR_… of OpenSSL's x509_vfy.h
VERIFY_CODES = {
    2: "tls.unknown_ca",  # UNABLE_TO_GET_ISSUER_CERT
    7: "tls.unknown_ca",  # CERT_SIGNATURE_FAILURE: a CA of that name, with another key
    9: "tls.not_yet_valid",
    10: "tls.expired",
    18: "tls.self_signed",  # DEPTH_ZERO_SELF_SIGNED_CERT
    19: "tls.unknown_ca",  # SELF_SIGNED_CERT_IN_CHAIN
    20: "tls.unknown_ca",  # UNABLE_TO_GET_ISSUER_CERT_LOCALLY
    21: "tls.unknown_ca",  # UNABLE_TO_VERIFY_LEAF_SIGNATURE
    22: "tls.wrong_purpose",  # CERT_CHAIN_TOO_LONG
    25: "tls.wrong_purpose",  # PATH_LENGTH_EXCEEDED
    26: "tls.wrong_purpose",  # INVALID_PURPOSE
    27: "tls.unknown_ca",  # CERT_UNTRUSTED
    28: "tls.wrong_purpose",  # CERT_REJECTED
    32: "tls.wrong_purpose",  # KEYUSAGE_NO_CERTSIGN
    34: "tls.wrong_purpose",  # UNHANDLED_CRITICAL_EXTENSION
    37: "tls.wrong_purpose",  # INVALID_NON_CA
    39: "tls.wrong_purpose",  # KEYUSAGE_NO_DIGITAL_SIGNATURE
    **dict.fromkeys((41, 42, 43), "tls.wrong_purpose"),  # INVALID_EXTENSION and those about policies
    47: "tls.wrong_purpose",  # PERMITTED_VIOLATION: name constraints of a CA
    48: "tls.wrong_purpose",  # EXCLUDED_VIOLATION
    **dict.fromkeys(range(49, 54), "tls.wrong_purpose"),  # name constraints that can't be read
    62: "tls.hostname_mismatch",
    64: "tls.hostname_mismatch",  # IP_ADDRESS_MISMATCH
    66: "tls.weak",  # EE_KEY_TOO_SMALL
    67: "tls.weak",  # CA_KEY_TOO_SMALL
    68: "tls.weak",  # CA_MD_TOO_WEAK
    79: "tls.wrong_purpose",  # INVALID_CA
    # Only X509_V_FLAG_X509_STRICT finds these, from PATHLEN_INVALID_FOR_NON_CA to EC_KEY_EXPLICIT_PARAMS:
    # 85 no authority key identifier, 86 no subject key identifier, 89 basicConstraints not critical,
    # 92 a CA without keyUsage
    **dict.fromkeys(range(80, 95), "tls.not_strict"),
}
REASONS = {
    "WRONG_VERSION_NUMBER": "tls.not_tls",
    "HTTP_REQUEST": "tls.not_tls",
    "HTTPS_PROXY_REQUEST": "tls.not_tls",
    "PACKET_LENGTH_TOO_LONG": "tls.not_tls",
    "RECORD_LAYER_FAILURE": "tls.not_tls",
    "UNSUPPORTED_PROTOCOL": "tls.protocol_version",
    "WRONG_SSL_VERSION": "tls.protocol_version",
    "NO_PROTOCOLS_AVAILABLE": "tls.protocol_version",
    "DH_KEY_TOO_SMALL": "tls.weak",
    "EE_KEY_TOO_SMALL": "tls.weak",
    "CA_KEY_TOO_SMALL": "tls.weak",
    "CA_MD_TOO_WEAK": "tls.weak",
    "WRONG_SIGNATURE_TYPE": "tls.weak",
    "LEGACY_SIGALG_DISALLOWED_OR_UNSUPPORTED": "tls.weak",
    "UNSAFE_LEGACY_RENEGOTIATION_DISABLED": "tls.weak",
    "UNEXPECTED_EOF_WHILE_READING": "tls.closed",
}
ALERT_CODES = {
    40: "tls.protocol_version",  # handshake_failure: nothing in common; the evidence may say more
    42: "tls.client_certificate",
    43: "tls.client_certificate",
    44: "tls.client_certificate",
    45: "tls.client_certificate",
    46: "tls.client_certificate",
    48: "tls.client_certificate",
    70: "tls.protocol_version",
    71: "tls.weak",
    86: "tls.protocol_version",
    112: "tls.hostname_mismatch",
    116: "tls.client_certificate",
    120: "tls.protocol_version",  # no_application_protocol: HTTP/2 only
}
# The verify codes that mean no more than "the path did not end in the store".
_NO_PATH = {2, 7, 20, 21, 27}
# A `Date` header has whole seconds, and the answer took a moment: less than this is no wrong clock.
CLOCK_TOLERANCE = timedelta(seconds=60)
# And the two clocks are read one after the other: 200 days are not to be 199.
CLOCK_READING = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known after a failure. `chain` and `roots` are read from what was presented and trusted."""

    endpoint: Endpoint
    error: BaseException
    store: TrustStore
    now: datetime
    alert: int | None = None
    certificate_requested: bool = False
    presented: Presented = field(default_factory=Presented)
    chain: tuple[Certificate, ...] = ()
    roots: tuple[Certificate, ...] = ()
    proxy: Proxy | None = None
    waited: str = ""
    """How long the server was waited for, where it did not answer: "within 5 s"."""
    settings: Settings = field(default_factory=Settings)
    wants_proxy_header: bool = False
    """Whether the server shakes hands behind a header of the PROXY protocol, and closes without one."""

    @property
    def where(self) -> str:
        """Host and port, for a message."""
        return self.endpoint.host_and_port

    @property
    def verify_code(self) -> int | None:
        """OpenSSL's X509_V_ERR_… where verification failed."""
        return self.error.verify_code if isinstance(self.error, ssl.SSLCertVerificationError) else None

    @property
    def path(self) -> tuple[Certificate, ...]:
        """From the leaf as far up as the presented certificates lead."""
        return issuing_path(self.chain)

    @property
    def server_time(self) -> datetime | None:
        """The server's clock, where it answered with a `Date`."""
        answer = parse_answer(self.presented.answer)
        return answer.date if answer else None


def classify(error: BaseException, *, alert: int | None = None, certificate_requested: bool = False) -> str:
    """The code as far as the failure itself tells it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return VERIFY_CODES.get(error.verify_code, "tls.unexpected")
    if isinstance(error, TimeoutError):
        return "tls.timeout"
    if certificate_requested and (alert is not None or isinstance(error, ConnectionError | EOFError)):
        return "tls.client_certificate"  # asked for, not had, and that was the end
    if alert is not None:
        return ALERT_CODES.get(alert, "tls.closed")
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "tls.closed"
    if isinstance(error, ssl.SSLError):
        return REASONS.get(error.reason or "", "tls.unexpected")
    if isinstance(error, OSError | EOFError):
        return "tls.closed"
    return "tls.unexpected"


def refine(code: str, evidence: Evidence) -> str:
    """The code that the evidence makes of it."""
    if code in ("tls.expired", "tls.not_yet_valid"):
        return "tls.clock_suspect" if clock_explains(evidence) else code
    if code == "tls.unknown_ca":
        return _why_unknown(evidence)
    presented = evidence.presented
    if presented.said and not looks_like_tls(presented.said):
        return "tls.not_tls"
    if evidence.alert == 40:
        if presented.certificate_requested:
            return "tls.client_certificate"
        if presented.version and not presented.is_old:
            return "tls.weak"  # a modern version, and only ciphers or keys that are not accepted here
    return code


def clock_explains(evidence: Evidence) -> bool:
    """Whether the chain is valid by the server's clock, and that clock is not ours."""
    there = evidence.server_time
    if there is None or not evidence.chain or abs(there - evidence.now) <= CLOCK_TOLERANCE:
        return False
    outside = [c for c in evidence.chain if not c.is_valid_at(evidence.now)]
    return bool(outside) and all(c.is_valid_at(there) for c in evidence.path)


def culprit(evidence: Evidence) -> Certificate | None:
    """The certificate whose dates failed: the lowest of the path, or else the root in the store."""
    candidates = (*evidence.path, *issuing_roots(evidence))
    return next((c for c in candidates if not c.is_valid_at(evidence.now)), None)


def issuing_roots(evidence: Evidence) -> tuple[Certificate, ...]:
    """The roots in the store from which the path hangs, where it does not bring its root along."""
    path = evidence.path
    if not path or path[-1].self_issued:
        return ()
    return tuple(root for root in evidence.roots if root.issued(path[-1]))


def looks_like_tls(said: bytes) -> bool:
    """Whether these bytes begin like a TLS record: a content type of 20 to 23, and major version 3."""
    return said[0] in range(20, 24) and said[1:2] in (b"", b"\x03")


def _why_unknown(evidence: Evidence) -> str:
    if evidence.store.is_empty or evidence.store.disappointing:
        return "tls.empty_trust_store"
    if evidence.verify_code in _NO_PATH and _lacks_intermediate(evidence.path, evidence.roots):
        return "tls.incomplete_chain"
    return "tls.unknown_ca"


def _lacks_intermediate(path: Sequence[Certificate], roots: Sequence[Certificate]) -> bool:
    """Whether only the leaf came, though it bears signs that its issuer is an intermediate.

    Signs: a public CA issued it (roots of public CAs issue no leaves), it says where its issuer's certificate
    can be had, or an organization issued it whose root is trusted. Where a trusted root has the very
    name of the issuer, nothing is missing: it has another key.
    """
    if len(path) != 1:
        return False
    leaf = path[0]
    if any(root.subject == leaf.issuer for root in roots):
        return False
    known = {root.organization for root in roots} - {None}
    return leaf.publicly_issued or bool(leaf.issuer_urls) or leaf.issuer_organization in known
