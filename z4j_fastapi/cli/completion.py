"""What a shell may complete beside commands and options: the names that are known."""

from __future__ import annotations

from z4j_fastapi.reports import FORMATS


def formats(incomplete: str) -> list[str]:
    """Formats that begin so."""
    return [name for name in FORMATS if name.startswith(incomplete)]


def codes(incomplete: str) -> list[str]:
    """Codes that begin so."""
    from z4j_probes.codes import CATALOGUE

    return [code for code in CATALOGUE if code.startswith(incomplete)]


def probes(incomplete: str) -> list[str]:
    """Probes that begin so, those of plug-ins included."""
    from z4j_probes import default_registry
    from z4j_probes.plugins import add_plugins

    return [name for name in add_plugins(default_registry()).names if name.startswith(incomplete)]
