"""Labels: what tells this service's reports from those of another on the same host, as `service=shop`."""

from __future__ import annotations

import re
from collections.abc import Iterable

# As Prometheus has names of labels; two underscores in front are its own.
_NAME = r"(?!__)[A-Za-z_][A-Za-z0-9_]{0,62}"
# What reports say of each service already, and what Prometheus adds to everything that it scrapes.
RESERVED = frozenset(
    (
        "agent",
        "brain",
        "code",
        "home",
        "host",
        "instance",
        "job",
        "probe",
        "project",
        "status",
        "user",
        "version",
    )
)
_LONGEST_VALUE = 128


def parse_labels(text: str) -> tuple[dict[str, str], list[str]]:
    """The labels of `KEY=VALUE,KEY=VALUE`, the last of a name; and what is wrong with each other part."""
    return _collect(part for part in text.split(",") if part.strip())


def parse_label(text: str) -> tuple[dict[str, str], list[str]]:
    """The same of a single label, which may not be blank."""
    if "," in text:
        return {}, [f"{text!r} contains a comma"]
    return _collect([text])


def _collect(parts: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    labels: dict[str, str] = {}
    objections = []
    for part in parts:
        name, equals, value = (piece.strip() for piece in part.partition("="))
        objection = _objection(name, value) if equals else "has no ="
        if objection:
            objections.append(f"{part.strip()!r} {objection}")
        else:
            labels[name] = value
    return labels, objections


def _objection(name: str, value: str) -> str:
    if not re.fullmatch(_NAME, name):
        return "has a name that is not made of letters, digits, and _"
    if name in RESERVED:
        return f"has a name that reports use already ({name})"
    if not value:
        return "has no value"
    if len(value) > _LONGEST_VALUE:
        return f"has a value of more than {_LONGEST_VALUE} characters"
    return "" if value.isprintable() else "contains a control character"
