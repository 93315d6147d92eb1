"""Certificates with one thing wrong with them, or nothing: a small builder over `cryptography`.

root = authority("Corp Root")
leaf = issue(root, "localhost", expires=timedelta(days=-3))
context = server_context(leaf)
"""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

SERVER = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH

_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Issued:
    """A certificate, its private key, and who issued it (None: itself)."""

    certificate: x509.Certificate
    key: _Key
    issuer: Issued | None = None

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def intermediates(self) -> tuple[Issued, ...]:
        """What a well configured server sends after it: its issuers, without the root."""
        above = self.issuer
        return (above, *above.intermediates) if above is not None and above.issuer is not None else ()

    def save(self, path: Path) -> str:
        """Write the certificate alone, as a CA file; its path."""
        path.write_bytes(self.pem)
        return str(path)


def authority(
    name: str,
    issuer: Issued | None = None,
    *,
    starts: timedelta = timedelta(days=-10),
    expires: timedelta = timedelta(days=3650),
    organization: str | None = None,
    critical_constraints: bool = True,
    key_usage: bool = True,
    key_id: bool = True,
    is_ca: bool = True,
    path_length: int | None = None,
    permitted: str | None = None,
    key: _Key | None = None,
) -> Issued:
    """A CA: a root, or an intermediate where there is an issuer."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = _start(_name(name, organization), key, issuer, starts, expires)
    constraints = x509.BasicConstraints(ca=is_ca, path_length=path_length if is_ca else None)
    builder = builder.add_extension(constraints, critical=critical_constraints)
    if key_usage:
        builder = builder.add_extension(_usage(signs_certificates=is_ca), critical=True)
    if key_id:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    if issuer is not None:
        builder = builder.add_extension(_authority_key_id(issuer), critical=False)
    if permitted is not None:
        only = x509.NameConstraints(permitted_subtrees=[x509.DNSName(permitted)], excluded_subtrees=None)
        builder = builder.add_extension(only, critical=True)
    return _finish(builder, key, issuer)


def issue(
    issuer: Issued | None,
    *names: str,
    starts: timedelta = timedelta(days=-10),
    expires: timedelta = timedelta(days=80),
    purpose: x509.ObjectIdentifier = SERVER,
    authority_key_id: bool = True,
    issuer_url: str | None = None,
    key: _Key | None = None,
    as_dns_names: bool = False,
    more: x509.ExtensionType | None = None,
) -> Issued:
    """A server's certificate for these names; signed by itself where there is no issuer.

    With `as_dns_names`, addresses are written down as names, as by mistake. `more` is a critical extension.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = _start(_name(names[0]), key, issuer, starts, expires)
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.DNSName(n) if as_dns_names else _general_name(n) for n in names]),
        False,
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    if authority_key_id:
        signer = issuer.key if issuer else key
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(identifier, critical=False)
    if more is not None:
        builder = builder.add_extension(more, critical=True)
    if issuer_url is not None:
        place = x509.UniformResourceIdentifier(issuer_url)
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    return _finish(builder, key, issuer)


def weak_key() -> rsa.RSAPrivateKey:
    """An RSA key of 1024 bits."""
    return rsa.generate_private_key(public_exponent=65537, key_size=1024)


def server_context(leaf: Issued, *, chain: tuple[Issued, ...] | None = None) -> ssl.SSLContext:
    """A server's context that sends this leaf and its intermediates, or exactly `chain` after the leaf."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    key = leaf.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    sent = (leaf, *(leaf.intermediates if chain is None else chain))
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(key + b"".join(one.pem for one in sent))
        file.flush()
        context.load_cert_chain(file.name)
    return context


def _start(
    subject: x509.Name, key: _Key, issuer: Issued | None, starts: timedelta, expires: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + starts)
        .not_valid_after(now + expires)
    )


def _finish(builder: x509.CertificateBuilder, key: _Key, issuer: Issued | None) -> Issued:
    return Issued(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key, issuer)


def _name(common: str, organization: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organization is not None:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _authority_key_id(issuer: Issued) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
