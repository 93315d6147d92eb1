"""What each HTTP status says of an upgrade that was refused: its family, who sends it, and what helps there.

Load balancers, gateways, firewalls and portals have statuses of their own. Those that stand in no table are
of their class: RFC 9110 §15 has a client take an unknown status for the x00 of its hundred.
"""

from __future__ import annotations

from dataclasses import dataclass

from z4j_probes.result import Step


@dataclass(frozen=True, slots=True)
class Refusal:
    """A code of the catalogue; `sender` completes "… answered STATUS: …", `step` is for that sender."""

    code: str
    sender: str = ""
    step: Step | None = None


_FIREWALL = Step(
    "Allow /ws/agent, from this machine's address, in the firewall or gateway in front of the brain"
)
_HTTP_1 = Step("Set the protocol version of the load balancer's target group to HTTP1 for the brain")
# nginx's, Apache's and Tomcat's words for it, which come with 400.
_TOO_LONG_WORDS = (
    "header or cookie too large",
    "request header field exceeds",
    "request header is too large",
)
_HEADERS = Step(
    "Raise the limit for request headers on the proxy (nginx: large_client_header_buffers), or remove "
    "headers that another proxy adds"
)
_ORIGIN_TLS = Step("Fix the certificate or the TLS versions between Cloudflare and the brain's server")
_PORTAL = Step("Log in to the network's portal, or have the brain's host exempted from it")
_CERTIFICATE = Refusal("websocket.client_certificate")


def _cloudflare(why: str, step: Step | None = None) -> Refusal:
    return Refusal("websocket.bad_gateway", f"Cloudflare, {why}", step)


_TOO_LONG = Refusal("websocket.forbidden", "a server whose limit for headers the request exceeds", _HEADERS)
_KNOWN = {
    300: Refusal("websocket.redirect"),
    304: Refusal("websocket.plain_answer", "a cache, which takes the upgrade for a page"),
    400: Refusal("websocket.upgrade_stripped"),
    401: Refusal("websocket.unauthorized"),
    402: Refusal(
        "websocket.forbidden",
        "a hosting platform or gateway, for an account or quota that is used up",
        Step("Look at the account or quota of the platform that serves the brain"),
    ),
    403: Refusal("websocket.forbidden"),
    404: Refusal("websocket.not_found"),
    405: Refusal("websocket.not_found"),
    406: Refusal("websocket.forbidden", "as web application firewalls do (ModSecurity)", _FIREWALL),
    407: Refusal("websocket.unauthorized", "a proxy in between that wants credentials"),
    408: Refusal(
        "websocket.timeout", "a proxy or load balancer that timed out before the request was complete"
    ),
    410: Refusal("websocket.not_found"),
    412: Refusal("websocket.forbidden", "as web application firewalls and gateways do", _FIREWALL),
    418: Refusal("websocket.forbidden", "as web application firewalls do with bots", _FIREWALL),
    420: Refusal("websocket.rate_limited", "a gateway that limits the rate"),
    421: Refusal("websocket.host_rejected"),
    424: Refusal("websocket.bad_gateway", "a gateway whose own request failed"),
    425: Refusal(
        "websocket.bad_gateway",
        "a proxy that takes the request for a replay (TLS early data)",
        Step("Switch TLS early data (0-RTT) off on the proxy, for /ws/agent"),
    ),
    426: Refusal("websocket.upgrade_stripped"),
    429: Refusal("websocket.rate_limited"),
    431: _TOO_LONG,
    440: Refusal("websocket.unauthorized", "IIS, for a login that has expired"),
    444: Refusal("websocket.closed", "nginx, which is configured to close without an answer"),
    449: Refusal("websocket.forbidden", "IIS or a gateway that wants more in the request"),
    450: Refusal("websocket.forbidden", "Windows parental controls, or a filter like them", _FIREWALL),
    451: Refusal("websocket.forbidden", "a filter, for legal reasons", _FIREWALL),
    460: Refusal("websocket.bad_gateway", "an AWS load balancer, for a client that closed too early"),
    463: Refusal(
        "websocket.bad_gateway",
        "an AWS load balancer, for over 30 addresses in X-Forwarded-For: proxies in a loop",
        Step("Find the proxy that passes requests to itself, in front of the brain"),
    ),
    464: Refusal(
        "websocket.upgrade_stripped", "an AWS load balancer whose target group speaks HTTP/2 or gRPC", _HTTP_1
    ),
    494: Refusal("websocket.forbidden", "nginx, whose limit for headers the request exceeds", _HEADERS),
    495: _CERTIFICATE,
    496: _CERTIFICATE,
    497: Refusal("websocket.tls_expected", "nginx, for plain HTTP on a TLS port"),
    498: Refusal("websocket.unauthorized", "a gateway that takes the token for its own"),
    499: Refusal("websocket.bad_gateway", "a proxy that saw its client leave (nginx)"),
    501: Refusal("websocket.upgrade_stripped"),
    505: Refusal("websocket.upgrade_stripped"),
    509: Refusal("websocket.rate_limited", "a hosting platform whose bandwidth limit is reached"),
    511: Refusal("websocket.unauthorized", "a captive portal, which wants a login first (RFC 6585)", _PORTAL),
    520: _cloudflare("which got an answer from the origin that it could not read"),
    521: _cloudflare("whose origin refuses connections"),
    522: _cloudflare("whose connection to the origin timed out"),
    523: _cloudflare("which has no route to the origin"),
    524: _cloudflare("which timed out before the origin answered"),
    525: _cloudflare("whose TLS handshake with the origin failed", _ORIGIN_TLS),
    526: _cloudflare("which does not accept the origin's certificate", _ORIGIN_TLS),
    527: _cloudflare("whose tunnel to the origin failed"),
    529: Refusal("websocket.rate_limited", "a platform that is overloaded"),
    530: _cloudflare("which can't resolve or reach the origin"),
    561: Refusal("websocket.unauthorized", "an AWS load balancer whose login service failed"),
    598: Refusal("websocket.bad_gateway", "a proxy whose read timed out"),
    599: Refusal("websocket.bad_gateway", "a proxy whose connection timed out"),
}
_BY_CLASS = {
    2: Refusal("websocket.plain_answer"),
    3: Refusal("websocket.redirect"),
    4: Refusal("websocket.forbidden", "a gateway or firewall that refuses the upgrade", _FIREWALL),
    5: Refusal("websocket.bad_gateway"),
}
_NO_STATUS = Refusal("websocket.not_http", "which is not a status of HTTP")
# Envoy answers 403, without a body, to an upgrade that its route does not have enabled.
_ENVOY_WITHOUT_UPGRADES = Refusal(
    "websocket.forbidden",
    "as Envoy does where a route has no upgrades enabled",
    Step(
        "Enable WebSocket on the route of /ws/agent (Envoy: upgrade_configs; Contour: enableWebsockets; "
        "Istio, Gateway API: an HTTP route)"
    ),
)


def refusal_of(status: int, server: str = "", body: str = "") -> Refusal:
    """What this status says, with the `Server` header and the page as further evidence."""
    if status == 403 and "envoy" in server.lower() and not body.strip():
        return _ENVOY_WITHOUT_UPGRADES
    if status == 400 and any(words in body.lower() for words in _TOO_LONG_WORDS):
        return _TOO_LONG
    return _KNOWN.get(status) or _BY_CLASS.get(status // 100, _NO_STATUS)
