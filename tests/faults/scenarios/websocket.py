"""What stands before a brain and does not pass the upgrade on: nginx set up wrong, and stranger peers."""

from __future__ import annotations

from dataclasses import replace

import httpx

from tests.faults.scenario import Case, scenario
from tests.faults.stage import UPGRADE, Stage
from tests.support.certificates import issue
from tests.support.http_peers import silent
from tests.support.nginx import certificate_lines
from tests.support.programs import free_port


async def before(stage: Stage, site: str, *, http: str = "", listen: str = "", path: str = "") -> Case:
    """nginx with this site; `{brain}` in it is a dev brain that is in order."""
    brain = await stage.brain()
    nginx = await stage.nginx(
        site.replace("{brain}", f"http://127.0.0.1:{brain.port}"), http=http, listen=listen
    )
    url = f"http://127.0.0.1:{nginx.port}{path}"
    return Case(stage.settings(brain, url), words=(f"127.0.0.1:{nginx.port}",))


@scenario(
    "websocket.upgrade_stripped",
    "nginx without the two upgrade headers",
    "nginx",
    "HTTP Version Not Supported",
    hint=("proxy_http_version 1.1", "proxy_set_header Upgrade $http_upgrade", "/ws/agent"),
)
async def nginx_drops_the_upgrade(stage: Stage) -> Case:
    """`proxy_pass` and nothing else before a dev brain: nginx speaks HTTP/1.0 and drops Upgrade"""
    return await before(stage, "location / { proxy_pass {brain}; }")


@scenario(
    "websocket.upgrade_stripped",
    "nginx without the two upgrade headers, in front of a real brain",
    "404 Not Found",
    "never saw the Upgrade header",
    hint=("proxy_set_header Upgrade $http_upgrade",),
)
async def nginx_drops_the_upgrade_to_a_real_brain(stage: Stage) -> Case:
    """only `proxy_pass` before the real brain, which answers an ordinary GET of that path in its own way"""
    nginx = await stage.nginx(f"location / {{ proxy_pass {stage.real_brain().url}; }}")
    return Case(stage.real_settings(f"http://127.0.0.1:{nginx.port}"), words=(f"127.0.0.1:{nginx.port}",))


@scenario(
    "websocket.not_found",
    "a proxy that does not route the agent's path",
    "nginx",
    "404 Not Found",
    hint=("curl -i", "/ws/agent"),
)
async def the_agents_path_is_not_routed(stage: Stage) -> Case:
    """nginx routes /api and /dashboard to the brain, and nothing else"""
    return await before(
        stage, f"location /api {{ proxy_pass {{brain}}; {UPGRADE} }} location / {{ return 404; }}"
    )


@scenario("websocket.not_found", "a path prefix that is missing in the URL", "404", hint=("Z4J_BRAIN_URL",))
async def the_prefix_is_missing(stage: Stage) -> Case:
    """the brain is served below /z4j/, and the URL lacks the prefix"""
    site = f"location /z4j/ {{ proxy_pass {{brain}}/; {UPGRADE} }} location / {{ return 404; }}"
    return await before(stage, site)


@scenario("websocket.plain_answer", "a web server's default page", "nginx", "200 OK")
async def a_default_site_answers(stage: Stage) -> Case:
    """nginx's default site answers every path with 200 and a page"""
    site = (
        "default_type text/html; location / { return 200 '<html><title>Welcome to nginx!</title></html>'; }"
    )
    return await before(stage, site)


@scenario(
    "websocket.redirect",
    "a redirect from http to https",
    "301",
    "https://",
    hint=("export Z4J_BRAIN_URL=https://127.0.0.1:8443",),
)
async def plain_http_is_redirected(stage: Stage) -> Case:
    """nginx redirects to https, as every tutorial has it"""
    return await before(stage, "return 301 https://127.0.0.1:8443$request_uri;")


@scenario(
    "websocket.redirect",
    "a redirect to the URL that is set",
    "301",
    hint=("leads to the URL that is set already", "X-Forwarded-Proto"),
)
async def the_redirect_leads_to_itself(stage: Stage) -> Case:
    """nginx redirects to the very URL, as an application behind a TLS proxy does that is not told of TLS"""
    return await before(stage, "return 301 http://$http_host$request_uri;")


@scenario(
    "websocket.redirect",
    "a redirect to unencrypted http",
    "301",
    "http://brain.example",
    hint=("Use the brain's https:// URL",),
)
async def the_redirect_leads_to_plain_http(stage: Stage) -> Case:
    """nginx redirects to http://, which the settings would not accept"""
    return await before(stage, "return 301 http://brain.example$request_uri;")


@scenario(
    "websocket.redirect",
    "a redirect to a login page",
    "302",
    "https://sso.example/login",
    hint=("login page", "exempt /ws/agent"),
)
async def a_login_stands_in_front(stage: Stage) -> Case:
    """nginx sends a client without a cookie to the login page"""
    return await before(stage, "return 302 https://sso.example/login?next=$request_uri;")


@scenario(
    "websocket.bad_gateway",
    "the brain behind the proxy is down (502)",
    "nginx",
    "502 Bad Gateway",
    hint=("curl -i",),
)
async def the_brain_behind_nginx_is_down(stage: Stage) -> Case:
    """nginx connects to a port that nothing listens on"""
    return await before(stage, f"location / {{ proxy_pass http://127.0.0.1:{free_port()}; {UPGRADE} }}")


@scenario("websocket.bad_gateway", "the brain behind the proxy hangs (504)", "nginx", "504")
async def the_brain_behind_nginx_hangs(stage: Stage) -> Case:
    """nginx waits one second for a brain that does not answer"""
    hanging = await stage.peer(silent())
    return await before(stage, f"location / {{ proxy_read_timeout 1s; proxy_pass {hanging.url}; {UPGRADE} }}")


@scenario("websocket.bad_gateway", "a load balancer without servers (503)", "503", hint=("curl -i",))
async def the_load_balancer_has_no_server(stage: Stage) -> Case:
    """nginx in maintenance: 503"""
    return await before(stage, "return 503;")


@scenario(
    "websocket.forbidden",
    "a proxy that denies this machine's address",
    "nginx",
    "403 Forbidden",
    hint=("/ws/agent",),
)
async def nginx_denies_the_address(stage: Stage) -> Case:
    """`deny all` for the agent's path"""
    return await before(stage, f"location / {{ deny all; proxy_pass {{brain}}; {UPGRADE} }}")


@scenario(
    "websocket.forbidden",
    "a path that the real brain does not know",
    "403",
    hint=("a path that it lacks", "/z4j in Z4J_BRAIN_URL"),
)
async def the_real_brain_does_not_know_the_path(stage: Stage) -> Case:
    """the brain URL has a prefix that the real brain is not served under: it answers 403"""
    return Case(stage.real_settings(f"{stage.real_brain().url}/z4j"))


@scenario(
    "websocket.unauthorized",
    "a proxy that wants a password",
    "nginx",
    "401 Unauthorized",
    hint=("Authorization",),
)
async def nginx_wants_a_password(stage: Stage) -> Case:
    """`auth_basic` on the whole site: it looks like a bad token, which a brain refuses in another way"""
    passwords = stage.write("htpasswd", "admin:{PLAIN}geheim\n")
    basic = f'auth_basic "intranet"; auth_basic_user_file {passwords};'
    site = f"location / {{ {basic} proxy_pass {{brain}}; {UPGRADE} }}"
    return await before(stage, site)


@scenario("websocket.host_rejected", "a server that does not serve the name (421)", "127.0.0.1")
async def the_server_does_not_serve_the_host(stage: Stage) -> Case:
    """nginx answers 421 to names that are not its own"""
    return await before(stage, "return 421;")


@scenario(
    "websocket.forbidden",
    "a header that is too large for the proxy (400)",
    "400 Bad Request",
    "limit for headers",
    hint=("large_client_header_buffers",),
)
async def a_header_is_too_large(stage: Stage) -> Case:
    """nginx with room for headers of 1 KiB, and a token that is longer"""
    site = "client_header_buffer_size 1k; large_client_header_buffers 2 1k; "
    case = await before(stage, site + f"location / {{ proxy_pass {{brain}}; {UPGRADE} }}")
    return replace(case, environ={**case.environ, "Z4J_TOKEN": "z4j_" + "a1" * 1000})


@scenario("websocket.rate_limited", "a proxy that limits the rate (429)", "nginx", "429")
async def nginx_limits_the_rate(stage: Stage) -> Case:
    """`limit_req` with a rate that the doctor's own request exceeds"""
    zone = "limit_req_zone $binary_remote_addr zone=agents:1m rate=1r/m; limit_req_status 429;"
    site = "location = /first { limit_req zone=agents; empty_gif; } "
    site += f"location / {{ limit_req zone=agents; proxy_pass {{brain}}; {UPGRADE} }}"
    case = await before(stage, site, http=zone)
    async with httpx.AsyncClient(trust_env=False) as client:  # uses up this minute's one request
        assert (await client.get(f"{case.environ['Z4J_BRAIN_URL']}/first")).status_code == 200
    return case


@scenario(
    "websocket.tls_expected",
    "http:// for a TLS port that answers in plain HTTP",
    "400",
    hint=("Z4J_BRAIN_URL=https://127.0.0.1",),
)
async def the_port_is_a_tls_port(stage: Stage) -> Case:
    """http:// in the URL, and nginx with TLS on that port, which answers 400 in plain HTTP"""
    site = certificate_lines(stage.directory, issue(stage.root, "localhost")) + "return 200;"
    return await before(stage, site, listen="ssl")


@scenario(
    "websocket.client_certificate",
    "mutual TLS on the proxy, refused with 400",
    "nginx",
    "client certificate",
    hint=("exempt /ws/agent",),
)
async def nginx_wants_a_client_certificate(stage: Stage) -> Case:
    """`ssl_verify_client on`: nginx lets the handshake stand and answers 400"""
    site = certificate_lines(stage.directory, issue(stage.root, "localhost"))
    site += f"ssl_verify_client on; ssl_client_certificate {stage.ca_file};"
    site += "location / { proxy_pass {brain}; }"
    case = await before(stage, site, listen="ssl")
    url = case.environ["Z4J_BRAIN_URL"].replace("http://127.0.0.1", "https://localhost")
    return Case({**case.environ, "Z4J_BRAIN_URL": url, "Z4J_CA_FILE": stage.ca_file})


@scenario("websocket.not_http", "a plain port that speaks HTTP/2 only", "speaks only HTTP/2")
async def the_port_speaks_http2_alone(stage: Stage) -> Case:
    """nginx with `listen … http2` and without TLS"""
    return await before(stage, "return 200;", listen="http2")
