"""Why the upgrade to WebSocket failed: HTTP answers, an invalid 101, and stray first bytes, classified."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from websockets.exceptions import InvalidHeader, InvalidHeaderValue, InvalidUpgrade, NegotiationError

from z4j_probes.endpoint import AGENT_PATH, Endpoint, parse_endpoint
from z4j_probes.http_response import Answer
from z4j_probes.result import Step
from z4j_probes.rungs.hints import set_url
from z4j_probes.rungs.websocket.statuses import Refusal, refusal_of
from z4j_probes.settings import Settings

# What servers say to plain HTTP on a TLS port: nginx, Apache, Go, HAProxy.
_TLS_WANTED = ("sent to https port", "plain http to an ssl", "to an https server", "https required")
# Starlette, Django, Go's and Envoy's words for a Host that they do not serve.
_HOST_REFUSED = ("invalid host", "disallowedhost", "disallowed host", "invalid http_host", "host header")
# nginx lets the handshake stand and says so in HTTP (400, or 495 and 496 where those are not hidden).
_CERTIFICATE_WANTED = ("no required ssl certificate", "ssl certificate error", "client certificate required")
_LOGIN_WORDS = ("login", "signin", "sign-in", "sso", "oauth", "saml", "openid", "authorize", "cdn-cgi/access")

_BANNERS = (
    (b"SSH-", "is an SSH server"),
    (b"220", "greets like a mail or FTP server (220)"),
    (b"+OK", "greets like a POP3 server"),
    (b"* OK", "greets like an IMAP server"),
    (b"-ERR", "answers like Redis"),
    (b"AMQP", "is an AMQP broker"),
    (b"RFB ", "is a VNC server"),
    (b"<?xml", "answers with bare XML"),
    (b"<", "answers with a bare page, without an HTTP head"),
)
_HTTP2_SETTINGS = 4
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")  # alert, handshake (RFC 8446 §5.1)

_ACCEPT = "sec-websocket-accept"
_FORWARDED_PROTO = Step("If a proxy in front of it ends TLS, have that send X-Forwarded-Proto: https")
_UNASKED = {"sec-websocket-extensions": "extension", "sec-websocket-protocol": "subprotocol"}


def classify(answer: Answer) -> str:
    """The code for an HTTP answer that is not a proper 101."""
    if answer.status == 101:  # by way of another HTTP version than 1.1, which has no upgrade (RFC 6455 §4.1)
        return "websocket.upgrade_stripped"
    text = answer.text.lower()
    if answer.status in (400, 403, 495, 496) and any(words in text for words in _CERTIFICATE_WANTED):
        return "websocket.client_certificate"
    if _was_asked_for_a_page(answer):
        return "websocket.upgrade_stripped"
    if answer.status in (400, 403, 404):
        if any(words in text for words in _TLS_WANTED):
            return "websocket.tls_expected"
        if answer.status == 400 and any(words in text for words in _HOST_REFUSED):
            return "websocket.host_rejected"
    if answer.status == 426 and "tls" in answer.headers.get("upgrade", "").lower():  # RFC 2817 §4.2
        return "websocket.tls_expected"
    return _refusal(answer).code


def _was_asked_for_a_page(answer: Answer) -> bool:
    """Whether this is how a brain denies that it has such a page (a WebSocket path that it lacks: 403)."""
    return answer.status == 404 and "".join(answer.text.split()) == '{"detail":"NotFound"}'


def banner(received: bytes) -> tuple[str, str]:
    """The code for first bytes that are not HTTP, and what kind of server says them."""
    if received.startswith(_TLS_RECORDS):
        return "websocket.tls_expected", "speaks TLS, and the URL is plain http"
    if len(received) >= 9 and received[3] == _HTTP2_SETTINGS and received[5:9] == b"\0\0\0\0":
        return "websocket.not_http", "speaks only HTTP/2, and an upgrade needs HTTP/1.1"
    for start, what in _BANNERS:
        if received.startswith(start):
            return "websocket.not_http", what
    return "websocket.not_http", "answers in a protocol that is not HTTP"


def explain(
    code: str, answer: Answer, endpoint: Endpoint, settings: Settings, look: str
) -> tuple[str, tuple[Step, ...] | None]:
    """The message for a refusal, and steps where some fit better than the catalogue's.

    `look` is the command that shows which server answers. `settings` say where the URL comes from.
    """
    said = f"{answer.status} {answer.reason}".strip()
    message = f"{answer.answered_by} answered {said} to the upgrade of {endpoint.websocket_url}"
    if answer.version != "1.1":
        message += f", in HTTP/{answer.version}"
    return message + _what_it_means(code, answer, endpoint), _steps(code, answer, endpoint, settings, look)


def headline(code: str, answer: Answer, endpoint: Endpoint) -> str:
    """What the row says of a refusal: which server, its status, and where it leads; empty for the title."""
    who = answer.headers.get("server", "").partition(" ")[0] or "the server"
    match code:
        case "websocket.redirect":
            return f"redirected to {answer.location or 'nowhere'} ({answer.status})"
        case "websocket.not_found":
            return f"no WebSocket endpoint at {endpoint.path} ({answer.status})"
        case "websocket.host_rejected":
            return f"{who} rejects the host {endpoint.authority} ({answer.status})"
        case "websocket.bad_gateway":
            return f"the brain behind {who} is unavailable ({answer.status})"
        case "websocket.forbidden":
            return f"upgrade forbidden by {who} ({answer.status})"
        case "websocket.unauthorized":
            return f"{who} requires other credentials ({answer.status})"
        case "websocket.rate_limited":
            return f"too many requests for {who} ({answer.status})"
        case "websocket.plain_answer" | "websocket.timeout" | "websocket.closed" | "websocket.not_http":
            return f"{who} answered {answer.status} to the upgrade"
    return ""


def _refusal(answer: Answer) -> Refusal:
    return refusal_of(answer.status, answer.headers.get("server", ""), answer.text)


def _what_it_means(code: str, answer: Answer, endpoint: Endpoint) -> str:
    match code:
        case "websocket.upgrade_stripped" if _was_asked_for_a_page(answer):
            return ": that is how a brain denies an ordinary page, so it never saw the Upgrade header"
        case "websocket.client_certificate":
            return ": it wants a client certificate"
        case "websocket.redirect":
            return f", and leads to {answer.location or 'nowhere'}"
        case "websocket.host_rejected":
            return f": it does not serve the host {endpoint.authority}"
    refusal = _refusal(answer)
    return f": {refusal.sender}" if refusal.sender and refusal.code == code else ""


def _steps(
    code: str, answer: Answer, endpoint: Endpoint, settings: Settings, look: str
) -> tuple[Step, ...] | None:
    ask, refusal = Step("See which server answers", look), _refusal(answer)
    if refusal.step is not None and refusal.code == code:
        return refusal.step, ask
    match code:
        case "websocket.redirect":
            return _after_redirect(answer.location, endpoint, settings)
        case "websocket.tls_expected":
            return set_url(settings, endpoint._replace(secure=True).url)  # this port speaks TLS
        case "websocket.bad_gateway":
            return (ask,)
        case "websocket.not_found":
            address = "Set Z4J_BRAIN_URL to the address of the dashboard"
            return ask, Step(f"{address}, and route /ws/agent below it")
        case "websocket.forbidden" if not {"server", "via"} & answer.headers.keys():
            # Proxies name themselves, as a rule; a brain does not, and says 403 at WebSocket paths it lacks.
            first = f"Check {endpoint.url} in Z4J_BRAIN_URL, then firewalls"
            return (Step(f"{first}: a brain answers 403 for a path that it lacks"),)
        case "websocket.rate_limited" if "retry-after" in answer.headers:
            wait_s = answer.headers["retry-after"]
            return (Step(f"Wait (Retry-After: {wait_s}), and find what connects so often"),)
    return None


def _after_redirect(location: str | None, endpoint: Endpoint, settings: Settings) -> tuple[Step, ...] | None:
    if location is None:
        return (Step("Correct the server's redirect of /ws/agent: it names no target"),)
    try:
        parts = urlsplit(urljoin(f"{endpoint.url}{AGENT_PATH}", location))  # most servers name a path only
        port = parts.port
    except ValueError:
        return None
    if any(word in location.lower() for word in _LOGIN_WORDS):
        return (Step(f"Exempt {endpoint.path} from the login in front of the brain: that is its login page"),)
    if parts.scheme not in ("http", "https", "ws", "wss") or parts.hostname is None:
        return None
    if not parts.path.rstrip("/").endswith(AGENT_PATH):
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    target = parse_endpoint(
        parts._replace(netloc=host if port is None else f"{host}:{port}", query="").geturl()
    )
    if target == endpoint:
        return (
            Step("Stop the server's redirect of /ws/agent: it leads to the URL that is set already"),
            _FORWARDED_PROTO,
        )
    if not (target.secure or target.is_loopback) and endpoint.secure:
        return (
            Step(
                "Correct the server's redirect: it leads from https:// to http://, where the token would be "
                "unencrypted"
            ),
            _FORWARDED_PROTO,
        )
    if not (target.secure or target.is_loopback):
        return (Step("Use the brain's https:// URL: the redirect leads to one that is unencrypted as well"),)
    return set_url(settings, target.url)


def explain_bad_upgrade(wrong: Exception, answer: Answer) -> tuple[str, str]:
    """The code of a 101 that can't be accepted, and what completes "… answered 101 …".

    `wrong` is what the WebSocket library objects to.
    """
    if isinstance(wrong, InvalidUpgrade):
        seen = f"with {wrong.name}: {wrong.value}" if wrong.value else f"without the {wrong.name} header"
        return "websocket.upgrade_stripped", seen
    return "websocket.bad_accept", _objection(wrong, answer)


def _objection(wrong: Exception, answer: Answer) -> str:
    if isinstance(wrong, NegotiationError):
        name = next((name for name in _UNASKED if name in answer.headers), None)
        if name is not None:
            return f"with the {_UNASKED[name]} {answer.headers[name]}, which was not asked for"
    if isinstance(wrong, InvalidHeader) and wrong.name.lower() == _ACCEPT:
        if isinstance(wrong, InvalidHeaderValue):
            return "with a Sec-WebSocket-Accept that is not for our key"
        return f"with {'more than one' if wrong.value else 'no'} Sec-WebSocket-Accept"
    # whatever was raised first says it best: "line without CRLF", not "closed while reading"
    root: BaseException = wrong
    while root.__cause__ is not None:
        root = root.__cause__
    return f"in a head that is not valid HTTP/1.1: {root or type(root).__name__}"
