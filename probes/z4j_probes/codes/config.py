"""The codes of the `config` probe."""

from z4j_probes.codes._code import Code
from z4j_probes.result import Status

CODES = (
    Code("config.ok", "everything is in order", status=Status.PASS),
    Code("config.missing", "missing"),
    Code("config.invalid_url", "invalid url"),
    Code("config.unsupported_scheme", "unsupported scheme"),
    Code("config.insecure_url", "insecure url"),
    Code("config.token_malformed", "token malformed"),
    Code("config.secret_malformed", "secret malformed"),
    Code("config.secret_unreadable", "secret unreadable"),
    Code("config.unknown_variable", "unknown variable", status=Status.WARN),
    Code("config.ca_unreadable", "ca unreadable"),
    Code("config.invalid_value", "invalid value"),
)
