"""What a program gives as a setting, in whatever type it keeps that, as the text that a variable would have.

Text that may hold a secret is wrapped before anything else happens to it: error trackers show the local
variables of every frame that an exception passes.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from typing import Any, NamedTuple

from z4j_probes.redact import Secret

# Arguments that hold a secret, or that a secret is put into by mistake.
SEALED = ("token", "hmac_secret", "brain_url")


class Unusable(NamedTuple):
    """An argument whose value is of a type that has no obvious text. `expected` says what would do."""

    attribute: str
    type_name: str
    expected: str = "text"


def seal(value: Any) -> Any:
    """Text, also as bytes, in a Secret; any other value as it is, None too."""
    if isinstance(value, str | bytes | bytearray):
        return Secret(_text_of(value))
    return value


def seal_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """An agent's arguments, with those in Secrets that may hold one."""
    return {name: seal(value) if name in SEALED else value for name, value in arguments.items()}


def as_text(attribute: str, value: Any) -> str | Secret | Unusable | None:
    """The text of an argument: None for None, Unusable for what has no obvious text.

    Taken are text, bytes in UTF-8, paths, integers, UUIDs, enums of these, URLs (pydantic's, starlette's,
    yarl's, httpx's: by their class's name) and secrets (pydantic's, starlette's).
    """
    if value is None or isinstance(value, Secret):
        return value
    if isinstance(value, Enum):
        return as_text(attribute, value.value)
    try:
        if hasattr(value, "get_secret_value"):
            return Secret(_text_of(value.get_secret_value()))
        if isinstance(value, os.PathLike):
            return os.fsdecode(value)
        if _has_obvious_text(value):
            text = _text_of(value)
            return Secret(text) if attribute in SEALED else text
    except Exception:  # noqa: S110 - a value of the host's may do anything; its type is told below
        pass
    return Unusable(attribute, type(value).__name__)


def as_seconds(attribute: str, value: Any) -> float | Unusable:
    """A duration: any number, a number as text, a timedelta."""
    try:
        seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
        if not isinstance(value, bool) and math.isfinite(seconds):
            return float(seconds)
    except Exception:  # noqa: S110 - as above
        pass
    return Unusable(attribute, type(value).__name__, "a number of seconds")


def as_count(attribute: str, value: Any) -> int | Unusable | None:
    """A number of things: an integer, or one as text; None for None."""
    if value is None:
        return None
    try:
        if isinstance(value, str) or (_is_integer(value) and not isinstance(value, bool)):
            return int(value)
    except Exception:  # noqa: S110 - as above
        pass
    return Unusable(attribute, type(value).__name__, "an integer")


def as_word(attribute: str, value: Any, longest: int) -> str | Unusable:
    """A text of at most so many characters, and not an empty one."""
    text = as_text(attribute, value)
    if isinstance(text, str) and 0 < len(text) <= longest:
        return text
    return Unusable(attribute, type(value).__name__, f"text of 1 to {longest} characters")


def as_names(attribute: str, value: Any, expected: str = "a list of names") -> tuple[str, ...] | Unusable:
    """Names: one, or several in whatever can be iterated; none for None."""
    try:
        given = () if value is None else (value,) if isinstance(value, str | bytes | Enum) else tuple(value)
        names = [as_text(attribute, name) for name in given]
    except Exception:  # as above
        names = [None]
    if all(isinstance(name, str) and name for name in names):
        return tuple(str(name) for name in names)
    return Unusable(attribute, type(value).__name__, expected)


def as_names_by_name(attribute: str, value: Any) -> dict[str, tuple[str, ...]] | Unusable:
    """Names under a name each; none for None."""
    unusable = Unusable(attribute, type(value).__name__, "lists of names by name")
    try:
        given = {} if value is None else dict(value)
    except Exception:  # as above
        return unusable
    usable: dict[str, tuple[str, ...]] = {}
    for name, names in given.items():
        several = as_names(attribute, names)
        if isinstance(several, Unusable) or not isinstance(name, str):
            return unusable
        usable[name] = several
    return usable


def is_utf8(text: str) -> bool:
    """Whether the text can be encoded: bytes of an environment that are not UTF-8 can't (PEP 383)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _has_obvious_text(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, str | bytes | bytearray) or _is_integer(value) or _is(value, "uuid", "UUID"):
        return True
    names = {kind.__name__.lower() for kind in type(value).__mro__}
    return "secret" in names or any(name.endswith(("url", "dsn")) for name in names)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) or _is(value, "numbers", "Integral")


def _is(value: Any, module: str, kind: str) -> bool:
    """Whether it is of a type that few programs use: one that has such a value has loaded its module."""
    return module in sys.modules and isinstance(value, getattr(sys.modules[module], kind))


def _text_of(value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode(errors="surrogateescape")
    return str.__str__(value) if isinstance(value, str) else str(value)
