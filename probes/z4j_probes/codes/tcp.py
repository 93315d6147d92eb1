"""The codes of the `tcp` probe."""

from z4j_probes.codes._code import Code
from z4j_probes.result import Status

CODES = (
    Code("tcp.ok", "everything is in order", status=Status.PASS),
    Code("tcp.refused", "refused"),
    Code("tcp.timeout", "timeout"),
    Code("tcp.unreachable", "unreachable"),
    Code("tcp.reset", "reset"),
    Code("tcp.blocked", "blocked"),
    Code("tcp.partial", "partial", status=Status.WARN),
    Code("tcp.no_descriptors", "no descriptors"),
    Code("tcp.proxy_unreachable", "proxy unreachable"),
    Code("tcp.proxy_refused", "proxy refused"),
    Code("tcp.proxy_auth", "proxy auth"),
)
