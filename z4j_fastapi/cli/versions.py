"""The versions of what matters to a connection: ours, Python's, OpenSSL's, and the libraries'."""

from __future__ import annotations

import platform
import ssl
import sys
from importlib import metadata

from z4j_probes import __version__

LIBRARIES = ("websockets", "dnspython", "certifi", "cryptography", "typer", "rich")


def versions() -> dict[str, str]:
    """Names and versions, in the order in which they are worth reading."""
    found = {
        "z4j-fastapi": __version__,
        "Python": f"{platform.python_version()} ({platform.python_implementation()}, {sys.executable})",
        "OpenSSL": ssl.OPENSSL_VERSION.removeprefix("OpenSSL "),
    }
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    found["platform"] = platform.platform()
    return found
