"""The codes of the `auth` probe."""

from z4j_probes.codes._code import Code
from z4j_probes.result import Status

CODES = (
    Code("auth.ok", "everything is in order", status=Status.PASS),
    Code("auth.token_rejected", "token rejected"),
    Code("auth.address_refused", "address refused"),
    Code("auth.project_mismatch", "project mismatch"),
    Code("auth.protocol_unsupported", "protocol unsupported"),
    Code("auth.version_skew", "version skew"),
    Code("auth.rate_limited", "rate limited"),
    Code("auth.hello_rejected", "hello rejected"),
    Code("auth.revoked", "revoked"),
    Code("auth.no_reply", "no reply"),
    Code("auth.bad_reply", "bad reply"),
    Code("auth.closed", "closed"),
)
