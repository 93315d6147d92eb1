"""Handshakes that do not come about: versions, ciphers, mutual TLS, clocks, middleboxes, other protocols."""

from __future__ import annotations

import asyncio

from tests.faults.scenario import Case, scenario
from tests.faults.stage import BRAIN_IP, UPGRADE, Stage
from tests.support.certificates import Issued, issue
from tests.support.connections import reset
from tests.support.http_peers import Peer, greeting, silent
from tests.support.ladders import SECRET, TOKEN
from tests.support.nginx import certificate_lines
from tests.support.programs import Program, free_port, program


async def s_server(stage: Stage, *options: str, leaf: Issued | None = None, host: str = "localhost") -> Case:
    """`openssl s_server` with these options."""
    leaf = leaf or issue(stage.root, "localhost")
    certificate_lines(stage.directory, leaf)
    port = free_port()
    server = await Program.start(
        stage.directory / "s_server.log",
        *(program("openssl"), "s_server", "-accept", f"127.0.0.1:{port}", "-quiet", "-naccept", "9"),
        *("-cert", f"{stage.directory}/fullchain.pem", "-key", f"{stage.directory}/key.pem", *options),
    )
    stage.stack.push_async_callback(server.stop)
    await server.until_it_accepts("127.0.0.1", port)
    return Case(
        {
            "Z4J_BRAIN_URL": f"https://{host}:{port}",
            "Z4J_TOKEN": TOKEN,
            "Z4J_HMAC_SECRET": SECRET,
            "Z4J_CA_FILE": stage.ca_file,
        },
        words=(f"{host}:{port}",),
    )


@scenario(
    "tls.clock_suspect",
    "this machine's clock is far ahead",
    "is 200 days ahead of that of localhost",
    hint=("timedatectl",),
)
async def this_clock_is_fast(stage: Stage) -> Case:
    """libfaketime sets the clock 200 days ahead; the certificate has 80 days left, as nginx's Date says"""
    return await with_clock(stage, "+200d")


@scenario(
    "tls.clock_suspect",
    "this machine's clock is far behind",
    "days behind that of localhost",
    hint=("timedatectl",),
)
async def this_clock_is_slow(stage: Stage) -> Case:
    """libfaketime sets the doctor's clock a year back, as a machine without a battery starts"""
    return await with_clock(stage, "-365d")


async def with_clock(stage: Stage, offset: str) -> Case:
    brain = await stage.brain()
    nginx = await stage.tls_nginx(brain.port, issue(stage.root, "localhost"))
    environ = stage.settings(brain, f"https://localhost:{nginx.port}", Z4J_CA_FILE=stage.ca_file)
    return Case(environ, prefix=faketime(offset))


def faketime(offset: str) -> tuple[str, ...]:
    """What runs the doctor by a clock that is this much off."""
    return (program("env"), "FAKETIME_DONT_FAKE_MONOTONIC=1", program("faketime"), "-f", offset)


@scenario(
    "tls.hostname_mismatch",
    "a server that does not know the name (SNI)",
    "has no certificate for localhost",
    "unrecognized_name",
    "brain.example",
)
async def the_server_knows_no_such_site(stage: Stage) -> Case:
    """openssl s_server -servername_fatal for another name"""
    leaf = issue(stage.root, "brain.example")
    files = ("-cert2", f"{stage.directory}/fullchain.pem", "-key2", f"{stage.directory}/key.pem")
    case = await s_server(stage, "-servername", "brain.example", "-servername_fatal", *files, leaf=leaf)
    return Case(case.environ)


@scenario("tls.protocol_version", "a server with TLS 1.1 only", "TLSv1.1", hint=("TLS 1.2",))
async def the_server_is_old(stage: Stage) -> Case:
    """openssl s_server -tls1_1"""
    return await s_server(stage, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")


@scenario("tls.protocol_version", "no cipher in common", "handshake_failure")
async def no_cipher_is_shared(stage: Stage) -> Case:
    """openssl s_server with an ECDSA certificate and ciphers only for RSA ones"""
    return await s_server(stage, "-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384")


@scenario(
    "tls.weak", "a server with weak ciphers only", "offers only what is too weak", "ADH-AES256-GCM-SHA384"
)
async def the_ciphers_are_weak(stage: Stage) -> Case:
    """openssl s_server with only anonymous ciphers: the alert is that of an unshared cipher"""
    return await s_server(stage, "-tls1_2", "-cipher", "ADH-AES256-GCM-SHA384:@SECLEVEL=0")


@scenario(
    "tls.protocol_version",
    "a TLS server that offers HTTP/2 only",
    "no_application_protocol",
    hint=("http/1.1 beside h2",),
)
async def the_server_offers_http2_alone(stage: Stage) -> Case:
    """openssl s_server -alpn h2"""
    return await s_server(stage, "-alpn", "h2")


@scenario(
    "tls.not_tls", "https:// for a port that speaks plain HTTP", "speaks plain HTTP, not TLS", "HTTP/1.1 400"
)
async def the_port_is_plain_http(stage: Stage) -> Case:
    """https:// in the URL, and nginx without TLS on that port"""
    brain = await stage.brain()
    nginx = await stage.nginx("return 200;")
    return Case(stage.settings(brain, f"https://localhost:{nginx.port}"))


@scenario(
    "tls.not_tls",
    "https:// for the port of an SSH server",
    "is an SSH server",
    "SSH-2.0-OpenSSH_9.2p1",
    hint=("check the port",),
)
async def the_port_is_an_ssh_servers(stage: Stage) -> Case:
    """a server that greets like OpenSSH"""
    peer = await stage.peer(greeting(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"))
    return Case(
        {"Z4J_BRAIN_URL": f"https://localhost:{peer.port}", "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET}
    )


@scenario(
    "tls.client_certificate",
    "mutual TLS in TLS 1.3",
    "asks for a client certificate",
    "certificate_required",
    hint=("exempt",),
)
async def the_server_wants_a_certificate_in_tls_1_3(stage: Stage) -> Case:
    """openssl s_server -Verify: the handshake stands on our side before the server refuses"""
    return await s_server(stage, "-Verify", "1", "-verify_return_error", "-tls1_3")


@scenario(
    "tls.client_certificate", "mutual TLS in TLS 1.2", "asks for a client certificate", hint=("exempt",)
)
async def the_server_wants_a_certificate_in_tls_1_2(stage: Stage) -> Case:
    """openssl s_server -Verify -tls1_2: the alert is that of an unshared cipher"""
    return await s_server(stage, "-Verify", "1", "-verify_return_error", "-tls1_2")


@scenario(
    "tls.closed",
    "a middlebox that resets the TLS handshake",
    "reset the connection during the TLS handshake",
)
async def a_middlebox_resets_the_handshake(stage: Stage) -> Case:
    """a peer that answers ClientHello with RST, as inspecting firewalls do to names they block"""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Peer) -> None:
        await reader.read(64)
        await reset(writer)

    peer = await stage.peer(behave)
    return Case(
        {"Z4J_BRAIN_URL": f"https://localhost:{peer.port}", "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET},
        words=(f"localhost:{peer.port}",),
    )


@scenario(
    "tls.closed",
    "a server that expects the PROXY protocol of its load balancer",
    "it expects the PROXY protocol",
    hint=("load balancer's address", "service name"),
)
async def the_load_balancer_is_bypassed(stage: Stage) -> Case:
    """nginx with `listen … ssl proxy_protocol`, reached as pods reach their own cluster's ingress"""
    brain = await stage.brain()
    site = certificate_lines(stage.directory, issue(stage.root, "localhost"))
    site += f"location / {{ proxy_pass http://127.0.0.1:{brain.port}; {UPGRADE} }}"
    nginx = await stage.nginx(site, listen="ssl proxy_protocol")
    return Case(stage.settings(brain, f"https://localhost:{nginx.port}", Z4J_CA_FILE=stage.ca_file))


@scenario(
    "tls.closed",
    "a load balancer without servers that closes the TLS handshake",
    "closed the connection during the TLS handshake",
)
async def a_load_balancer_has_no_server(stage: Stage) -> Case:
    """a peer that reads ClientHello and closes, as a TCP load balancer without healthy servers"""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Peer) -> None:
        await reader.read(4096)

    peer = await stage.peer(behave)
    return Case(
        {"Z4J_BRAIN_URL": f"https://localhost:{peer.port}", "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET}
    )


@scenario(
    "tls.timeout", "a TLS handshake that is not answered", "did not answer the TLS handshake", timeout_s=3.0
)
async def the_handshake_is_not_answered(stage: Stage) -> Case:
    """a peer that takes ClientHello and says nothing"""
    peer = await stage.peer(silent())
    return Case(
        {"Z4J_BRAIN_URL": f"https://localhost:{peer.port}", "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET},
        words=(f"localhost:{peer.port}",),
    )


@scenario(
    "tls.timeout",
    "large packets are lost (MTU)",
    "did not answer the TLS handshake",
    hint=("MTU",),
    timeout_s=1.5,
)
async def large_packets_are_lost(stage: Stage) -> Case:
    """nftables drops packets over 600 bytes: TCP connects, the certificate never arrives"""
    lab, environ = await stage.lab_with_brain(BRAIN_IP)
    await lab.firewall("tcp sport 443 meta length > 600 drop")
    return Case(environ, prefix=lab.prefix)
