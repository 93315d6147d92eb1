"""The codes of the `signing` probe."""

from z4j_probes.codes._code import Code
from z4j_probes.result import Status

CODES = (
    Code("signing.ok", "everything is in order", status=Status.PASS),
    Code("signing.secret_missing", "secret missing"),
    Code("signing.secret_wrong", "secret wrong"),
    Code("signing.clock_skew", "clock skew"),
    Code("signing.no_reply", "no reply"),
    Code("signing.brain_signature_invalid", "brain signature invalid"),
    Code("signing.not_enforced", "not enforced", status=Status.WARN),
    Code("signing.closed", "closed"),
)
