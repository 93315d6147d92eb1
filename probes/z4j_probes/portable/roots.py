"""The roots that the system trusts where it keeps them in no file: Windows' store, macOS's keychains.

They are given to OpenSSL, rather than having the system verify (as truststore does): so there is one way to
verify on every system, with OpenSSL's verify code and chain as evidence. What the system distrusts is left
out.
"""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_SECURITY = "/usr/bin/security"
_SECURITY_S = 5.0
_APPLE = "/System/Library/Keychains/SystemRootCertificates.keychain"
_SYSTEM = "/Library/Keychains/System.keychain"
_SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\s*(.+?)\s*-----END CERTIFICATE-----", re.DOTALL)
# SecTrustSettingsResult: trust as a root, and trust one that is none; a rule without a result is the first
_TRUST_ROOT, _TRUST_AS_ROOT, _DENY = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Roots:
    """Certificates (DER) of one place; `problem` says why there are none."""

    place: str
    certificates: tuple[bytes, ...] = ()
    problem: str | None = None


def system_roots() -> Iterator[Roots]:
    """Each place of this system; nothing where roots are in files. Blocks for a moment."""
    yield from ()
    if sys.platform == "win32":
        try:
            found = tuple(
                der
                for der, kind, uses in ssl.enum_certificates("ROOT")
                if kind == "x509_asn" and is_for_servers(uses)
            )
            yield Roots("Windows certificate store", found)
        except OSError as exc:
            yield Roots("Windows certificate store", problem=str(exc))
    if sys.platform == "darwin":
        import plistlib

        try:
            yield Roots(_APPLE, certificates_in(_security("find-certificate", "-a", "-p", _APPLE)))
            settings = _security("trust-settings-export", "-d", "/dev/stdout")
            own = certificates_in(_security("find-certificate", "-a", "-p", _SYSTEM))
            yield Roots(_SYSTEM, trusted_of(own, plistlib.loads(settings.encode())))
        except (OSError, ValueError, subprocess.SubprocessError) as exc:
            yield Roots(_SYSTEM, problem=str(exc))


def is_for_servers(uses: Collection[str] | bool) -> bool:
    """Whether Windows trusts a certificate for servers: for everything, or for uses with that among them."""
    return uses if isinstance(uses, bool) else _SERVER_AUTH in uses


def certificates_in(pem: str) -> tuple[bytes, ...]:
    """The certificates (DER) of a text with PEM blocks."""
    return tuple(base64.b64decode(found[1]) for found in _PEM.finditer(pem))


def trusted_of(certificates: Collection[bytes], settings: Mapping[str, Any]) -> tuple[bytes, ...]:
    """Those that an administrator of a Mac trusts for servers, by `security trust-settings-export`.

    A certificate without settings is only kept there, and trusted by no one.
    """
    rules = settings.get("trustList", {})
    return tuple(
        der
        for der in certificates
        # SHA-1 is the name that macOS has for a certificate
        if _is_trusted(rules.get(hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()))
    )


def _is_trusted(entry: Mapping[str, Any] | None) -> bool:
    if entry is None:
        return False
    rules = entry.get("trustSettings", [])
    about_servers = [
        rule for rule in rules if rule.get("kSecTrustSettingsPolicyName", "sslServer") == "sslServer"
    ]
    results = [rule.get("kSecTrustSettingsResult", _TRUST_ROOT) for rule in about_servers]
    if _DENY in results:
        return False
    return not rules or any(result in (_TRUST_ROOT, _TRUST_AS_ROOT) for result in results)


def _security(*arguments: str) -> str:
    asked = [_SECURITY, *arguments]
    return subprocess.run(asked, capture_output=True, text=True, timeout=_SECURITY_S, check=True).stdout  # noqa: S603
