"""The catalogue: what each code means, what usually causes it, and how to mend it.

One module a probe holds its rows; hints, `explain` and the documentation page are made from them. Codes
are public API: add, never rename.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from z4j_probes.codes import auth, buffer, config, dns, signing, tcp, tls, websocket
from z4j_probes.codes._code import Code
from z4j_probes.result import ProbeResult, Status

__all__ = ["CATALOGUE", "Code", "common", "lookup", "outcome", "register"]

CATALOGUE: dict[str, Code] = {}


def register(*codes: Code) -> None:
    """Add rows to the catalogue; a plug-in's probe brings its own."""
    for code in codes:
        CATALOGUE[code.code] = code


def common(probe: str) -> tuple[Code, Code]:
    """The two codes that the ladder itself can give for any probe."""
    return (
        Code(
            f"{probe}.skipped",
            f"the {probe} probe was not run",
            status=Status.SKIP,
            causes=("a probe below it failed", "an option excluded it", "the run was interrupted"),
            remedy="mend what failed below it, or drop the option that excluded it",
        ),
        Code(
            f"{probe}.unexpected",
            f"the {probe} probe met something that it has no name for",
            causes=("a fault that is not in the catalogue yet", "a bug in the probe"),
            remedy="report the evidence, so that it gets a name: `python -m z4j_fastapi doctor --verbose`",
        ),
    )


for _module in (config, buffer, dns, tcp, tls, websocket, auth, signing):
    register(*_module.CODES, *common(_module.CODES[0].probe))


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
