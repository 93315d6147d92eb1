"""A host name, judged without asking anyone: its ASCII form, what is malformed in it, who should know it."""

from __future__ import annotations

import ipaddress
import socket

from z4j_probes.endpoint import Endpoint

# RFC 1035 §2.3.4
_LABEL_MAX = 63
_NAME_MAX = 253

# Names under these are known to one network, cluster or machine only, by design: RFC 6761 and RFC 8375,
# .internal (reserved by ICANN in 2024), .local (RFC 6762), and what routers and clusters hand out.
_PRIVATE_SUFFIXES = frozenset(
    {"internal", "local", "localhost", "localdomain", "test", "home.arpa"}
    | {"lan", "home", "corp", "intranet", "private", "svc"}
)
# Public zones that exist in order to answer with loopback; who writes one means it.
_LOOPBACK_ZONES = ("localtest.me", "lvh.me", "nip.io", "sslip.io", "traefik.me", "vcap.me")


def ascii_name(host: str) -> str:
    """The name as the system resolver and TLS send it, in ASCII, as browsers do it: UTS 46, non-transitional.

    So `straße.example` is not `strasse.example` (IDNA 2003, as Python's own codec has it), but a name of its
    own. UnicodeError where `malformed` says why.
    """
    if host.isascii():
        return host
    import idna

    name = host.rstrip("\u3002\uff0e\uff61.")
    dot = "." if name != host else ""
    return idna.encode(name, uts46=True, transitional=False).decode("ascii") + dot


def shown(host: str) -> str:
    """The name for people: with the form that is asked for, where that is another one."""
    name = ascii_name(host)
    return host if name == host else f"{host} ({name})"


def malformed(host: str) -> str | None:
    """Why no resolver can take this name, or None."""
    try:
        name = ascii_name(host).removesuffix(".")
    except UnicodeError as exc:
        return f"it has no ASCII form ({str(exc).partition(chr(10))[0]})"
    labels = name.split(".")
    if "" in labels:
        return "it has an empty label (two dots in a row, or one at its start)"
    for label in labels:
        if len(label) > _LABEL_MAX:
            return f"the label {label[:12]}… has {len(label)} characters, {_LABEL_MAX} are allowed"
        if label.startswith("-") or label.endswith("-"):
            return f"the label {label!r} starts or ends with a hyphen"
        # the underscore is no host name's, but Docker and Compose make such names and they resolve
        bad = next((c for c in label if not (c.isalnum() or c in "-_")), None)
        if bad is not None:
            return f"it contains {bad!r}"
    if len(name) > _NAME_MAX:
        return f"it has {len(name)} characters, {_NAME_MAX} are allowed"
    return None


def is_private(host: str) -> bool:
    """Whether the public DNS is not expected to know it: a single label, or under a private suffix."""
    labels = ascii_name(host).rstrip(".").lower().split(".")
    return len(labels) == 1 or labels[-1] in _PRIVATE_SUFFIXES or ".".join(labels[-2:]) in _PRIVATE_SUFFIXES


def is_loopback_name(host: str) -> bool:
    """Names that mean this machine, so that a loopback address is what they should resolve to."""
    name = ascii_name(host).rstrip(".").lower()
    own = socket.gethostname().lower()
    zones = any(name == zone or name.endswith(f".{zone}") for zone in _LOOPBACK_ZONES)
    # Debian's installer maps the machine's own full name to 127.0.1.1
    return zones or name == "localhost" or name.endswith(".localhost") or name.partition(".")[0] == own


def is_nowhere(ip: str) -> bool:
    """Whether this is what a DNS filter answers instead of an address: 0.0.0.0 or ::."""
    address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_unspecified


def server_name(endpoint: Endpoint) -> str:
    """The name for SNI and for the comparison with the certificate: without the root's dot, or a zone.

    An interface of this machine (`fe80::1%eth0`) is not a part of an address that others could certify.
    """
    if endpoint.address:
        return endpoint.host.partition("%")[0]
    return ascii_name(endpoint.host.rstrip("."))
