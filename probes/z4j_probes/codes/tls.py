"""The codes of the `tls` probe."""

from z4j_probes.codes._code import Code
from z4j_probes.result import Status

CODES = (
    Code("tls.ok", "everything is in order", status=Status.PASS),
    Code("tls.not_used", "not used", status=Status.SKIP),
    Code("tls.expired", "expired"),
    Code("tls.not_yet_valid", "not yet valid"),
    Code("tls.hostname_mismatch", "hostname mismatch"),
    Code("tls.self_signed", "self signed"),
    Code("tls.unknown_ca", "unknown ca"),
    Code("tls.incomplete_chain", "incomplete chain"),
    Code("tls.protocol_version", "protocol version"),
    Code("tls.not_tls", "not tls"),
    Code("tls.client_certificate", "client certificate"),
    Code("tls.weak", "weak"),
    Code("tls.closed", "closed"),
    Code("tls.timeout", "timeout"),
    Code("tls.empty_trust_store", "empty trust store"),
    Code("tls.wrong_purpose", "wrong purpose"),
    Code("tls.expiring_soon", "expiring soon", status=Status.WARN),
    Code("tls.not_strict", "not strict", status=Status.WARN),
    Code("tls.clock_suspect", "clock suspect"),
)
