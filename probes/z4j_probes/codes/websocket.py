"""The codes of the `websocket` probe."""

from z4j_probes.codes._code import Code, Heals
from z4j_probes.result import Status, Step

_IN_NGINX = Step(
    "In nginx, add proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
    "proxy_set_header Connection upgrade;"
)

CODES = (
    Code("websocket.ok", "the path upgrades to WebSocket", status=Status.PASS),
    Code(
        "websocket.not_found",
        "no WebSocket endpoint at this path (404)",
        causes=(
            "the brain URL lacks the path prefix under which a proxy serves the brain, or has one too many",
            "the proxy routes the dashboard but not /ws/agent",
            "another service answers at that host and port",
        ),
        remedy="Set Z4J_BRAIN_URL to the address of the dashboard, and route /ws/agent below it",
    ),
    Code(
        "websocket.upgrade_stripped",
        "a proxy in between dropped the Upgrade header",
        causes=(
            "a reverse proxy that is not configured to pass on Upgrade and Connection",
            "a load balancer or firewall that knows only plain HTTP, or HTTP/1.0",
        ),
        remedy=(Step("Let the proxy pass on the upgrade of /ws/agent"), _IN_NGINX),
    ),
    Code(
        "websocket.plain_answer",
        "the server sent a page instead of an upgrade",
        causes=(
            "a single-page application or a default site that answers every path with 200",
            "a captive portal, or a filter's block page",
            "a reverse proxy that dropped the Upgrade header",
        ),
        remedy=(
            Step("Run the doctor with --verbose to see which server sent the page"),
            Step("If it is the brain, let the proxy pass on the upgrade of /ws/agent"),
            _IN_NGINX,
        ),
    ),
    Code(
        "websocket.redirect",
        "the server redirects the upgrade",
        causes=(
            "the brain URL is http://, and the proxy requires https://",
            "the brain moved to another host or path",
            "a single sign-on in front of the brain redirects to its login page",
        ),
        remedy="Set Z4J_BRAIN_URL to the target of the redirect, or exempt /ws/agent from the login",
    ),
    Code(
        "websocket.bad_gateway",
        "the brain behind the proxy is unavailable",
        causes=(
            "the brain is down or restarting",
            "the proxy connects to the wrong port",
            "the brain is overloaded",
        ),
        remedy="Check the brain's process, and the log of the proxy in front of it",
    ),
    Code(
        "websocket.forbidden",
        "upgrade forbidden (403)",
        causes=(
            "a web application firewall, or an address list of the proxy",
            "an unknown path (a brain answers those with 403)",
        ),
        remedy="Allow this machine's address and /ws/agent there. The token is not the cause",
    ),
    Code(
        "websocket.unauthorized",
        "the server requires other credentials (401)",
        causes=(
            "HTTP basic authentication or an access gateway on the proxy",
            "a proxy that consumes or replaces the Authorization header",
        ),
        remedy="Exempt /ws/agent there, and pass the Authorization header on to the brain",
    ),
    Code(
        "websocket.host_rejected",
        "the server rejects this host name",
        causes=(
            "the name in the brain URL is missing in the server's list of hosts",
            "a proxy that passes on another Host header",
        ),
        remedy="Add the host to the names that the server accepts, or set Z4J_BRAIN_URL to one of them",
    ),
    Code(
        "websocket.rate_limited",
        "too many requests from this address (429)",
        causes=("an agent that restarts in a loop", "many agents behind one address"),
        remedy="Wait, and find what connects so often, or raise the proxy's limit for /ws/agent",
        heals=Heals.BY_WAITING,
    ),
    Code(
        "websocket.tls_expected",
        "the port expects TLS, and the brain URL is plain http",
        causes=("http:// where https:// is meant",),
        remedy="Set Z4J_BRAIN_URL to an https:// URL",
    ),
    Code(
        "websocket.client_certificate",
        "a client certificate is required after the handshake (mTLS)",
        causes=("mutual TLS on the proxy in front of the brain (TLS 1.3 reports it after the handshake)",),
        remedy="Exempt /ws/agent from client certificates there: agents authenticate with their token",
    ),
    Code(
        "websocket.not_http",
        "the server does not speak HTTP on this port",
        causes=("the port belongs to another service", "the proxy speaks only HTTP/2 on that port"),
        remedy="Check the port in Z4J_BRAIN_URL",
    ),
    Code(
        "websocket.timeout",
        "WebSocket upgrade timed out",
        causes=(
            "the brain hangs, or its proxy waits for it",
            "a firewall that accepts connections and drops their data",
            "the port belongs to a service that waits for something else",
        ),
        remedy="Check the brain's process, and the log of the proxy in front of it",
    ),
    Code(
        "websocket.closed",
        "connection closed during the WebSocket upgrade",
        causes=(
            "a firewall or proxy that blocks WebSocket",
            "a server process that crashes or restarts",
            "mutual TLS: some servers close without asking for a client certificate",
        ),
        remedy="Look at the log of the proxy in front of the brain",
    ),
    Code(
        "websocket.bad_accept",
        "the answer to the upgrade is not valid",
        causes=(
            "a cache or middlebox that answers from its cache",
            "a server with a faulty WebSocket implementation",
        ),
        remedy="Remove caches and inspecting middleboxes from the path to /ws/agent",
    ),
)
