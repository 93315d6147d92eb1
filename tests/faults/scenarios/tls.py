"""Certificates and handshakes with one thing wrong: a dev brain, nginx and openssl s_server."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from tests.faults.scenario import Case, scenario
from tests.faults.stage import BRAIN_IP, BRAIN_IP6, Stage
from tests.support.certificates import CLIENT, Issued, authority, issue, weak_key
from tests.support.http_peers import Peer

STRICT = sys.version_info >= (3, 13)
"""Python 3.13 refuses what older ones take (X509_STRICT): there the warning is a failure."""


def days(number: float) -> timedelta:
    return timedelta(days=number)


async def serving(
    stage: Stage,
    leaf: Issued,
    *,
    chain: tuple[Issued, ...] | None = None,
    host: str = "localhost",
    **more: str,
) -> Case:
    """A brain with this certificate, dialled by this name, with the stage's root as the CA file."""
    brain = await stage.tls_brain(leaf, chain=chain)
    url = f"https://{host}:{brain.port}"
    return Case({**stage.settings(brain, url), "Z4J_CA_FILE": stage.ca_file, **more})


@scenario(
    "tls.expired",
    "the certificate has expired",
    "the certificate of localhost expired 3 days ago",
    hint=("renew",),
)
async def the_certificate_has_expired(stage: Stage) -> Case:
    """a certificate that ran out three days ago"""
    return await serving(stage, issue(stage.root, "localhost", starts=days(-90), expires=days(-3.1)))


@scenario(
    "tls.expired",
    "an intermediate certificate has expired",
    'the intermediate certificate "Corp Issuing CA"',
    "expired 10 days ago",
    hint=('outdated "Corp Issuing CA"',),
)
async def an_intermediate_has_expired(stage: Stage) -> Case:
    """the leaf is valid, the issuing CA that the server sends ran out ten days ago: the same verify code"""
    issuing = authority("Corp Issuing CA", stage.root, starts=days(-900), expires=days(-10.1))
    return await serving(stage, issue(issuing, "localhost"))


@scenario(
    "tls.expired",
    "the root certificate has expired",
    'the root certificate "Old Root CA"',
    "expired 20 days ago",
)
async def the_root_has_expired(stage: Stage) -> Case:
    """the root in Z4J_CA_FILE ran out twenty days ago: the same verify code again"""
    old = authority("Old Root CA", starts=days(-3650), expires=days(-20.1))
    case = await serving(stage, issue(old, "localhost"))
    return Case({**case.environ, "Z4J_CA_FILE": old.save(stage.directory / "old.pem")})


@scenario(
    "tls.not_yet_valid", "the certificate is not valid yet", "becomes valid in 2 days", hint=("date -u",)
)
async def the_certificate_is_not_valid_yet(stage: Stage) -> Case:
    """a certificate whose first day is the day after tomorrow"""
    return await serving(stage, issue(stage.root, "localhost", starts=days(2.1), expires=days(90)))


@scenario(
    "tls.hostname_mismatch",
    "a certificate for other names",
    "is for shop.example, www.shop.example, not for localhost",
)
async def the_certificate_is_for_other_names(stage: Stage) -> Case:
    """a certificate for shop.example and www.shop.example"""
    return await serving(stage, issue(stage.root, "shop.example", "www.shop.example"))


@scenario(
    "tls.hostname_mismatch",
    "an address in the URL, a name in the certificate",
    "not for 127.0.0.1",
    hint=("by its name",),
)
async def the_url_has_an_address(stage: Stage) -> Case:
    """the URL has the brain's address, and the certificate names no address"""
    return await serving(stage, issue(stage.root, "brain.example"), host="127.0.0.1")


@scenario(
    "tls.self_signed",
    "a self-signed certificate",
    "is self-signed",
    "localhost",
    hint=("Z4J_CA_FILE", "openssl s_client"),
)
async def the_certificate_is_self_signed(stage: Stage) -> Case:
    """a certificate that issued itself"""
    case = await serving(stage, issue(None, "localhost"))
    return Case({**case.environ, "Z4J_CA_FILE": ""})


@scenario(
    "tls.unknown_ca",
    "a private root that is not installed here",
    '"Corp Root CA"',
    "not trusted on this machine",
    hint=('"Corp Root CA"', "Z4J_CA_FILE"),
)
async def the_root_is_not_installed(stage: Stage) -> Case:
    """a certificate of a private CA, and the trust stores of the system"""
    case = await serving(stage, issue(stage.root, "localhost"))
    return Case({**case.environ, "Z4J_CA_FILE": ""})


@scenario("tls.unknown_ca", "Z4J_CA_FILE names another root", '"Corp Root CA"', "is not in Z4J_CA_FILE")
async def another_root_is_named(stage: Stage) -> Case:
    """Z4J_CA_FILE names the root of the test environment; the server sends its own root too"""
    case = await serving(stage, issue(stage.root, "localhost"), chain=(stage.root,))
    other = authority("Staging Root CA").save(stage.directory / "staging.pem")
    return Case({**case.environ, "Z4J_CA_FILE": other})


@scenario(
    "tls.unknown_ca", "a root that was renewed with another key", "with another key", hint=("old root",)
)
async def the_root_was_renewed(stage: Stage) -> Case:
    """Z4J_CA_FILE has the CA's former root: the same name, another key"""
    case = await serving(stage, issue(stage.root, "localhost"))
    former = authority("Corp Root CA", organization="Corp", starts=days(-3000)).save(
        stage.directory / "former.pem"
    )
    return Case({**case.environ, "Z4J_CA_FILE": former})


@scenario(
    "tls.incomplete_chain",
    "the server does not send the intermediate certificate",
    '"Corp Issuing CA"',
    "but not that of its issuer",
    hint=("fullchain.pem", "openssl s_client"),
)
async def the_intermediate_is_not_sent(stage: Stage) -> Case:
    """nginx with cert.pem in ssl_certificate: the verify code is that of an unknown root"""
    issuing = authority("Corp Issuing CA", stage.root, organization="Corp")
    brain = await stage.brain()
    nginx = await stage.tls_nginx(brain.port, issue(issuing, "localhost"), chain=())
    return Case(stage.settings(brain, f"https://localhost:{nginx.port}", Z4J_CA_FILE=stage.ca_file))


@scenario(
    "tls.empty_trust_store",
    "SSL_CERT_FILE names a file that does not exist",
    "SSL_CERT_FILE names /etc/ssl/corp.pem: No such file",
    hint=("unset SSL_CERT_FILE",),
)
async def ssl_cert_file_names_nothing(stage: Stage) -> Case:
    """SSL_CERT_FILE=/etc/ssl/corp.pem, which is not there: OpenSSL loads nothing and says nothing"""
    case = await serving(stage, issue(stage.root, "localhost"))
    return Case({**case.environ, "Z4J_CA_FILE": "", "SSL_CERT_FILE": "/etc/ssl/corp.pem"})


@scenario(
    "tls.wrong_purpose", "a certificate for clients only", "may not be used for a server", "X509_V_ERR 26"
)
async def the_certificate_is_a_clients(stage: Stage) -> Case:
    """a client certificate is installed on the server"""
    return await serving(stage, issue(stage.root, "localhost", purpose=CLIENT))


@scenario(
    "tls.wrong_purpose", "a certificate whose issuer is not a CA", '"Corp Web Server", which is not a CA'
)
async def the_issuer_is_no_ca(stage: Stage) -> Case:
    """an ordinary certificate was used to issue another"""
    no_ca = authority("Corp Web Server", stage.root, is_ca=False)
    return await serving(stage, issue(no_ca, "localhost"))


@scenario(
    "tls.wrong_purpose",
    "name constraints that exclude the name",
    "may not be used for a server",
    "X509_V_ERR 47",
)
async def the_ca_may_not_issue_for_the_name(stage: Stage) -> Case:
    """the issuing CA is limited to corp.example by its name constraints"""
    limited = authority("Corp Issuing CA", stage.root, permitted="corp.example")
    return await serving(stage, issue(limited, "localhost"))


@scenario(
    "tls.wrong_purpose",
    "a chain that is longer than a CA allows",
    "may not be used for a server",
    "X509_V_ERR 25",
)
async def the_ca_may_not_have_a_ca_below(stage: Stage) -> Case:
    """a CA whose path length is 0 issued another CA"""
    last = authority("Corp Issuing CA", stage.root, path_length=0)
    return await serving(stage, issue(authority("Corp Team CA", last), "localhost"))


@scenario("tls.weak", "an RSA key of 1024 bits", "RSA 1024", "too weak")
async def the_key_is_short(stage: Stage) -> Case:
    """a certificate with an RSA key of 1024 bits"""
    return await serving(stage, issue(stage.root, "localhost", key=weak_key()))


@scenario(
    "tls.expiring_soon",
    "a certificate that was not renewed and soon expires",
    "expires in 5 days",
    hint=("renewal",),
)
async def the_certificate_runs_out_soon(stage: Stage) -> Case:
    """a certificate of 90 days with five left"""
    return await serving(stage, issue(stage.root, "localhost", starts=days(-85), expires=days(5.1)))


@scenario(
    "tls.not_strict",
    "a hand-made CA that Python 3.13 refuses",
    "Python 3.1",
    "without keyUsage",
    status="fail" if STRICT else "warn",
)
async def the_private_ca_was_made_by_hand(stage: Stage) -> Case:
    """a CA without keyUsage: Python 3.12 takes it, Python 3.13 refuses it"""
    hand_made = authority("Hand-made CA", key_usage=False)
    case = await serving(stage, issue(hand_made, "localhost"))
    return Case({**case.environ, "Z4J_CA_FILE": hand_made.save(stage.directory / "hand.pem")})


@scenario(
    "tls.self_signed",
    "an ingress' default certificate",
    "self-signed",
    "ingress.local",
    hint=("Install a certificate for localhost", "ingress"),
)
async def an_ingress_has_its_default_certificate(stage: Stage) -> Case:
    """a self-signed certificate for another name: trusted, it would still not be for this one"""
    return await serving(stage, issue(None, "ingress.local"), Z4J_CA_FILE="")


@scenario(
    "tls.unknown_ca",
    "a chain that ends in a root that has expired and was removed",
    '"DST Root CA X3"',
    "that root has expired",
    hint=('the certificate of "ISRG Root X1"', "Z4J_CA_FILE"),
)
async def the_chain_leads_to_a_retired_root(stage: Stage) -> Case:
    """the server sends ISRG Root X1 as signed by DST Root CA X3, and this machine has neither"""
    retired = authority("DST Root CA X3")
    cross_signed = authority("ISRG Root X1", retired)
    issuing = authority("R3", cross_signed)
    return await serving(stage, issue(issuing, "localhost"))


@scenario(
    "tls.hostname_mismatch",
    "an address as a DNS name in the certificate",
    "has 127.0.0.1 as a DNS name",
    hint=("IP:127.0.0.1", "not DNS:127.0.0.1"),
)
async def the_address_is_a_dns_name(stage: Stage) -> Case:
    """subjectAltName=DNS:127.0.0.1, as a forgotten IP: makes it"""
    leaf = issue(stage.root, "127.0.0.1", as_dns_names=True)
    return await serving(stage, leaf, host="127.0.0.1")


def server_hello_without_renegotiation_info(client_hello: bytes) -> bytes:
    """A ServerHello of TLS 1.2 that has no extensions, and so none of RFC 5746 (RFC 5246 §7.4.1.3)."""
    session_length = client_hello[43]
    at = 44 + session_length
    count = int.from_bytes(client_hello[at : at + 2], "big")
    offered = {client_hello[i : i + 2] for i in range(at + 2, at + 2 + count, 2)}
    suite = next(suite for suite in (b"\xc0\x2f", b"\xc0\x30", b"\xc0\x2b") if suite in offered)
    body = b"\x03\x03" + bytes(32) + b"\x00" + suite + b"\x00"
    handshake = b"\x02" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x03" + len(handshake).to_bytes(2, "big") + handshake


@scenario(
    "tls.weak",
    "a server without secure renegotiation",
    "secure renegotiation (RFC 5746)",
    hint=("Upgrade the server", "RFC 5746"),
)
async def the_server_lacks_secure_renegotiation(stage: Stage) -> Case:
    """a peer whose ServerHello has no renegotiation_info, as old load balancers and firewalls"""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Peer) -> None:
        record = await reader.readexactly(5)
        record += await reader.readexactly(int.from_bytes(record[3:], "big"))
        writer.write(server_hello_without_renegotiation_info(record))
        await reader.read()

    peer = await stage.peer(behave)
    brain = await stage.brain()
    return Case(stage.settings(brain, f"https://localhost:{peer.port}", Z4J_CA_FILE=stage.ca_file))


@scenario(
    "tls.slow",
    "large packets are lost over IPv6, and IPv4 works",
    "but only over IPv4",
    f"[{BRAIN_IP6}]:443 accepted the connection and did not answer within",
    hint=("Fix IPv6", "AAAA record", "ping"),
)
async def tls_works_over_one_family_only(stage: Stage) -> Case:
    """both families accept; nftables drops IPv6 packets of more than 200 bytes, as a tunnel does"""
    lab, environ = await stage.lab_with_brain(BRAIN_IP, BRAIN_IP6)
    await lab.firewall("ip6 nexthdr tcp tcp dport 443 meta length > 200 drop")
    return Case(environ, prefix=lab.prefix)


@scenario(
    "tls.timeout",
    "large packets are lost over both families",
    "over IPv6, nor within",
    "over IPv4",
    hint=("MTU",),
    timeout_s=2.0,
)
async def tls_works_over_no_family(stage: Stage) -> Case:
    """the same for IPv4 as well"""
    lab, environ = await stage.lab_with_brain(BRAIN_IP, BRAIN_IP6)
    await lab.firewall("tcp dport 443 meta length > 200 drop")
    return Case(environ, prefix=lab.prefix)
