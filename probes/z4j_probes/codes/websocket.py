"""The codes of the `websocket` probe."""

from z4j_probes.codes._code import Code, Heals
from z4j_probes.result import Status, Step

_PASS_UPGRADE = (
    "the proxy pass the upgrade of /ws/agent on (nginx: proxy_http_version 1.1; "
    "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;)"
)

CODES = (
    Code("websocket.ok", "the path upgrades to WebSocket", status=Status.PASS),
    Code(
        "websocket.not_found",
        "there is no WebSocket endpoint at that path",
        causes=(
            "the brain URL lacks the path prefix under which a proxy serves the brain, or has one too many",
            "the proxy routes the dashboard but not /ws/agent",
            "another service answers at that host and port",
        ),
        remedy="Set Z4J_BRAIN_URL to the address of the dashboard, and route /ws/agent below it",
    ),
    Code(
        "websocket.upgrade_stripped",
        "something on the way dropped the Upgrade header",
        causes=(
            "a reverse proxy that passes Upgrade and Connection on only when it is told to",
            "a load balancer or firewall that knows only plain HTTP, or HTTP/1.0",
        ),
        remedy=f"Let {_PASS_UPGRADE}",
    ),
    Code(
        "websocket.plain_answer",
        "an ordinary page was answered instead of an upgrade",
        causes=(
            "a single-page application or a default site that answers every path with 200",
            "a captive portal, or a filter's block page",
            "a reverse proxy that dropped the Upgrade header",
        ),
        remedy=(
            Step("See in the evidence which server sent the page"),
            Step(f"If it is the brain, let {_PASS_UPGRADE}"),
        ),
    ),
    Code(
        "websocket.redirect",
        "the upgrade was answered with a redirect",
        causes=(
            "the brain URL says http:// and the proxy wants https://",
            "the brain moved to another host or path",
            "a single sign-on in front of the brain sends whoever has no session to its login page",
        ),
        remedy="Set Z4J_BRAIN_URL to where it leads, or exempt /ws/agent from the login that it leads to",
    ),
    Code(
        "websocket.bad_gateway",
        "the server is there, but the brain behind it is not well",
        causes=(
            "the brain is down or restarting",
            "the proxy dials the wrong port",
            "the brain is overloaded",
        ),
        remedy="Look at the brain's process, and at the log of the proxy in front of it",
    ),
    Code(
        "websocket.forbidden",
        "the upgrade was forbidden by what stands in front of the brain",
        causes=(
            "a web application firewall, or an address list of the proxy",
            "a path that the brain does not know (it answers unknown WebSocket paths with 403)",
        ),
        remedy="Allow this machine's address and /ws/agent there: a brain rejects tokens in another way",
    ),
    Code(
        "websocket.unauthorized",
        "something in front of the brain wants other credentials",
        causes=(
            "HTTP basic authentication or an access gateway on the proxy",
            "a proxy that consumes or replaces the Authorization header",
        ),
        remedy="Exempt /ws/agent there, and pass the Authorization header on to the brain",
    ),
    Code(
        "websocket.host_rejected",
        "the server does not serve that host name",
        causes=(
            "the name in the brain URL is missing in the server's list of hosts",
            "a proxy that passes another Host header on",
        ),
        remedy="Add the host to the names that the server accepts, or set Z4J_BRAIN_URL to one of them",
    ),
    Code(
        "websocket.rate_limited",
        "too many requests from this address",
        causes=("an agent that restarts in a loop", "many agents behind one address"),
        remedy="Wait, and find what connects so often, or raise the proxy's limit for /ws/agent",
        heals=Heals.BY_WAITING,
    ),
    Code(
        "websocket.tls_expected",
        "the port expects TLS, and the brain URL says plain http",
        causes=("http:// where https:// is meant",),
        remedy="Set Z4J_BRAIN_URL to an https:// URL",
    ),
    Code(
        "websocket.client_certificate",
        "the server wants a client certificate",
        causes=("mutual TLS on the proxy in front of the brain (with TLS 1.3 it says so only now)",),
        remedy="Exempt /ws/agent from client certificates there: agents authenticate with their token",
    ),
    Code(
        "websocket.not_http",
        "what answers does not speak HTTP",
        causes=("the port belongs to another service", "the proxy speaks HTTP/2 alone on that port"),
        remedy="Check the port in Z4J_BRAIN_URL",
    ),
    Code(
        "websocket.timeout",
        "the connection is accepted, and the upgrade is never answered",
        causes=(
            "the brain hangs, or its proxy waits for it",
            "a firewall that lets connections through and drops what they carry",
            "the port belongs to a service that waits for something else",
        ),
        remedy="Look at the brain's process, and at the log of the proxy in front of it",
    ),
    Code(
        "websocket.closed",
        "the connection was closed instead of an answer",
        causes=(
            "a firewall or proxy that cuts what looks like WebSocket",
            "a server process that crashes or restarts",
            "mutual TLS: some servers close without saying that they want a client certificate",
        ),
        remedy="Look at the log of the proxy in front of the brain",
    ),
    Code(
        "websocket.bad_accept",
        "the upgrade was answered in a way that no WebSocket client may accept",
        causes=(
            "a cache or middlebox that answers from memory",
            "a server that implements WebSocket wrongly",
        ),
        remedy="Remove caches and inspecting middleboxes from the path to /ws/agent",
    ),
)
