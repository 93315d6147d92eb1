"""The codes of the `dns` probe."""

from z4j_probes.codes._code import Code
from z4j_probes.result import Status

CODES = (
    Code("dns.ok", "everything is in order", status=Status.PASS),
    Code("dns.literal", "literal", status=Status.PASS),
    Code("dns.nxdomain", "nxdomain"),
    Code("dns.no_address", "no address"),
    Code("dns.timeout", "timeout"),
    Code("dns.servfail", "servfail"),
    Code("dns.refused", "refused"),
    Code("dns.no_resolver", "no resolver"),
    Code("dns.invalid_name", "invalid name"),
    Code("dns.local_only", "local only", status=Status.WARN),
    Code("dns.sinkhole", "sinkhole"),
    Code("dns.system_failure", "system failure"),
)
