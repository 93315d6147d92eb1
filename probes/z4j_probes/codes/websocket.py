"""The codes of the `websocket` probe."""

from z4j_probes.codes._code import Code
from z4j_probes.result import Status

CODES = (
    Code("websocket.ok", "everything is in order", status=Status.PASS),
    Code("websocket.not_found", "not found"),
    Code("websocket.upgrade_stripped", "upgrade stripped"),
    Code("websocket.redirect", "redirect"),
    Code("websocket.bad_gateway", "bad gateway"),
    Code("websocket.forbidden", "forbidden"),
    Code("websocket.unauthorized", "unauthorized"),
    Code("websocket.host_rejected", "host rejected"),
    Code("websocket.rate_limited", "rate limited"),
    Code("websocket.not_http", "not http"),
    Code("websocket.timeout", "timeout"),
    Code("websocket.closed", "closed"),
    Code("websocket.bad_accept", "bad accept"),
)
