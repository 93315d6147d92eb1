"""The words for a failed TLS handshake: message, steps and details for each code, from the evidence only."""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from z4j_probes.codes import outcome
from z4j_probes.hostname import server_name
from z4j_probes.portable import errors, shell
from z4j_probes.portable.system import by_system
from z4j_probes.result import Advice, ProbeResult, Status, Step
from z4j_probes.rungs.hints import set_value, show_handshake
from z4j_probes.rungs.tls.certificates import strict_faults
from z4j_probes.rungs.tls.classify import CLOCK_READING, Evidence, culprit, issuing_roots
from z4j_probes.rungs.tls.handshake import ALERTS
from z4j_probes.rungs.tls.headline import headline
from z4j_probes.rungs.tls.spans import day, span

# Enough of a banner to know the service by.
_QUOTED = 60
_NAMES_SHOWN = 5
# Roots that have expired, and that servers still send cross-signed certificates for.
_RETIRED_ROOTS = frozenset(
    {"DST Root CA X3", "AddTrust External CA Root", "Baltimore CyberTrust Root", "GlobalSign Root CA - R2"}
)
_INVALID_CA = 79  # X509_V_ERR_INVALID_CA
# Of X509_V_ERR_…: extensions that are critical and unknown, or can't be read.
_ABOUT_EXTENSIONS = (34, 41, 42, 43, 49, 50, 51, 52, 53)
# With these, other clients than OpenSSL's are told of a company's root: requests, curl, Node, AWS, pip, Git.
_OTHERS_BUNDLES = (
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "AWS_CA_BUNDLE",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
)

Words = tuple[str, Advice | None]


def verdict(code: str, evidence: Evidence) -> ProbeResult:
    """The result for this code."""
    (message, advice), proxy = _WORDS[code](evidence), evidence.proxy
    if proxy is not None:
        if code == "tls.timeout":
            advice = None  # packets to the brain itself would go another way
        message += f" (through the proxy {proxy.authority})"
    result = outcome(
        code, message, hint=advice, details=_details(evidence), headline=headline(code, evidence)
    )
    if code == "tls.not_strict":
        # the catalogue's row is the warning of an older Python; this one has really refused
        return replace(result, status=Status.FAIL)
    return result


def _which(evidence: Evidence) -> str:
    """The certificate whose dates failed, as a person would call it."""
    host, certificate = evidence.endpoint.host, culprit(evidence)
    if certificate is None or certificate == evidence.chain[0]:
        return f"the certificate of {host}"
    kind = "root" if certificate.self_issued else "intermediate"
    return f'the {kind} certificate "{certificate.name}" above that of {host}'


def _expired(evidence: Evidence) -> Words:
    certificate = culprit(evidence)
    if certificate is None:
        return f"{_which(evidence)} has expired", None
    ago = span(evidence.now - certificate.not_after)
    message = f"{_which(evidence)} expired {ago} ago ({day(certificate.not_after)})"
    if certificate == evidence.chain[0]:
        return message, None
    if certificate.self_issued:
        return message, f'Replace "{certificate.name}" with its successor, here and on the server'
    return message, f'Renew the chain that the server sends: it contains an outdated "{certificate.name}"'


def _not_yet_valid(evidence: Evidence) -> Words:
    certificate = culprit(evidence)
    if certificate is None:
        return f"{_which(evidence)} is not valid yet", None
    ahead = span(certificate.not_before - evidence.now)
    return (
        f"{_which(evidence)} becomes valid in {ahead} (on {certificate.not_before:%Y-%m-%d %H:%M} UTC; "
        f"here it is {evidence.now:%Y-%m-%d %H:%M} UTC)",
        None,
    )


def _clock_suspect(evidence: Evidence) -> Words:
    there = evidence.server_time or evidence.now
    direction = "ahead of" if evidence.now > there else "behind"
    apart = abs(evidence.now - there) + CLOCK_READING
    return (
        f"this machine's clock is {span(apart)} {direction} that of {evidence.endpoint.host} "
        f"({evidence.now:%Y-%m-%d %H:%M} UTC here, {there:%Y-%m-%d %H:%M} UTC there): "
        "there the certificate is valid, here it is not",
        None,
    )


def _hostname_mismatch(evidence: Evidence) -> Words:
    host = evidence.endpoint.host
    names = evidence.chain[0].names if evidence.chain else ()
    shown = ", ".join(names[:_NAMES_SHOWN])
    if len(names) > _NAMES_SHOWN:
        shown += f" and {len(names) - _NAMES_SHOWN} more"
    if evidence.alert is not None:
        message = f"the server has no certificate for {host} (alert {ALERTS.get(evidence.alert)})"
        return message + (f"; its default one is for {shown}" if shown else ""), None
    if f"DNS:{host}" in names:
        message = f"the certificate has {host} as a DNS name, and a client needs it as an IP address"
        return message, Step(
            f"Issue a certificate with IP:{host} among its alternative names, not DNS:{host}"
        )
    if names:
        message = f"the certificate is for {shown}, not for {host}"
    elif evidence.chain:
        message = f"the certificate names no host at all (subject {evidence.chain[0].subject}), so not {host}"
    else:
        message = f"the certificate is not for {host}"
    if evidence.endpoint.address and not any(name == host for name in names):
        return (
            message,
            "Connect to the brain by its name: use one of the certificate's names in Z4J_BRAIN_URL",
        )
    return message, None


def _self_signed(evidence: Evidence) -> Words:
    leaf = evidence.chain[0] if evidence.chain else None
    called = f' (subject "{leaf.name}", valid until {day(leaf.not_after)})' if leaf else ""
    host = server_name(evidence.endpoint)
    if leaf is not None and leaf.names and not leaf.is_for(host):  # trusted, it would not be for this name
        listed = ", ".join(leaf.names[:_NAMES_SHOWN])
        return (
            f"the certificate of {evidence.endpoint.host} is self-signed{called}, and for {listed}: the "
            "server's default one",
            Step(f"Install a certificate for {host} on the server (ingress: in the tls section of its rule)"),
        )
    install, show = Step("Install one from a CA"), show_handshake(evidence.endpoint, evidence.proxy)
    steps: tuple[Step, ...]
    trust = set_value(
        evidence.settings, "ca_file", "/path/to/brain.pem", "Trust it", typed='"$PWD/brain.pem"'
    )
    if show is None:
        text = "If this one is intended, get a copy of it from the brain's administrator"
        steps = install, Step(f"{text}, and name it in Z4J_CA_FILE")
    else:
        steps = (
            install,
            Step(
                "If this one is intended, save it, and compare its fingerprint with the server's",
                shell.save_certificate(show),
            ),
            *trust,
        )
    return f"the certificate of {evidence.endpoint.host} is self-signed{called}", steps


def _trusted_here(evidence: Evidence) -> str:
    """Where it would be trusted: the CA file that is set, or this machine; the details name the stores."""
    named = [source for source in evidence.store.sources if source.named]
    return f"in {named[0].origin} ({named[0].path})" if named else "trusted on this machine"


def _unknown_ca(evidence: Evidence) -> Words:
    if not evidence.chain:
        return f"the certificate's issuer is not {_trusted_here(evidence)}", None
    top = (evidence.path or evidence.chain)[-1]
    if any(root.subject == top.issuer for root in evidence.roots) and evidence.verify_code != 19:
        return (
            f'"{top.issuer_name}", which issued the certificate of {evidence.endpoint.host}, is '
            f"{_trusted_here(evidence)} with another key",
            f'Replace the old root of "{top.issuer_name}" in that store with the current one',
        )
    message = (
        f'"{top.issuer_name}", which issued the certificate of {evidence.endpoint.host}, is not '
        f"{_trusted_here(evidence)}"
    )
    leaf, host = evidence.chain[0], server_name(evidence.endpoint)
    if leaf.names and not leaf.is_for(host):  # trusted, it would not be for this name
        step = Step(f"Install a certificate for {host} on the server: this one is for {leaf.names[0]}")
        return message, step
    if top.issuer_name in _RETIRED_ROOTS and not top.self_issued and len(evidence.path) > 1:
        return (
            f"{message} (that root has expired)",
            (
                Step(
                    by_system(
                        "Update the package ca-certificates, if its roots are old",
                        "Update the system, if its roots are old",
                        "Update the system, if its roots are old",
                    )
                ),
                Step(f'If that fails, get the certificate of "{top.name}", and name it in Z4J_CA_FILE'),
            ),
        )
    if leaf.publicly_issued:
        return message, (
            by_system(
                Step("Update the package ca-certificates", "sudo apt install --only-upgrade ca-certificates"),
                Step("Update the system, if its roots are old", "softwareupdate --list"),
                Step("Update the system's roots", "certutil -generateSSTFromWU roots.sst"),
            ),
            Step(f'Otherwise get the root of "{top.issuer_name}", and name it in Z4J_CA_FILE'),
        )
    path = f"/path/to/{_file_name(top.issuer_name)}"
    return (
        message,
        (
            *_unread_bundle(evidence),
            Step(f'Get the root certificate of "{top.issuer_name}" from its administrator'),
            *set_value(evidence.settings, "ca_file", path, "Then set its path"),
        ),
    )


def _unread_bundle(evidence: Evidence) -> tuple[Step, ...]:
    """A bundle that is set for others, where none is set for this."""
    settings = evidence.settings
    variable = next((name for name in _OTHERS_BUNDLES if settings.environ.get(name)), None)
    if variable is None or any(source.named for source in evidence.store.sources):
        return ()
    text = f"Set Z4J_CA_FILE, if {variable} has that CA: only Z4J_CA_FILE and SSL_CERT_FILE are read"
    return (Step(text, shell.copy_variable("Z4J_CA_FILE", variable)),)


def _file_name(name: str) -> str:
    """A file for that certificate, in characters that need no quotes."""
    return f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')[:40] or 'root'}.pem"


def _incomplete_chain(evidence: Evidence) -> Words:
    leaf, show = evidence.path[0], show_handshake(evidence.endpoint, evidence.proxy, " -showcerts")
    serve = Step("Configure the server with the full chain (fullchain.pem, not cert.pem)")
    return (
        f"{evidence.endpoint.host} sends its own certificate, but not that of its issuer "
        f'"{leaf.issuer_name}", which links it to a root',
        (serve, Step("See what the server sends", show)) if show else serve,
    )


def _empty_trust_store(evidence: Evidence) -> Words:
    bad = evidence.store.disappointing or evidence.store.sources
    named = "; ".join(f"{source.origin} names {source.path}: {source.problem}" for source in bad)
    if not evidence.store.disappointing:
        return f"no trust store was found on this machine ({named})", "Install the package ca-certificates"
    variables = " and ".join(source.origin for source in bad)
    return f"no certificate can be verified: {named}", f"Correct or unset {variables}"


def _protocol_version(evidence: Evidence) -> Words:
    where, version = evidence.where, evidence.presented.version
    if evidence.alert == 120:
        return (
            f"{where} refuses HTTP/1.1 (alert no_application_protocol)",
            "Let the server offer http/1.1 beside h2",
        )
    if evidence.presented.is_old:
        return f"{where} speaks {version} only; TLS 1.2 is the minimum accepted here", None
    alert = f" (alert {ALERTS[evidence.alert]})" if evidence.alert in ALERTS else ""
    return (
        f"{where} finds no TLS version or cipher in common with this machine{alert}",
        (
            Step("Check that the server has a site and a certificate for that name"),
            Step("Enable TLS 1.2 and 1.3 on it"),
        ),
    )


def _not_tls(evidence: Evidence) -> Words:
    said, where = evidence.presented.said, evidence.where
    line = said.split(b"\n")[0].decode("ascii", "replace").strip()[:_QUOTED]
    if said.startswith(b"HTTP/"):
        return f"{where} speaks plain HTTP, not TLS: it said {line!r}", None
    if said.startswith(b"SSH-"):
        return f"{where} is an SSH server: it said {line!r}", "Check the port in Z4J_BRAIN_URL"
    message = f"{where} does not speak TLS" + (f": it said {line!r}" if line else "")
    if evidence.proxy is not None and said.lstrip().startswith(b"<"):  # a page, where the tunnel should begin
        return message, Step(
            f"Check {evidence.proxy.variable}: its server sends a page instead of opening a tunnel, as web "
            "servers and login pages do"
        )
    return message, None


def _client_certificate(evidence: Evidence) -> Words:
    alert = f", and refused with the alert {ALERTS[evidence.alert]}" if evidence.alert in ALERTS else ""
    return f"{evidence.where} asks for a client certificate, which an agent does not have{alert}", None


def _weak(evidence: Evidence) -> Words:
    if evidence.verify_code in (66, 67, 68) and evidence.chain:
        facts = ", ".join(f'"{c.name}" {c.key} signed with {c.signature}' for c in evidence.chain)
        return f"{evidence.where} presents a certificate that is too weak: {facts}", None
    if getattr(evidence.error, "reason", None) == "UNSAFE_LEGACY_RENEGOTIATION_DISABLED":
        return (
            f"{evidence.where} does not support secure renegotiation (RFC 5746), which OpenSSL 3 requires",
            Step("Upgrade the server, or what ends TLS in front of it, to one that has RFC 5746"),
        )
    cipher = evidence.presented.cipher
    return (
        f"{evidence.where} offers only what is too weak here" + (f" (cipher {cipher})" if cipher else ""),
        "Enable the default ciphers of TLS 1.2 and 1.3 on the server",
    )


def _closed(evidence: Evidence) -> Words:
    if evidence.alert is not None:
        alert = ALERTS.get(evidence.alert, str(evidence.alert))
        return f"{evidence.where} ended the handshake with the alert {alert}", None
    number = errors.number_of(evidence.error) if isinstance(evidence.error, OSError) else None
    how = "reset" if number == errno.ECONNRESET else "closed"
    message = f"{evidence.where} {how} the connection during the TLS handshake"
    if evidence.wants_proxy_header:
        return f"{message}: it expects the PROXY protocol, which only its load balancer sends", (
            Step("Use the load balancer's address in Z4J_BRAIN_URL, or in the name's record"),
            Step(
                "Inside its own Kubernetes cluster the load balancer is bypassed: use the brain's service "
                "name there, or switch the PROXY protocol off on both"
            ),
        )
    return message, None


def _timeout(evidence: Evidence) -> Words:
    message = (
        f"{evidence.where} accepted the connection, but did not answer the TLS handshake {evidence.waited}"
    )
    if evidence.endpoint.is_loopback:
        seen = shell.listening(evidence.endpoint.port)
        return message, Step("Restart the process that listens there and does not answer. Find it", seen)
    ping = shell.ping_with(1400, evidence.endpoint.host)
    return message, (Step("Try from another network"), Step("See whether large packets arrive (MTU)", ping))


def _wrong_purpose(evidence: Evidence) -> Words:
    reason = getattr(evidence.error, "verify_message", "") or "refused"
    code = evidence.verify_code
    name = f' "{evidence.chain[0].name}"' if evidence.chain else ""
    if code == _INVALID_CA and len(evidence.path) > 1:
        issuer, host = evidence.path[1].name, evidence.endpoint.host
        return (
            f'the certificate of {host} was issued by "{issuer}", which is not a CA (X509_V_ERR {code})',
            None,
        )
    if code in _ABOUT_EXTENSIONS:
        return (
            f"a certificate of {evidence.endpoint.host} can't be judged: {reason} (X509_V_ERR {code})",
            Step("Issue the certificate without critical extensions that OpenSSL does not know"),
        )
    return f"the certificate{name} may not be used for a server: {reason} (X509_V_ERR {code})", None


def _not_strict(evidence: Evidence) -> Words:
    chain = [certificate.der for certificate in (*evidence.path, *issuing_roots(evidence)[:1])]
    faults = "; ".join(strict_faults(chain)) or getattr(evidence.error, "verify_message", "")
    python = ".".join(map(str, sys.version_info[:2]))
    return f"Python {python} refuses certificates that Python 3.12 took: {faults}", None


def _unexpected(evidence: Evidence) -> Words:
    return f"{type(evidence.error).__name__}: {evidence.error}", None


_WORDS: dict[str, Callable[[Evidence], Words]] = {
    "tls.expired": _expired,
    "tls.not_yet_valid": _not_yet_valid,
    "tls.clock_suspect": _clock_suspect,
    "tls.hostname_mismatch": _hostname_mismatch,
    "tls.self_signed": _self_signed,
    "tls.unknown_ca": _unknown_ca,
    "tls.incomplete_chain": _incomplete_chain,
    "tls.empty_trust_store": _empty_trust_store,
    "tls.protocol_version": _protocol_version,
    "tls.not_tls": _not_tls,
    "tls.client_certificate": _client_certificate,
    "tls.weak": _weak,
    "tls.closed": _closed,
    "tls.timeout": _timeout,
    "tls.wrong_purpose": _wrong_purpose,
    "tls.not_strict": _not_strict,
    "tls.unexpected": _unexpected,
}


def _details(evidence: Evidence) -> dict[str, Any]:
    presented, error = evidence.presented, evidence.error
    details: dict[str, Any] = {
        "error": type(error).__name__,
        "errno": getattr(error, "errno", None),
        "verify_code": evidence.verify_code,
        "reason": getattr(error, "reason", None),
        "alert": ALERTS.get(evidence.alert, evidence.alert) if evidence.alert is not None else None,
        "version": presented.version,
        "cipher": presented.cipher,
        "said": presented.said[:_QUOTED].decode("ascii", "replace") if not evidence.chain else None,
        "server_time": evidence.server_time.isoformat() if evidence.server_time else None,
        "proxy": evidence.proxy.authority if evidence.proxy else None,
    }
    if evidence.chain:
        leaf = evidence.chain[0]
        details |= {
            "subject": leaf.subject,
            "issuer": leaf.issuer,
            "not_before": leaf.not_before.isoformat(),
            "not_after": leaf.not_after.isoformat(),
            "names": list(leaf.names),
            "chain": [f"{c.subject} <- {c.issuer}" for c in evidence.chain],
        }
    details["stores"] = evidence.store.describe()
    return {key: value for key, value in details.items() if value is not None}
