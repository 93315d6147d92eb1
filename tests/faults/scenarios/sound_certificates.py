"""Certificates, trust stores and clocks that are unusual and in order. None of them may turn red."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric import rsa

from tests.faults.scenario import Case, healthy
from tests.faults.scenarios.tls import serving
from tests.faults.scenarios.tls_handshake import faketime
from tests.faults.stage import BRAIN_HOST, BRAIN_IP, Stage
from tests.support.certificates import authority, issue
from tests.support.programs import program
from z4j_fastapi.devbrain import Misbehaviour


@healthy("a wss:// URL", "tls.ok")
async def a_wss_url(stage: Stage) -> Case:
    """wss:// instead of https://"""
    case = await serving(stage, issue(stage.root, "localhost"))
    return Case({**case.environ, "Z4J_BRAIN_URL": case.environ["Z4J_BRAIN_URL"].replace("https", "WSS")})


@healthy("a root in SSL_CERT_FILE", "tls.ok")
async def ssl_cert_file(stage: Stage) -> Case:
    """the private root by SSL_CERT_FILE instead of Z4J_CA_FILE"""
    case = await serving(stage, issue(stage.root, "localhost"))
    return Case({**case.environ, "Z4J_CA_FILE": "", "SSL_CERT_FILE": stage.ca_file})


@healthy("a root in SSL_CERT_DIR", "tls.ok")
async def ssl_cert_dir(stage: Stage) -> Case:
    """the private root in a directory that was hashed with `openssl rehash`, by SSL_CERT_DIR"""
    case = await serving(stage, issue(stage.root, "localhost"))
    certificates = stage.directory / "certs"
    certificates.mkdir()
    stage.root.save(certificates / "corp.pem")
    rehash = await asyncio.create_subprocess_exec(program("openssl"), "rehash", str(certificates))
    assert await rehash.wait() == 0
    return Case({**case.environ, "Z4J_CA_FILE": "", "SSL_CERT_DIR": str(certificates)})


@healthy("a wildcard certificate", "tls.ok")
async def a_wildcard_certificate(stage: Stage) -> Case:
    """*.example.com for brain.example.com"""
    lab, environ = await stage.lab_with_brain()
    brain = await stage.tls_brain(issue(stage.root, "*.example.com"))
    await lab.forward(BRAIN_IP, 8443, brain.port)
    stage.agent = None
    return Case(environ | stage.settings(brain, f"https://{BRAIN_HOST}:8443"), prefix=lab.prefix)


@healthy("an address in the URL and in the certificate", "tls.ok", "dns.literal")
async def an_address_in_the_certificate(stage: Stage) -> Case:
    """https://127.0.0.1, which the certificate names"""
    return await serving(stage, issue(stage.root, "localhost", "127.0.0.1"), host="127.0.0.1")


@healthy("a long chain and many names", "tls.ok")
async def a_long_chain_and_many_names(stage: Stage) -> Case:
    """three intermediates, an RSA key of 4096 bits and 300 names: several TLS records"""
    above = stage.root
    for level in ("Policy", "Region", "Issuing"):
        above = authority(f"Corp {level} CA", above, organization="Corp" * 12)
    names = [f"service-{number}.internal.corp.example" for number in range(300)]
    key = rsa.generate_private_key(public_exponent=65537, key_size=4096)
    return await serving(stage, issue(above, "localhost", *names, key=key))


@healthy("an intermediate that is trusted itself", "tls.ok")
async def the_intermediate_is_trusted_itself(stage: Stage) -> Case:
    """Z4J_CA_FILE names the issuing CA, and not the root above it"""
    issuing = authority("Corp Issuing CA", stage.root)
    case = await serving(stage, issue(issuing, "localhost"), chain=())
    return Case({**case.environ, "Z4J_CA_FILE": issuing.save(stage.directory / "issuing.pem")})


@healthy("a short-lived certificate", "tls.ok")
async def a_short_lived_certificate(stage: Stage) -> Case:
    """a certificate of three days with one left, as automatic CAs issue: below 14 days, and in order"""
    leaf = issue(stage.root, "localhost", starts=timedelta(days=-2), expires=timedelta(days=1))
    return await serving(stage, leaf)


@healthy("TLS 1.2 only", "tls.ok")
async def tls_1_2_alone(stage: Stage) -> Case:
    """nginx with `ssl_protocols TLSv1.2`"""
    brain = await stage.brain()
    nginx = await stage.tls_nginx(brain.port, issue(stage.root, "localhost"), more="ssl_protocols TLSv1.2;")
    return Case(stage.settings(brain, f"https://localhost:{nginx.port}", Z4J_CA_FILE=stage.ca_file))


@healthy("optional client certificates", "tls.ok")
async def optional_client_certificates(stage: Stage) -> Case:
    """nginx asks for a client certificate and does without one (`ssl_verify_client optional`)"""
    brain = await stage.brain()
    more = f"ssl_verify_client optional; ssl_client_certificate {stage.ca_file};"
    nginx = await stage.tls_nginx(brain.port, issue(stage.root, "localhost"), more=more)
    return Case(stage.settings(brain, f"https://localhost:{nginx.port}", Z4J_CA_FILE=stage.ca_file))


@healthy("a slow brain", "signing.ok")
async def a_slow_brain(stage: Stage) -> Case:
    """a brain that thinks for a second before each answer"""
    return Case(stage.settings(await stage.brain(Misbehaviour(delay_s=1.0))))


@healthy("a clock that is a little off", "signing.ok")
async def a_clock_that_is_a_little_off(stage: Stage) -> Case:
    """libfaketime sets the doctor's clock ten seconds ahead of the real brain's"""
    return Case(stage.real_settings(), prefix=faketime("+10"))
