"""Facts of certificates: what one says of itself, how a chain hangs together, what strict verifiers refuse.

Reads with `cryptography`, which takes its time to import: only after a failure, or for the doctor's warnings.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from z4j_probes.portable.name_servers import is_address

if TYPE_CHECKING:
    from cryptography import x509

    E = TypeVar("E", bound=x509.ExtensionType)

# CA/Browser Forum: 2.23.140.1.2.* says under which of its rules a public CA has issued.
_PUBLIC_POLICIES = "2.23.140.1.2."


@dataclass(frozen=True, slots=True)
class Certificate:
    """What one certificate says of itself. `name` and `issuer_name` are the short forms, for people."""

    der: bytes = field(repr=False)
    subject: str
    issuer: str
    name: str
    issuer_name: str
    issuer_organization: str | None
    organization: str | None
    not_before: datetime
    not_after: datetime
    names: tuple[str, ...]
    key: str
    signature: str
    issuer_urls: tuple[str, ...]
    publicly_issued: bool
    key_id: bytes | None = field(repr=False)
    authority_key_id: bytes | None = field(repr=False)

    @property
    def self_issued(self) -> bool:
        """Whether it names itself as its issuer."""
        return self.subject == self.issuer

    def issued(self, other: Certificate) -> bool:
        """Whether it can be the issuer of `other`, by name and by key identifiers where both have one."""
        if self.subject != other.issuer:
            return False
        ids = (self.key_id, other.authority_key_id)
        return None in ids or ids[0] == ids[1]

    def is_for(self, host: str) -> bool:
        """Whether it is for this host, a wildcard for one label included (RFC 9525 §6.3)."""
        host = host.lower()
        parent = host.partition(".")[2]
        return any(name.lower() in (host, f"*.{parent}") for name in self.names)

    def is_valid_at(self, moment: datetime) -> bool:
        """Whether its dates cover that moment."""
        return self.not_before <= moment <= self.not_after


def read_all(ders: Iterable[bytes]) -> tuple[Certificate, ...]:
    """The certificates, without those that can't be read at all."""
    found = []
    with warnings.catch_warnings(action="ignore"):  # of oddities in roots that no one here has made
        for der in ders:
            try:
                found.append(_read(der))
            except ValueError:  # not every certificate in the world is well-formed
                continue
    return tuple(found)


def issuing_path(chain: Sequence[Certificate]) -> tuple[Certificate, ...]:
    """From the leaf upwards, each the issuer of the one before, as far as the chain as sent goes."""
    path = list(chain[:1])
    while path and not path[-1].self_issued:
        above = next((c for c in chain if c not in path and c.issued(path[-1])), None)
        if above is None:
            break
        path.append(above)
    return tuple(path)


def strict_faults(ders: Sequence[bytes]) -> list[str]:
    """What OpenSSL refuses in a chain only under X509_STRICT (RFC 5280 §4.2.1): leaf to root."""
    from cryptography import x509

    faults = []
    with warnings.catch_warnings(action="ignore"):
        for position, der in enumerate(ders):
            try:
                certificate = x509.load_der_x509_certificate(der)
                last = position + 1 == len(ders)
                name = _short(certificate.subject)
                faults += [f'"{name}" {fault}' for fault in _strict_faults(certificate, last)]
            except ValueError:
                faults.append(f"certificate {position} of the chain is malformed")
    return faults


def _strict_faults(certificate: x509.Certificate, last: bool) -> list[str]:
    from cryptography import x509

    faults = []
    basic = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    authority = _extension(certificate, x509.AuthorityKeyIdentifier)
    subject_id = _extension(certificate, x509.SubjectKeyIdentifier)
    if basic is not None and basic.value.ca:
        if not basic.critical:
            faults.append("is a CA whose basicConstraints are not critical")
        if usage is None:
            faults.append("is a CA without keyUsage")
        elif not usage.value.key_cert_sign and basic.value.path_length is not None:
            faults.append("limits the path length without the right to sign certificates")
        if subject_id is None:
            faults.append("is a CA without a subject key identifier")
    elif usage is not None and usage.value.key_cert_sign:
        faults.append("is not a CA, but may sign certificates")
    if not last and (authority is None or authority.value.key_identifier is None):
        faults.append("has no authority key identifier")
    if authority is not None and authority.critical:
        faults.append("has an authority key identifier that is critical")
    if subject_id is not None and subject_id.critical:
        faults.append("has a subject key identifier that is critical")
    names = _extension(certificate, x509.SubjectAlternativeName)
    if names is not None and not certificate.subject.rdns and not names.critical:
        faults.append("has no subject, and alternative names that are not critical")
    return faults


def _read(der: bytes) -> Certificate:
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(der)
    authority = _extension(certificate, x509.AuthorityKeyIdentifier)
    subject_id = _extension(certificate, x509.SubjectKeyIdentifier)
    return Certificate(
        der=der,
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        name=_short(certificate.subject),
        issuer_name=_short(certificate.issuer),
        organization=_attribute(certificate.subject, x509.NameOID.ORGANIZATION_NAME),
        issuer_organization=_attribute(certificate.issuer, x509.NameOID.ORGANIZATION_NAME),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        names=_names(certificate),
        key=_key(certificate),
        signature=_signature(certificate),
        issuer_urls=_issuer_urls(certificate),
        publicly_issued=_publicly_issued(certificate),
        key_id=subject_id.value.digest if subject_id else None,
        authority_key_id=authority.value.key_identifier if authority else None,
    )


def _extension(certificate: x509.Certificate, kind: type[E]) -> x509.Extension[E] | None:
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def _attribute(name: x509.Name, oid: x509.ObjectIdentifier) -> str | None:
    found = name.get_attributes_for_oid(oid)
    return str(found[0].value) if found else None


def _short(name: x509.Name) -> str:
    from cryptography import x509

    oids = (x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATION_NAME)
    return next(filter(None, (_attribute(name, oid) for oid in oids)), None) or name.rfc4514_string() or "?"


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    from cryptography import x509

    names = _extension(certificate, x509.SubjectAlternativeName)
    if names is None:
        return ()
    hosts = names.value.get_values_for_type(x509.DNSName)
    addresses = names.value.get_values_for_type(x509.IPAddress)
    # an address that was written down as a name is none to a client (RFC 9525 §6.5)
    return (*(f"DNS:{host}" if is_address(host) else host for host in hosts), *map(str, addresses))


def _key(certificate: x509.Certificate) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        key = certificate.public_key()
    except UnsupportedAlgorithm:
        return "of an unknown kind"
    size = getattr(key, "key_size", None)
    kind = type(key).__name__.strip("_").removesuffix("PublicKey")
    return f"{kind} {size}" if size else kind


def _signature(certificate: x509.Certificate) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        digest = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return "unknown"
    return digest.name if digest else certificate.signature_algorithm_oid.dotted_string


def _issuer_urls(certificate: x509.Certificate) -> tuple[str, ...]:
    from cryptography import x509

    access = _extension(certificate, x509.AuthorityInformationAccess)
    if access is None:
        return ()
    wanted = x509.oid.AuthorityInformationAccessOID.CA_ISSUERS
    places = [entry.access_location.value for entry in access.value if entry.access_method == wanted]
    return tuple(str(place) for place in places)


def _publicly_issued(certificate: x509.Certificate) -> bool:
    """Whether it bears a mark that only public CAs give: certificate transparency, or the forum's policy."""
    from cryptography import x509

    if _extension(certificate, x509.PrecertificateSignedCertificateTimestamps) is not None:
        return True
    policies = _extension(certificate, x509.CertificatePolicies)
    return policies is not None and any(
        policy.policy_identifier.dotted_string.startswith(_PUBLIC_POLICIES) for policy in policies.value
    )
