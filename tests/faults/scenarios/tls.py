"""Certificates and handshakes with one thing wrong: an embedded brain, nginx and openssl s_server."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from tests.faults.scenario import Case, scenario
from tests.faults.stage import BRAIN_IP, Stage
from tests.support.certificates import CLIENT, Issued, authority, issue, server_context, weak_key
from tests.support.connections import reset
from tests.support.http_peers import Peer, greeting, silent
from tests.support.nginx import certificate_lines
from tests.support.programs import Program, free_port, program

STRICT = sys.version_info >= (3, 13)
"""Python 3.13 refuses what older ones take (X509_STRICT): there the warning is a failure."""


def days(number: float) -> timedelta:
    return timedelta(days=number)


async def serving(
    stage: Stage, leaf: Issued, *, chain: tuple[Issued, ...] | None = None, host: str = "localhost", **more: str
) -> Case:
    """A brain with this certificate, dialled by this name, with the stage's root as the CA file."""
    brain = await stage.tls_brain(leaf, chain=chain)
    url = f"https://{host}:{brain.port}"
    return Case({**stage.settings(brain, url), "Z4J_CA_FILE": stage.ca_file, **more})


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
            "Z4J_TOKEN": "z4j-agent-0123456789abcdef",
            "Z4J_CA_FILE": stage.ca_file,
        },
        words=(f"{host}:{port}",),
    )


@scenario("tls.expired", "TLS 30: the leaf", "the certificate of localhost expired 3 days ago", hint=("renew",))
async def the_certificate_has_expired(stage: Stage) -> Case:
    """a certificate that ran out three days ago"""
    return await serving(stage, issue(stage.root, "localhost", starts=days(-90), expires=days(-3.1)))


@scenario("tls.expired", "TLS 30: an intermediate", 'the intermediate certificate "Corp Issuing CA"', "expired 10 days ago", hint=('outdated "Corp Issuing CA"',))
async def an_intermediate_has_expired(stage: Stage) -> Case:
    """the leaf is valid, the issuing CA that the server sends ran out ten days ago: the same verify code"""
    issuing = authority("Corp Issuing CA", stage.root, starts=days(-900), expires=days(-10.1))
    return await serving(stage, issue(issuing, "localhost"))


@scenario("tls.expired", "TLS 30: a root", 'the root certificate "Old Root CA"', "expired 20 days ago")
async def the_root_has_expired(stage: Stage) -> Case:
    """the root in Z4J_CA_FILE ran out twenty days ago: the same verify code again"""
    old = authority("Old Root CA", starts=days(-3650), expires=days(-20.1))
    case = await serving(stage, issue(old, "localhost"))
    return Case({**case.environ, "Z4J_CA_FILE": old.save(stage.directory / "old.pem")})


@scenario("tls.not_yet_valid", "TLS 31", "is valid only in 2 days", hint=("date -u",))
async def the_certificate_is_not_valid_yet(stage: Stage) -> Case:
    """a certificate whose first day is the day after tomorrow"""
    return await serving(stage, issue(stage.root, "localhost", starts=days(2.1), expires=days(90)))


@scenario("tls.clock_suspect", "AUTH 62: a clock that is fast", "is 200 days ahead of that of localhost", hint=("timedatectl",))
async def this_clock_is_fast(stage: Stage) -> Case:
    """libfaketime sets the doctor's clock 200 days ahead; the certificate has 80 days left, as nginx's Date says"""
    return await with_clock(stage, "+200d")


@scenario("tls.clock_suspect", "AUTH 62: a clock that is slow", "days behind that of localhost", hint=("timedatectl",))
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


@scenario("tls.hostname_mismatch", "TLS 35: another name", "is for shop.example, www.shop.example, not for localhost")
async def the_certificate_is_for_other_names(stage: Stage) -> Case:
    """a certificate for shop.example and www.shop.example"""
    return await serving(stage, issue(stage.root, "shop.example", "www.shop.example"))


@scenario("tls.hostname_mismatch", "TLS 35: an address", "not for 127.0.0.1", hint=("by its name",))
async def the_url_has_an_address(stage: Stage) -> Case:
    """the brain is dialled by its address, and the certificate names no address"""
    return await serving(stage, issue(stage.root, "brain.example"), host="127.0.0.1")


@scenario("tls.hostname_mismatch", "TLS 46: SNI unknown", "has no certificate for localhost", "unrecognized_name", "brain.example")
async def the_server_knows_no_such_site(stage: Stage) -> Case:
    """openssl s_server -servername_fatal for another name"""
    leaf = issue(stage.root, "brain.example")
    files = ("-cert2", f"{stage.directory}/fullchain.pem", "-key2", f"{stage.directory}/key.pem")
    case = await s_server(stage, "-servername", "brain.example", "-servername_fatal", *files, leaf=leaf)
    return Case(case.environ)


@scenario("tls.self_signed", "TLS 32", "is signed by itself", "localhost", hint=("Z4J_CA_FILE", "openssl s_client"))
async def the_certificate_is_self_signed(stage: Stage) -> Case:
    """a certificate that issued itself"""
    case = await serving(stage, issue(None, "localhost"))
    return Case({**case.environ, "Z4J_CA_FILE": ""})


@scenario("tls.unknown_ca", "TLS 34: a private root, not sent", '"Corp Root CA"', "not trusted here", hint=('"Corp Root CA"', "Z4J_CA_FILE"))
async def the_root_is_not_installed(stage: Stage) -> Case:
    """a certificate of a private CA, and the trust stores of the system"""
    case = await serving(stage, issue(stage.root, "localhost"))
    return Case({**case.environ, "Z4J_CA_FILE": ""})


@scenario("tls.unknown_ca", "TLS 33: a private root, sent", '"Corp Root CA"', "not trusted here", "Z4J_CA_FILE")
async def another_root_is_named(stage: Stage) -> Case:
    """Z4J_CA_FILE names the root of the test environment; the server sends its own root too"""
    case = await serving(stage, issue(stage.root, "localhost"), chain=(stage.root,))
    other = authority("Staging Root CA").save(stage.directory / "staging.pem")
    return Case({**case.environ, "Z4J_CA_FILE": other})


@scenario("tls.unknown_ca", "a root that was renewed with another key", "with another key", hint=("old root",))
async def the_root_was_renewed(stage: Stage) -> Case:
    """Z4J_CA_FILE has the CA's former root: the same name, another key"""
    case = await serving(stage, issue(stage.root, "localhost"))
    former = authority("Corp Root CA", organization="Corp", starts=days(-3000)).save(stage.directory / "former.pem")
    return Case({**case.environ, "Z4J_CA_FILE": former})


@scenario("tls.incomplete_chain", "TLS 34: a missing intermediate", '"Corp Issuing CA"', "but not that of its issuer", hint=("fullchain.pem", "openssl s_client"))
async def the_intermediate_is_not_sent(stage: Stage) -> Case:
    """nginx with cert.pem in ssl_certificate: the verify code is that of an unknown root"""
    issuing = authority("Corp Issuing CA", stage.root, organization="Corp")
    brain = await stage.brain()
    nginx = await stage.tls_nginx(brain.port, issue(issuing, "localhost"), chain=())
    return Case(stage.settings(brain, f"https://localhost:{nginx.port}", Z4J_CA_FILE=stage.ca_file))


@scenario("tls.empty_trust_store", "TLS 41", "SSL_CERT_FILE names /etc/ssl/corp.pem: No such file", hint=("unset SSL_CERT_FILE",))
async def ssl_cert_file_names_nothing(stage: Stage) -> Case:
    """SSL_CERT_FILE=/etc/ssl/corp.pem, which is not there: OpenSSL loads nothing and says nothing"""
    case = await serving(stage, issue(stage.root, "localhost"))
    return Case({**case.environ, "Z4J_CA_FILE": "", "SSL_CERT_FILE": "/etc/ssl/corp.pem"})


@scenario("tls.wrong_purpose", "TLS 36: clientAuth alone", "may not be used for a server", "X509_V_ERR 26")
async def the_certificate_is_a_clients(stage: Stage) -> Case:
    """a client certificate is installed on the server"""
    return await serving(stage, issue(stage.root, "localhost", purpose=CLIENT))


@scenario("tls.wrong_purpose", "TLS 37: the issuer is no CA", "may not be used for a server")
async def the_issuer_is_no_ca(stage: Stage) -> Case:
    """an ordinary certificate was used to issue another"""
    no_ca = authority("Corp Web Server", stage.root, is_ca=False)
    return await serving(stage, issue(no_ca, "localhost"))


@scenario("tls.wrong_purpose", "TLS 38: name constraints", "may not be used for a server", "X509_V_ERR 47")
async def the_ca_may_not_issue_for_the_name(stage: Stage) -> Case:
    """the issuing CA is limited to corp.example by its name constraints"""
    limited = authority("Corp Issuing CA", stage.root, permitted="corp.example")
    return await serving(stage, issue(limited, "localhost"))


@scenario("tls.weak", "TLS 38: RSA 1024", "RSA 1024", "too weak")
async def the_key_is_short(stage: Stage) -> Case:
    """a certificate with an RSA key of 1024 bits"""
    return await serving(stage, issue(stage.root, "localhost", key=weak_key()))


@scenario("tls.protocol_version", "TLS 43", "TLSv1.1", hint=("TLS 1.2",))
async def the_server_is_old(stage: Stage) -> Case:
    """openssl s_server -tls1_1"""
    return await s_server(stage, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")


@scenario("tls.protocol_version", "TLS 44: no shared cipher", "handshake_failure")
async def no_cipher_is_shared(stage: Stage) -> Case:
    """openssl s_server with an ECDSA certificate and ciphers for RSA ones alone"""
    return await s_server(stage, "-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384")


@scenario("tls.weak", "TLS 44: weak ciphers alone", "offers only what is too weak", "ADH-AES256-GCM-SHA384")
async def the_ciphers_are_weak(stage: Stage) -> Case:
    """openssl s_server with anonymous ciphers alone: the alert is that of an unshared cipher"""
    return await s_server(stage, "-tls1_2", "-cipher", "ADH-AES256-GCM-SHA384:@SECLEVEL=0")


@scenario("tls.protocol_version", "TLS 49: HTTP/2 alone", "no_application_protocol", hint=("http/1.1 beside h2",))
async def the_server_offers_http2_alone(stage: Stage) -> Case:
    """openssl s_server -alpn h2"""
    return await s_server(stage, "-alpn", "h2")


@scenario("tls.not_tls", "TLS 47: plain HTTP", "speaks plain HTTP, not TLS", "HTTP/1.1 400")
async def the_port_is_plain_http(stage: Stage) -> Case:
    """https:// in the URL, and nginx without TLS on that port"""
    brain = await stage.brain()
    nginx = await stage.nginx("return 200;")
    return Case(stage.settings(brain, f"https://localhost:{nginx.port}"))


@scenario("tls.not_tls", "TLS 47: a service that talks first", "is an SSH server", "SSH-2.0-OpenSSH_9.2p1", hint=("check the port",))
async def the_port_is_an_ssh_servers(stage: Stage) -> Case:
    """a server that greets like OpenSSH"""
    peer = await stage.peer(greeting(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"))
    return Case({"Z4J_BRAIN_URL": f"https://localhost:{peer.port}", "Z4J_TOKEN": "z4j-agent-0123456789"})


@scenario("tls.client_certificate", "TLS 45: TLS 1.3", "asks for a client certificate", "certificate_required", hint=("exempt",))
async def the_server_wants_a_certificate_in_tls_1_3(stage: Stage) -> Case:
    """openssl s_server -Verify: the handshake stands on our side before the server refuses"""
    return await s_server(stage, "-Verify", "1", "-verify_return_error", "-tls1_3")


@scenario("tls.client_certificate", "TLS 44: TLS 1.2", "asks for a client certificate", hint=("exempt",))
async def the_server_wants_a_certificate_in_tls_1_2(stage: Stage) -> Case:
    """openssl s_server -Verify -tls1_2: the alert is that of an unshared cipher"""
    return await s_server(stage, "-Verify", "1", "-verify_return_error", "-tls1_2")


@scenario("tls.closed", "TLS 48: RST after ClientHello", "reset the connection when it was greeted in TLS")
async def a_middlebox_resets_the_handshake(stage: Stage) -> Case:
    """a peer that answers ClientHello with RST, as inspecting firewalls do to names they block"""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Peer) -> None:
        await reader.read(64)
        await reset(writer)

    peer = await stage.peer(behave)
    return Case(
        {"Z4J_BRAIN_URL": f"https://localhost:{peer.port}", "Z4J_TOKEN": "z4j-agent-0123456789"},
        words=(f"localhost:{peer.port}",),
    )


@scenario("tls.closed", "TLS 48: FIN after ClientHello", "closed the connection when it was greeted in TLS")
async def a_load_balancer_has_no_server(stage: Stage) -> Case:
    """a peer that reads ClientHello and closes, as a TCP load balancer without healthy servers"""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Peer) -> None:
        await reader.read(4096)

    peer = await stage.peer(behave)
    return Case({"Z4J_BRAIN_URL": f"https://localhost:{peer.port}", "Z4J_TOKEN": "z4j-agent-0123456789"})


@scenario("tls.timeout", "collision: a TLS blackhole", "did not answer the TLS greeting", timeout_s=1.0)
async def the_handshake_is_not_answered(stage: Stage) -> Case:
    """a peer that takes ClientHello and says nothing"""
    peer = await stage.peer(silent())
    return Case(
        {"Z4J_BRAIN_URL": f"https://localhost:{peer.port}", "Z4J_TOKEN": "z4j-agent-0123456789"},
        words=(f"localhost:{peer.port}",),
    )


@scenario("tls.timeout", "TCP 20: an MTU blackhole", "did not answer the TLS greeting", hint=("MTU",), timeout_s=1.5)
async def large_packets_are_lost(stage: Stage) -> Case:
    """nftables drops packets over 600 bytes: TCP connects, the certificate never arrives"""
    lab, environ = await stage.lab_with_brain(BRAIN_IP)
    await lab.firewall("tcp sport 443 meta length > 600 drop")
    return Case(environ, prefix=lab.prefix)


@scenario("tls.expiring_soon", "a renewal that stopped", "runs out in 5 days", hint=("renewed",))
async def the_certificate_runs_out_soon(stage: Stage) -> Case:
    """a certificate of 90 days with five left"""
    return await serving(stage, issue(stage.root, "localhost", starts=days(-85), expires=days(5.1)))


@scenario("tls.not_strict", "TLS 40: X509_STRICT", "Python 3.1", "without keyUsage", status="fail" if STRICT else "warn")
async def the_private_ca_was_made_by_hand(stage: Stage) -> Case:
    """a CA without keyUsage: Python 3.12 takes it, Python 3.13 refuses it"""
    hand_made = authority("Hand-made CA", key_usage=False)
    case = await serving(stage, issue(hand_made, "localhost"))
    return Case({**case.environ, "Z4J_CA_FILE": hand_made.save(stage.directory / "hand.pem")})


__all__ = ["faketime", "s_server", "server_context", "serving"]
