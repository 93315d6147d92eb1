"""The trust store: which certificate authorities the runtime believes, and which files they came from.

Only Z4J_CA_FILE where it is named. Else SSL_CERT_FILE and SSL_CERT_DIR as OpenSSL reads them: each replaces
the default of its kind. Else the operating system's (a company's own root is there: OpenSSL's files, on
Windows the certificate store, on macOS the keychains) together with certifi's bundle (slim containers have no
other).

OpenSSL stays silent about a file or directory that holds nothing. Here each source is counted, so that an
empty store can be named for what it is.
"""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from z4j_probes.acting_as import ActingAs
from z4j_probes.portable import errors
from z4j_probes.portable.roots import Roots, system_roots
from z4j_probes.settings import Settings

# Files that OpenSSL finds in a directory of certificates: a subject's hash, as `openssl rehash` links them.
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")


@dataclass(frozen=True, slots=True)
class TrustSource:
    """One file or directory of the store.

    `origin` is the variable that named it, `system` or `certifi`; `certificates` counts what it added;
    `problem` says why it added nothing.
    """

    origin: str
    path: str
    certificates: int = 0
    problem: str | None = None

    @property
    def named(self) -> bool:
        """Whether a person named it: then that it holds nothing is a mistake, not a habit of the platform."""
        return self.origin not in ("system", "certifi")

    def __str__(self) -> str:
        count = f"{self.certificates} certificate{'' if self.certificates == 1 else 's'}"
        return f"{self.origin} {self.path} ({self.problem or count})"


@dataclass(frozen=True, slots=True)
class TrustStore:
    """The context that verifies, and what its store was made of."""

    context: ssl.SSLContext = field(repr=False)
    sources: tuple[TrustSource, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all could be loaded: no certificate on earth would verify."""
        return not any(source.certificates for source in self.sources)

    @property
    def disappointing(self) -> tuple[TrustSource, ...]:
        """The sources that someone named and that hold nothing."""
        return tuple(source for source in self.sources if source.named and source.problem)

    def describe(self) -> list[str]:
        """The sources, for people."""
        return [str(source) for source in self.sources]


def load_trust(settings: Settings) -> TrustStore:
    """Build the context of the runtime. Reads a few hundred certificates (some 40 ms): call it in a thread.

    A new one for each climb: an agent that climbs again sees a CA file that was fixed meanwhile.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])  # WebSocket over HTTP/2 (RFC 8441) is not spoken here
    # Python 3.13's defaults. Trusting an intermediate that was named on purpose is right everywhere;
    # strictness stays what the interpreter makes of it (`tls.not_strict` warns of it before).
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    sources = [
        _load(context, source, is_directory, settings.acting_as)
        for source, is_directory in _sources(settings)
    ]
    if not any(source.named for source in sources):
        sources += [_load_roots(context, found) for found in system_roots()]
    return TrustStore(context, tuple(sources))


def _sources(settings: Settings) -> Iterator[tuple[TrustSource, bool]]:
    """The files and directories to load; the second value is true for a directory."""
    if settings.ca_file:
        yield TrustSource("Z4J_CA_FILE", settings.ca_file), False
        return
    # not set_default_verify_paths(): that reads this process's variables, and the settings may be another's
    environ, defaults = settings.environ, ssl.get_default_verify_paths()
    yield _named(environ, "SSL_CERT_FILE", defaults.openssl_cafile), False
    yield _named(environ, "SSL_CERT_DIR", defaults.openssl_capath), True
    if environ.get("SSL_CERT_FILE") or environ.get("SSL_CERT_DIR"):
        return
    if settings.acting_as is not None:
        yield TrustSource("certifi", settings.acting_as.certifi_path), False
    else:
        import certifi

        yield TrustSource("certifi", certifi.where()), False


def _named(environ: Mapping[str, str], variable: str, default: str) -> TrustSource:
    path = environ.get(variable)
    return TrustSource(variable, path) if path else TrustSource("system", default)


def _load(
    context: ssl.SSLContext, source: TrustSource, is_directory: bool, acting_as: ActingAs | None
) -> TrustSource:
    path = source.path
    before = context.cert_store_stats()["x509"]
    try:
        if is_directory:
            context.load_verify_locations(capath=path)  # looked up by hash, when a certificate is verified
            count = sum(_count_hashed(part) for part in path.split(os.pathsep) if part)
        else:
            if acting_as is not None and source.origin == "certifi":
                context.load_verify_locations(cadata=acting_as.certifi_pem)
            else:
                context.load_verify_locations(cafile=path)
            count = context.cert_store_stats()["x509"] - before
    except ssl.SSLError as exc:
        return TrustSource(source.origin, path, problem=f"no PEM certificates: {exc.reason or 'unreadable'}")
    except (OSError, ValueError) as exc:
        reason = errors.reason(exc) if isinstance(exc, OSError) else str(exc)
        return TrustSource(source.origin, path, problem=reason)
    if count or source.origin == "certifi":  # certifi may well add nothing to the system's
        return TrustSource(source.origin, path, count)
    return TrustSource(source.origin, path, problem="it contains no certificate that OpenSSL can find")


def _load_roots(context: ssl.SSLContext, roots: Roots) -> TrustSource:
    before = context.cert_store_stats()["x509"]
    for der in roots.certificates:
        with contextlib.suppress(ssl.SSLError):  # one that OpenSSL can't read is no reason to lose the others
            context.load_verify_locations(cadata=der)
    return TrustSource("system", roots.place, context.cert_store_stats()["x509"] - before, roots.problem)


def _count_hashed(directory: str) -> int:
    return sum(1 for name in os.listdir(directory) if _HASHED.fullmatch(name))
