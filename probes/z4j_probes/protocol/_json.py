"""JSON exactly as both ends of the wire render it.

A signature covers text that the receiver makes anew from what it parsed, so rendering has to survive the
trip: keys sorted, no white space, UTF-8 as it is, floats by `repr`. `render` refuses what would not.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring
from typing import Any


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def render(value: Any) -> str:
    """The canonical text of `value`; ValueError for what JSON has no form for."""
    try:
        return _ENCODER.encode(value)
    except (TypeError, RecursionError) as exc:
        # Foreign objects, keys of mixed types, and nesting beyond what the parser at the other end takes.
        raise ValueError(f"not renderable as JSON: {exc}") from None


def render_text(text: str) -> str:
    """The same of a text alone, which `render` takes ten times as long for."""
    return encode_basestring(text)


def settle(value: Any) -> str:
    """The canonical text that parsing and rendering again does not change.

    Python sorts a dict's integer keys as integers and its parser returns them as strings, which sort
    otherwise: such a text would be genuine here and forged there. One trip settles it.
    """
    return render(load(render(value)))


def load(text: str) -> Any:
    """Parse strictly: ValueError for NaN, Infinity, oversized integers and bottomless nesting as well."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
