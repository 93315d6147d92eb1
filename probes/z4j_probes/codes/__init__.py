"""The catalogue: what each code means, what usually causes it, and how to mend it.

One module a probe holds its rows; hints, `explain` and the documentation page are made from them. Codes
are public API: add, never rename.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from z4j_probes.codes import auth, buffer, config, dns, signing, tcp, tls, websocket
from z4j_probes.codes._code import Code
from z4j_probes.result import ProbeResult

__all__ = ["CATALOGUE", "Code", "lookup", "outcome", "register"]

CATALOGUE: dict[str, Code] = {}


def register(*codes: Code) -> None:
    """Add rows to the catalogue; a plug-in's probe brings its own."""
    for code in codes:
        CATALOGUE[code.code] = code


for _module in (config, buffer, dns, tcp, tls, websocket, auth, signing):
    register(*_module.CODES)


def lookup(code: str) -> Code:
    """The catalogue's row for a code; KeyError where there is none."""
    return CATALOGUE[code]


def outcome(
    code: str, message: str, *, hint: str | None = None, details: Mapping[str, Any] | None = None
) -> ProbeResult:
    """A probe's result for a catalogue code: its status and, unless a better one is given, its remedy."""
    row = lookup(code)
    return ProbeResult(
        name=row.probe,
        status=row.status,
        code=code,
        message=message,
        hint=row.remedy if hint is None else hint,
        details=dict(details or {}),
    )
