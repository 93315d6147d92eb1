"""HTTP proxies between here and the brain that are away, refuse, hang, or look into the traffic."""

from __future__ import annotations

import asyncio

from tests.faults.scenario import Case, scenario
from tests.faults.stage import BRAIN_HOST, BRAIN_IP, Stage
from tests.support.certificates import authority, issue, server_context
from tests.support.connections import closed_port, reset
from tests.support.http_peers import Behaviour, Peer, answering, silent
from tests.support.ladders import SECRET, TOKEN
from tests.support.netlab import NetLab
from tests.support.programs import program

PROXY_PORT = 3128
PASSWORD = "geheim.2024"


def through(port: int, **more: str) -> dict[str, str]:
    """Settings of a public brain behind a proxy on this machine."""
    return {
        "Z4J_BRAIN_URL": f"https://{BRAIN_HOST}",
        "Z4J_TOKEN": TOKEN,
        "Z4J_HMAC_SECRET": SECRET,
        "HTTPS_PROXY": f"http://127.0.0.1:{port}",
        **more,
    }


async def tinyproxy(lab: NetLab, stage: Stage, *lines: str) -> None:
    """tinyproxy in the lab, on its loopback."""
    configuration = stage.write(
        "tinyproxy.conf",
        "\n".join(
            ["User root", "Group root", f"Port {PROXY_PORT}", "Listen 127.0.0.1", "Timeout 20", *lines, ""]
        ),
    )
    await lab.background(program("tinyproxy"), "-d", "-c", configuration)
    await lab.until_listening("127.0.0.1", PROXY_PORT)


def tunnelling(to_port: int) -> Behaviour:
    """A proxy that opens every tunnel, to a server of its own choice."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Peer) -> None:
        seen.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", to_port)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
            sink.close()

        try:
            await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer))
        finally:
            up_writer.close()
            await up_writer.wait_closed()

    return behave


@scenario(
    "tcp.proxy_unreachable",
    "the proxy is down",
    "the proxy from HTTPS_PROXY",
    "refused the connection",
    hint=("NO_PROXY",),
)
async def the_proxy_is_down(stage: Stage) -> Case:
    """HTTPS_PROXY names a port that nothing listens on: the errno is that of a brain that is down"""
    port = stage.stack.enter_context(closed_port())
    return Case(through(port), words=(f"127.0.0.1:{port}",))


@scenario(
    "tcp.proxy_unreachable",
    "an https:// URL for a proxy without TLS",
    "TLS with it failed",
    hint=("try http:// in HTTPS_PROXY",),
    timeout_s=1.5,
)
async def the_proxy_speaks_no_tls(stage: Stage) -> Case:
    """HTTPS_PROXY=https://… for tinyproxy, which expects an unencrypted connection"""
    lab, environ = await stage.lab_with_brain()
    await tinyproxy(lab, stage)
    return Case(environ | {"HTTPS_PROXY": f"https://127.0.0.1:{PROXY_PORT}"}, prefix=lab.prefix)


@scenario(
    "tcp.proxy_refused",
    "a proxy that does not allow the port",
    f"refused CONNECT {BRAIN_HOST}:443: 403",
    hint=("allow list",),
)
async def the_proxy_does_not_allow_the_port(stage: Stage) -> Case:
    """tinyproxy with only `ConnectPort 8443`"""
    lab, environ = await stage.lab_with_brain()
    await tinyproxy(lab, stage, "ConnectPort 8443")
    return Case(environ | {"HTTPS_PROXY": f"http://127.0.0.1:{PROXY_PORT}"}, prefix=lab.prefix)


@scenario(
    "tcp.proxy_refused",
    "a proxy that filters the host",
    f"refused CONNECT {BRAIN_HOST}:443: 403",
    "ALL_PROXY",
)
async def the_proxy_filters_the_host(stage: Stage) -> Case:
    """tinyproxy with a filter that names the brain's domain; the proxy is named in ALL_PROXY"""
    lab, environ = await stage.lab_with_brain()
    await tinyproxy(lab, stage, f'Filter "{stage.write("filter", "example.com")}"')
    return Case(environ | {"ALL_PROXY": f"http://127.0.0.1:{PROXY_PORT}"}, prefix=lab.prefix)


@scenario(
    "tcp.proxy_refused",
    "a proxy that can't reach the brain",
    f"CONNECT {BRAIN_HOST}:443: 50",
    hint=("curl -v -x",),
)
async def the_proxy_can_not_reach_the_brain(stage: Stage) -> Case:
    """tinyproxy connects to the brain's address, where nothing listens"""
    lab = await stage.lab(f"{BRAIN_IP}/24")
    await lab.dnsmasq(f"--host-record={BRAIN_HOST},{BRAIN_IP}")
    await lab.resolver("127.0.0.1")
    await tinyproxy(lab, stage)
    return Case(through(PROXY_PORT), prefix=lab.prefix)


@scenario(
    "tcp.proxy_refused",
    "a web server instead of a proxy",
    "400 Bad Request",
    hint=("check HTTPS_PROXY", "does not seem to be a proxy"),
)
async def the_proxy_is_a_web_server(stage: Stage) -> Case:
    """HTTPS_PROXY names nginx"""
    nginx = await stage.nginx("return 200;")
    return Case(through(nginx.port))


@scenario(
    "tcp.proxy_auth",
    "a proxy that wants credentials",
    "requires a user name and password (407, offers Basic)",
    hint=("http://USER:PASSWORD@",),
)
async def the_proxy_wants_credentials(stage: Stage) -> Case:
    """tinyproxy with BasicAuth, and none in HTTPS_PROXY"""
    lab, environ = await stage.lab_with_brain()
    await tinyproxy(lab, stage, f"BasicAuth agent {PASSWORD}")
    return Case(environ | {"HTTPS_PROXY": f"http://127.0.0.1:{PROXY_PORT}"}, prefix=lab.prefix)


@scenario(
    "tcp.proxy_auth",
    "a proxy that refuses the credentials",
    "rejected the user name and password",
    hint=("percent-encode",),
)
async def the_proxys_password_is_wrong(stage: Stage) -> Case:
    """tinyproxy with BasicAuth, and an old password in HTTPS_PROXY"""
    lab, environ = await stage.lab_with_brain()
    await tinyproxy(lab, stage, f"BasicAuth agent {PASSWORD}")
    proxy = f"http://agent:geheim-2019@127.0.0.1:{PROXY_PORT}"
    return Case(environ | {"HTTPS_PROXY": proxy}, prefix=lab.prefix)


@scenario(
    "tcp.timeout",
    "a proxy that does not answer CONNECT",
    "accepted the connection, but did not answer CONNECT",
    hint=("curl -v -x",),
    timeout_s=1.0,
)
async def the_proxy_does_not_answer(stage: Stage) -> Case:
    """a proxy that takes CONNECT and says nothing"""
    peer = await stage.peer(silent())
    return Case(through(peer.port), words=(f"127.0.0.1:{peer.port}", f"{BRAIN_HOST}:443"))


@scenario("tcp.reset", "a proxy that resets the connection", "instead of answering CONNECT")
async def the_proxy_resets(stage: Stage) -> Case:
    """a proxy that cuts the connection with RST when it is asked to CONNECT"""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Peer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reset(writer)

    peer = await stage.peer(behave)
    return Case(through(peer.port), words=(f"127.0.0.1:{peer.port}",))


@scenario(
    "tls.closed",
    "a proxy that opens the tunnel and then closes it",
    "during the TLS handshake",
    "through the proxy 127.0.0.1",
)
async def the_tunnel_leads_nowhere(stage: Stage) -> Case:
    """a proxy that answers CONNECT with 200 and then hangs up"""
    peer = await stage.peer(answering(b"HTTP/1.1 200 OK\r\n\r\n"))
    return Case(through(peer.port))


@scenario(
    "tls.unknown_ca",
    "a proxy that inspects TLS",
    "Corp Inspection CA",
    "not trusted on this machine",
    "through the proxy 127.0.0.1",
    hint=("Corp Inspection CA", "Z4J_CA_FILE"),
)
async def the_proxy_inspects_tls(stage: Stage) -> Case:
    """a proxy that answers every CONNECT itself, with certificates of a root that is not installed here"""
    inspection = authority("Corp Inspection CA", organization="Corp Security")
    brain = await stage.brain(tls=server_context(issue(inspection, BRAIN_HOST)))
    peer = await stage.peer(tunnelling(brain.port))
    return Case(through(peer.port))
