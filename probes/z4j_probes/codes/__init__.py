"""The catalogue: what each code means, what usually causes it, and how to fix it.

One module a probe holds its rows; hints, `explain` and the documentation page are made from them. Codes
are public API: add, never rename.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from types import MappingProxyType
from typing import Any

from z4j_probes.codes import (
    auth,
    buffer,
    command,
    config,
    dns,
    session,
    signing,
    tcp,
    tls,
    unit,
    websocket,
    worker,
)
from z4j_probes.codes._code import Code, Heals
from z4j_probes.result import Advice, ProbeResult, Status, Step

__all__ = ["CATALOGUE", "Code", "Heals", "common", "lookup", "outcome", "reading"]


@cache  # each agent's registry asks for them
def common(probe: str) -> tuple[Code, ...]:
    """The codes that the ladder itself can give for any probe."""
    return (
        Code(
            f"{probe}.skipped",
            f"the {probe} check was not run",
            status=Status.SKIP,
            causes=("a check before it failed", "an option excluded it", "the run was interrupted"),
            remedy="Fix the check that failed before it, or remove the option that excludes it",
        ),
        Code(
            f"{probe}.unexpected",
            f"unexpected error in the {probe} check",
            causes=("a fault that has no code yet", "a bug in the probe"),
            remedy=Step(
                "Report the output of this command",
                "python -m z4j_fastapi doctor --verbose",
            ),
        ),
        Code(
            f"{probe}.slow",
            f"the {probe} check passed, but was slow",
            status=Status.WARN,
            causes=(
                "an overloaded server, or a slow service behind it",
                "lost packets",
                "an overloaded disk, name server, or machine",
            ),
            remedy=Step("See the times in the evidence", "python -m z4j_fastapi doctor --verbose"),
        ),
    )


_BY_PROBE = (m.CODES for m in (config, buffer, dns, tcp, tls, websocket, auth, signing, unit))
_OTHERS = (session.CODES, command.CODES, worker.CODES)
CATALOGUE: Mapping[str, Code] = MappingProxyType(
    {
        row.code: row
        for rows in (*((*rows, *common(rows[0].probe)) for rows in _BY_PROBE), *_OTHERS)
        for row in rows
    }
)
"""The built-in codes, with those of sessions, commands, and workers.

A registry's own catalogue has those of its other probes too.
"""

_read: ContextVar[Mapping[str, Code]] = ContextVar("z4j_catalogue", default=CATALOGUE)


@contextmanager
def reading(catalogue: Mapping[str, Code]) -> Iterator[None]:
    """For the ladder: inside, in this task, `lookup` and `outcome` read that catalogue."""
    token = _read.set(catalogue)
    try:
        yield
    finally:
        _read.reset(token)


def lookup(code: str) -> Code:
    """The row for a built-in code or, while a ladder climbs, one of its probes; KeyError for any other."""
    return _read.get()[code]


def outcome(
    code: str | Code,
    message: str,
    *,
    hint: Advice | None = None,
    details: Mapping[str, Any] | None = None,
    headline: str = "",
) -> ProbeResult:
    """A probe's result for a code: its status and, unless better ones are given, its title and its remedy.

    KeyError for a code that is neither built in nor of a probe of the ladder that runs; a row itself
    needs no catalogue.
    """
    row = code if isinstance(code, Code) else lookup(code)
    if row.status in (Status.WARN, Status.FAIL):
        headline = headline or row.title
    return ProbeResult(
        name=row.probe,
        status=row.status,
        code=row.code,
        message=message,
        hint=row.steps if hint is None else hint,
        details=dict(details or {}),
        headline=headline,
    )
