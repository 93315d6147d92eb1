"""Setups that are unusual and in order: URLs, addresses, proxies, certificates. None of them may turn red."""

from __future__ import annotations

import ssl
from pathlib import Path

from tests.faults.scenario import Case, healthy
from tests.faults.scenarios.proxy import PASSWORD, PROXY_PORT, through, tinyproxy, tunnelling
from tests.faults.stage import BRAIN_HOST, BRAIN_IP, BRAIN_IP6, UPGRADE, Stage
from tests.support.certificates import authority, issue, server_context
from tests.support.connections import closed_port
from tests.support.programs import unavailable
from z4j_fastapi.devbrain import DevBrain

PLAIN = (
    "config.ok",
    "buffer.ok",
    "dns.literal",
    "tcp.ok",
    "tls.not_used",
    "websocket.ok",
    "auth.ok",
    "signing.ok",
)


@healthy("plain HTTP on loopback", *PLAIN)
async def plain_http_on_loopback(stage: Stage) -> Case:
    """http://127.0.0.1, without TLS"""
    return Case(stage.settings(await stage.brain()))


@healthy("the real brain", *PLAIN)
async def the_real_brain(stage: Stage) -> Case:
    """the real brain, with token and secret from its own dashboard"""
    return Case(stage.real_settings())


@healthy("the real brain behind nginx", "dns.ok", "tls.ok")
async def the_real_brain_behind_nginx(stage: Stage) -> Case:
    """nginx ends TLS before the real brain, and passes the upgrade on"""
    port = int(stage.real_brain().url.rpartition(":")[2])
    nginx = await stage.tls_nginx(port, issue(stage.root, "localhost"))
    return Case(stage.real_settings(f"https://localhost:{nginx.port}", Z4J_CA_FILE=stage.ca_file))


@healthy("the project's UUID instead of its slug")
async def the_project_as_a_uuid(stage: Stage) -> Case:
    """the real brain, and the project's UUID in Z4J_PROJECT_ID"""
    brain = stage.real_brain()
    agent = brain.mint()
    return Case(
        {
            "Z4J_BRAIN_URL": brain.url,
            "Z4J_TOKEN": agent.token,
            "Z4J_HMAC_SECRET": agent.hmac_secret,
            "Z4J_PROJECT_ID": agent.project_id.upper(),
        }
    )


@healthy("a ws:// URL", "tls.not_used")
async def a_ws_url(stage: Stage) -> Case:
    """ws:// instead of http://"""
    brain = await stage.brain()
    return Case(stage.settings(brain, f"ws://127.0.0.1:{brain.port}"))


@healthy("a trailing slash in the URL")
async def a_trailing_slash(stage: Stage) -> Case:
    """a slash at the end of the brain URL"""
    brain = await stage.brain()
    return Case(stage.settings(brain, f"{brain.url}/"))


@healthy("the whole endpoint as the URL")
async def the_whole_endpoint_as_the_url(stage: Stage) -> Case:
    """the WebSocket endpoint itself was pasted as the brain URL"""
    brain = await stage.brain()
    return Case(stage.settings(brain, f"ws://127.0.0.1:{brain.port}/ws/agent"))


@healthy("a path prefix through nginx")
async def a_path_prefix_through_nginx(stage: Stage) -> Case:
    """nginx serves the brain below /ops/z4j/"""
    brain = await stage.brain()
    site = f"location /ops/z4j/ {{ proxy_pass http://127.0.0.1:{brain.port}/; {UPGRADE} }}"
    site += "location / { return 404; }"
    nginx = await stage.nginx(site)
    return Case(stage.settings(brain, f"http://127.0.0.1:{nginx.port}/ops/z4j/"))


@healthy("localhost with a server on IPv4 only", "dns.ok")
async def localhost_with_ipv4_alone(stage: Stage) -> Case:
    """localhost has both families, and the brain listens on one: normal, and no tcp.partial"""
    brain = await stage.brain()
    return Case(stage.settings(brain, f"http://localhost:{brain.port}"))


@healthy("IPv6 loopback", "dns.literal")
async def ipv6_loopback(stage: Stage) -> Case:
    """http://[::1]"""
    brain = DevBrain(host="::1")
    await stage.stack.enter_async_context(brain)
    return Case(stage.settings(brain))


@healthy("IPv6 only", "dns.ok", "tls.ok")
async def ipv6_alone(stage: Stage) -> Case:
    """a machine and a brain with IPv6 addresses and nothing else"""
    lab, environ = await stage.lab_with_brain(BRAIN_IP6)
    return Case(environ, prefix=lab.prefix)


@healthy("IPv4 and IPv6", "tcp.ok")
async def both_families(stage: Stage) -> Case:
    """a brain with an IPv4 and an IPv6 address, both alive"""
    lab, environ = await stage.lab_with_brain(BRAIN_IP, BRAIN_IP6)
    return Case(environ, prefix=lab.prefix)


@healthy("an AAAA record on a machine without IPv6", "tcp.ok")
async def an_aaaa_record_on_a_machine_without_ipv6(stage: Stage) -> Case:
    """the brain has both addresses, the machine no route for IPv6: absent, not broken"""
    lab, environ = await stage.lab_with_brain(BRAIN_IP)
    await lab.file("/etc/hosts", f"2001:db8:9::1 {BRAIN_HOST}\n{BRAIN_IP} {BRAIN_HOST}\n")
    return Case(environ, prefix=lab.prefix)


@healthy("an alias (CNAME)", "dns.ok")
async def an_alias(stage: Stage) -> Case:
    """the brain's name is a CNAME"""
    lab, environ = await stage.lab_with_brain()
    await lab.address("192.0.2.53/24", device="eth1")
    await lab.dnsmasq(
        f"--host-record=lb7.example.com,{BRAIN_IP}", f"--cname={BRAIN_HOST},lb7.example.com", at="192.0.2.53"
    )
    await lab.resolver("192.0.2.53")
    return Case(environ, prefix=lab.prefix)


@healthy("a service name with a search list", "dns.ok")
async def a_service_name_with_a_search_list(stage: Stage) -> Case:
    """https://brain, completed by the search list, as in Kubernetes"""
    lab = await stage.lab(f"{BRAIN_IP}/24")
    brain = await stage.tls_brain(issue(stage.root, "brain"))
    await lab.forward(BRAIN_IP, 443, brain.port)
    await lab.dnsmasq(f"--host-record=brain.shop.svc.cluster.local,{BRAIN_IP}", "--local=/#/")
    await lab.resolver("127.0.0.1", search="shop.svc.cluster.local svc.cluster.local")
    return Case(stage.settings(brain, "https://brain", Z4J_CA_FILE=stage.ca_file), prefix=lab.prefix)


@healthy("a Docker Compose service name", "dns.ok")
async def a_name_of_docker_compose(stage: Stage) -> Case:
    """a service name with an underscore, from /etc/hosts"""
    lab = await stage.lab(f"{BRAIN_IP}/24")
    brain = await stage.tls_brain(issue(stage.root, "z4j_brain"))
    await lab.forward(BRAIN_IP, 8443, brain.port)
    await lab.file("/etc/hosts", f"{BRAIN_IP} z4j_brain\n")
    return Case(stage.settings(brain, "https://z4j_brain:8443", Z4J_CA_FILE=stage.ca_file), prefix=lab.prefix)


@healthy("a second network interface")
async def a_second_network_interface(stage: Stage) -> Case:
    """two interfaces; the default route is over the one that does not lead to the brain"""
    lab, environ = await stage.lab_with_brain()
    await lab.address("192.0.2.7/24", device="eth1")
    await lab.shell("ip route add default via 192.0.2.1 dev eth1")
    return Case(environ, prefix=lab.prefix)


@healthy("a proxy", "tcp.ok")
async def a_proxy(stage: Stage) -> Case:
    """tinyproxy; the doctor's own resolver does not know the brain's name"""
    lab, environ = await stage.lab_with_brain()
    await tinyproxy(lab, stage, "ConnectPort 443")
    return Case(environ | {"HTTPS_PROXY": f"http://127.0.0.1:{PROXY_PORT}"}, prefix=lab.prefix)


@healthy("a proxy with credentials", "tcp.ok")
async def a_proxy_with_credentials(stage: Stage) -> Case:
    """tinyproxy with BasicAuth; the password is percent-encoded, the variable in lower case"""
    lab, environ = await stage.lab_with_brain()
    await tinyproxy(lab, stage, f"BasicAuth agent {PASSWORD}")
    password = PASSWORD.replace(".", "%2E")
    return Case(
        environ | {"https_proxy": f"http://agent:{password}@127.0.0.1:{PROXY_PORT}/"}, prefix=lab.prefix
    )


@healthy("NO_PROXY names the brain", "tcp.ok")
async def no_proxy_names_the_brain(stage: Stage) -> Case:
    """a dead HTTPS_PROXY, and the brain's domain in NO_PROXY"""
    lab, environ = await stage.lab_with_brain()
    return Case(
        environ | {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "localhost,.example.com"},
        prefix=lab.prefix,
    )


@healthy("NO_PROXY names a network", "tcp.ok")
async def no_proxy_names_a_network(stage: Stage) -> Case:
    """a dead HTTPS_PROXY, and the brain's network in NO_PROXY in CIDR notation"""
    lab = await stage.lab(f"{BRAIN_IP}/24")
    brain = await stage.tls_brain(issue(stage.root, BRAIN_IP))
    await lab.forward(BRAIN_IP, 443, brain.port)
    environ = stage.settings(brain, f"https://{BRAIN_IP}", Z4J_CA_FILE=stage.ca_file)
    return Case(
        environ | {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "198.51.100.0/24"}, prefix=lab.prefix
    )


@healthy("a proxy, and a brain on this machine")
async def a_proxy_that_is_not_for_loopback(stage: Stage) -> Case:
    """a dead HTTPS_PROXY, and a brain on this machine, which is never proxied"""
    port = stage.stack.enter_context(closed_port())
    return Case(stage.settings(await stage.brain(), HTTPS_PROXY=f"http://127.0.0.1:{port}"))


@healthy("a TLS-inspecting proxy whose root is installed", "tls.ok")
async def an_inspecting_proxy_whose_root_is_installed(stage: Stage) -> Case:
    """the inspecting proxy's root is in the system's store, and nowhere else"""
    inspection = authority("Corp Inspection CA", organization="Corp Security")
    brain = await stage.brain(tls=server_context(issue(inspection, BRAIN_HOST)))
    proxy = await stage.peer(tunnelling(brain.port))
    lab = await stage.lab()
    await lab.forward("127.0.0.1", PROXY_PORT, proxy.port)
    store = Path(ssl.get_default_verify_paths().openssl_cafile).parent
    inside = stage.directory / "store"
    inside.mkdir()
    inspection.save(inside / "cert.pem")
    (inside / "certs").mkdir()
    if not store.is_dir():
        unavailable(f"{store}, where this OpenSSL has its store, is not there")
    await lab.run("mount", "--bind", str(inside), str(store))
    environ = through(PROXY_PORT) | stage.settings(brain, f"https://{BRAIN_HOST}")
    return Case(environ, prefix=lab.prefix)
