"""Whoever else listens where a brain is meant: portals, gateways, other protocols, and silence."""

from __future__ import annotations

from tests.faults.scenario import Case, scenario
from tests.faults.scenarios.tls_handshake import s_server
from tests.faults.stage import BRAIN_HOST, BRAIN_IP, BRAIN_IP6, Stage
from tests.support.certificates import issue, server_context
from tests.support.http_peers import Behaviour, answering, greeting, hanging_up, http, silent


async def against(stage: Stage, behaviour: Behaviour, *, tls: bool = False) -> Case:
    """A peer that behaves like this, dialled as a brain."""
    brain = await stage.brain()
    context = server_context(issue(stage.root, "localhost")) if tls else None
    peer = await stage.peer(behaviour, tls=context)
    url = f"https://localhost:{peer.port}" if tls else peer.url
    return Case(stage.settings(brain, url, Z4J_CA_FILE=stage.ca_file if tls else ""))


@scenario("websocket.upgrade_stripped", "a proxy that answers in HTTP/1.0", "HTTP/1.0")
async def a_proxy_speaks_http_1_0(stage: Stage) -> Case:
    """a peer that answers the upgrade with 101 in HTTP/1.0"""
    return await against(stage, answering(b"HTTP/1.0 101 Switching Protocols\r\n\r\n"))


@scenario("websocket.upgrade_stripped", "a 101 without the Upgrade header", "101 without the Upgrade header")
async def a_middlebox_drops_the_answers_header(stage: Stage) -> Case:
    """a peer that answers 101 with Connection: Upgrade, and without the Upgrade header itself"""
    return await against(stage, answering(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n"))


@scenario("websocket.plain_answer", "a captive portal", "200 OK")
async def a_captive_portal_answers(stage: Stage) -> Case:
    """a peer that answers everything with the hotel's page"""
    page = b"<html><head><title>Hotel WiFi</title></head><body>Please accept our terms</body></html>"
    return await against(
        stage, answering(http("200 OK", page, Content_Type="text/html", Server="portal/1.0"))
    )


@scenario(
    "websocket.host_rejected", "a server that does not allow the host (400)", "400", "does not serve the host"
)
async def the_host_is_not_allowed(stage: Stage) -> Case:
    """Starlette's TrustedHostMiddleware, in its own words: 400 Invalid host header"""
    return await against(stage, answering(http("400 Bad Request", b"Invalid host header", Server="uvicorn")))


@scenario(
    "websocket.rate_limited",
    "a gateway that limits the rate, with Retry-After",
    "429",
    hint=("Retry-After: 120",),
)
async def a_gateway_says_when_to_come_back(stage: Stage) -> Case:
    """a gateway that answers 429 with Retry-After"""
    return await against(stage, answering(http("429 Too Many Requests", Retry_After="120")))


@scenario(
    "websocket.tls_expected",
    "http:// for a TLS port that answers with a TLS alert",
    "speaks TLS",
    hint=("https://",),
)
async def the_brain_speaks_tls(stage: Stage) -> Case:
    """http:// in the URL, and a server that answers with a TLS alert, as Go's and Java's do"""
    return await against(stage, answering(b"\x15\x03\x01\x00\x02\x02\x46"))


@scenario("websocket.not_http", "http:// for the port of a mail server", "mail or FTP server")
async def the_port_is_a_mail_servers(stage: Stage) -> Case:
    """a peer that greets like Postfix"""
    return await against(stage, greeting(b"220 mail.example ESMTP Postfix\r\n"))


@scenario("websocket.timeout", "an upgrade that is not answered", "said nothing", "/ws/agent", timeout_s=1.0)
async def the_upgrade_is_not_answered(stage: Stage) -> Case:
    """a peer that takes the request and says nothing"""
    return await against(stage, silent())


@scenario(
    "websocket.closed", "the server closes instead of answering", "closed the connection without an answer"
)
async def the_server_hangs_up(stage: Stage) -> Case:
    """a peer that reads the request and closes"""
    return await against(stage, hanging_up())


@scenario(
    "websocket.closed",
    "http:// for a TLS port that closes without a word",
    "closed the connection without an answer",
    hint=("if that port has TLS", "https://localhost"),
)
async def a_tls_server_hangs_up(stage: Stage) -> Case:
    """http:// in the URL, and openssl s_server, which closes without a word"""
    case = await s_server(stage)
    return Case({**case.environ, "Z4J_BRAIN_URL": case.environ["Z4J_BRAIN_URL"].replace("https", "http")})


@scenario(
    "websocket.bad_accept",
    "a cache that replays another client's 101",
    "Sec-WebSocket-Accept that is not for our key",
)
async def a_cache_answers_the_upgrade(stage: Stage) -> Case:
    """a middlebox that replays another client's 101"""
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    head += b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzhZRbK+xOo=\r\n\r\n"
    return await against(stage, answering(head, keep_open=True))


SENDERS = (
    ("464", "awselb/2.0", "websocket.upgrade_stripped", "an AWS load balancer whose target group", "HTTP1"),
    ("463", "awselb/2.0", "websocket.bad_gateway", "X-Forwarded-For", "Find the proxy"),
    ("402 Payment Required", "platform", "websocket.forbidden", "account or quota", "account or quota"),
    ("406 Not Acceptable", "Apache", "websocket.forbidden", "web application firewalls", "firewall"),
    ("418 I'm a teapot", "waf", "websocket.forbidden", "web application firewalls", "firewall"),
    ("494", "nginx", "websocket.forbidden", "limit for headers", "large_client_header_buffers"),
    ("511 Network Authentication Required", "portal", "websocket.unauthorized", "a captive portal", "Log in"),
    ("526", "cloudflare", "websocket.bad_gateway", "Cloudflare", "certificate"),
)


def _from_the_middle(status: str, server: str, code: str, word: str, hint: str) -> None:
    number = status.partition(" ")[0]

    async def make(stage: Stage) -> Case:
        return await against(stage, answering(http(status, Server=server)))

    make.__name__ = f"the_middle_answers_{number}"
    make.__doc__ = f"a peer that answers {status}, and names itself {server}"
    scenario(code, f"an answer from the middle: {number} from {server}", number, word, hint=(hint,))(make)


for _sender in SENDERS:
    _from_the_middle(*_sender)


@scenario(
    "websocket.forbidden",
    "Envoy without upgrades on the route",
    "403",
    "as Envoy does where a route has no upgrades enabled",
    hint=("upgrade_configs", "enableWebsockets"),
)
async def envoy_has_no_upgrades_enabled(stage: Stage) -> Case:
    """a peer that answers 403 without a body and names itself envoy"""
    return await against(stage, answering(http("403 Forbidden", Server="envoy")))


@scenario(
    "websocket.slow",
    "the upgrade is answered over IPv4 only",
    "but only over IPv4",
    hint=("Fix IPv6", "AAAA record"),
)
async def the_upgrade_is_answered_over_one_family_only(stage: Stage) -> Case:
    """at the IPv6 address, a server with the brain's certificate takes the request and says nothing"""
    lab, environ = await stage.lab_with_brain(BRAIN_IP)
    await lab.shell(f"ip addr add {BRAIN_IP6}/64 dev eth0 nodad")
    mute = await stage.peer(silent(), tls=server_context(issue(stage.root, BRAIN_HOST)))
    await lab.forward(BRAIN_IP6, 443, mute.port)
    await lab.file("/etc/hosts", f"{BRAIN_IP6} {BRAIN_HOST}\n{BRAIN_IP} {BRAIN_HOST}\n")
    return Case(environ, prefix=lab.prefix)
