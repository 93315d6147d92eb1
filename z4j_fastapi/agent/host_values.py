"""Host values: whatever a host hands over as canonical, bounded JSON, and without secrets.

The text is made while the value is walked: nothing is built that is rendered later. What a value's own
methods raise costs that value only.
"""

from __future__ import annotations

import os
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from enum import Enum
from functools import lru_cache
from math import isfinite
from typing import Any

from z4j_fastapi.agent.redaction import REDACTED, Redaction
from z4j_probes.protocol import render_text

# A traceback fits; a file that was passed as an argument does not.
MAX_TEXT = 8 * 1024
MAX_ITEMS = 200
# All values of an event together, and all characters: about a millisecond's work.
MAX_VALUES = 1000
MAX_CHARACTERS = 64 * 1024
# Names of many kilobytes name nothing.
MAX_NAME = 512
_SHORT_NAME = 64
MAX_DEPTH = 8
# Python's own JSON parser refuses integers of more than 4,300 digits; no host needs a tenth of that.
MAX_INT_BITS = 1024

_REDACTED = render_text(REDACTED)
# A name, the same as JSON with a colon, and whether it marks a secret.
_Field = tuple[str, str, bool]
# What `list` takes at one moment, whatever another thread does to it meanwhile.
_TAKEN_AT_ONCE = (dict.items, OrderedDict.items)
_CHANGING = (set, deque)
# The language's own, whatever a metaclass says.
_type_name: Callable[[type], str] = type.__dict__["__name__"].__get__


class HostValues:
    """Makes values safe, with the host's own rules of `redaction`. From any thread."""

    def __init__(self, redaction: Redaction) -> None:
        def field(key: object, is_nested: bool) -> _Field:
            name = _name(key)
            # what an event's own fields are called is no secret; in a host's mapping a name may be one
            shown = redaction.text(name) if is_nested else name
            return shown, f"{render_text(shown)}:", redaction.marks_secret(name)

        self._field: Callable[[object, bool], _Field] = field
        self._known: Callable[[str, bool], _Field] = lru_cache(maxsize=1024)(field)
        self._redacted = redaction.text

    def name(self, given: object) -> str:
        """What a host calls something, as JSON. For what comes again: else see `rendered_name`."""
        if type(given) is str and len(given) <= _SHORT_NAME:
            return self._known(given, False)[1][:-1]
        return rendered_name(given)

    def mapping(self, mapping: Mapping[Any, Any]) -> str:
        """A mapping as an object of JSON. Raises what reading it raises."""
        return _Walk(self._known, self._field, self._redacted).mapping(mapping, 0)

    def value(self, value: Any) -> str:
        """Any value as JSON."""
        return _Walk(self._known, self._field, self._redacted).value(value, 0)


class _Walk:
    """One event's data made safe, up to MAX_VALUES and MAX_CHARACTERS: the host's loop waits for it.

    A frame of the interpreter's is what most of the time goes for, so there are few.
    """

    __slots__ = ("_field", "_known", "_left", "_redacted", "_room")

    def __init__(
        self,
        known: Callable[[str, bool], _Field],
        field: Callable[[object, bool], _Field],
        redacted: Callable[[str], str],
    ) -> None:
        self._known = known
        self._field = field
        self._redacted = redacted
        self._left = MAX_VALUES
        self._room = MAX_CHARACTERS

    def mapping(self, mapping: Mapping[Any, Any], depth: int) -> str:
        fields: dict[str, str] = {}
        kind = type(mapping)
        is_taken = kind is dict or getattr(kind, "items", None) in _TAKEN_AT_ONCE
        is_nested = depth > 0
        items = list(mapping.items()) if is_taken else _readable(mapping.items(), _pair)
        for index, (key, value) in enumerate(items):
            if index == MAX_ITEMS or self._left <= 0 or self._room <= 0:
                fields["…"] = f'"…":"{_more(mapping, index)}"'
                break
            # most names are short, and come again
            is_known = type(key) is str and len(key) <= _SHORT_NAME
            name, head, is_secret = self._known(key, is_nested) if is_known else self._field(key, is_nested)
            self._room -= len(name)
            if is_secret and value is not None:
                fields[name] = head + _REDACTED
            else:
                fields[name] = head + self.value(value, depth + 1)
        return f"{{{','.join(map(fields.__getitem__, sorted(fields)))}}}"

    def value(self, value: Any, depth: int) -> str:
        """One value, made safe; where its own methods raise, it costs that value only.

        KeyboardInterrupt and SystemExit are the process's own. All else is contained: Rust's panics in Python
        extensions (PyO3) and cancellations are no Exception either.
        """
        self._left -= 1
        kind = type(value)
        if kind is str:  # most are; it has no methods but the language's own
            text = value if len(value) <= MAX_TEXT and value.isascii() else _fitted(value)
            self._room -= len(text)
            return render_text(self._redacted(text))
        if kind is int:
            if value.bit_length() > MAX_INT_BITS:
                return f'"<int of {value.bit_length()} bits>"'
            return repr(value)
        if kind is float:
            return repr(value) if isfinite(value) else f'"{value}"'
        if value is None:
            return "null"
        if kind is bool:
            return "true" if value else "false"
        try:
            return self._structure(value, kind, depth)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:
            return _told(f"<{_type_name(kind)}: unreadable, {_type_name(type(exc))}>")

    def _structure(self, value: Any, kind: type, depth: int) -> str:
        if depth > MAX_DEPTH:
            return _told(f"<{_type_name(kind)}, nested too deeply>")
        if kind is list or kind is tuple:
            return self._items(value, depth)
        if kind is dict or isinstance(value, Mapping):
            return self.mapping(value, depth)
        from z4j_fastapi.agent.known_types import fields_of, is_parsed_url, items_of  # few have such

        if (fields := fields_of(value, REDACTED)) is not None:
            return self.mapping(fields, depth)
        if isinstance(value, list | tuple | set | frozenset) and not is_parsed_url(value):
            return self._items(value, depth)
        if (items := items_of(value)) is not None:
            return self._items(items, depth)
        number = _number(value)
        self._left += 1  # it is counted below
        return self.value(_foreign(value) if number is None else number, depth + 1)

    def _items(self, values: Collection[Any], depth: int) -> str:
        items: list[str] = []
        kind = type(values)
        if kind in _CHANGING:
            values = list(values)
        for value in values if kind is list or kind is tuple else _readable(values, _alone):
            if len(items) == MAX_ITEMS or self._left <= 0 or self._room <= 0:
                items.append(f'"… {_more(values, len(items))}"')
                break
            kind = type(value)
            if (kind is tuple or kind is list) and len(value) == 2:
                header = self._secret_header(*value)
                if header is not None:
                    items.append(header)
                    continue
            items.append(self.value(value, depth + 1))
        return f"[{','.join(items)}]"

    def _secret_header(self, name: Any, _: Any) -> str | None:
        """A pair of name and value, as ASGI has headers, where its name marks a secret."""
        if type(name) is bytes:
            name = name[:MAX_NAME].decode("latin-1")
        if type(name) is not str:
            return None
        name = _name(name)
        return f"[{render_text(name)},{_REDACTED}]" if self._field(name, True)[2] else None


def rendered_name(given: object) -> str:
    """What a host calls something, a task or an engine, as JSON."""
    return render_text(_name(given))


def _name(value: object) -> str:
    if type(value) is str and len(value) <= MAX_NAME and value.isascii():
        return value
    return _fitted(value if type(value) is str else _str(value))[:MAX_NAME]


def _number(value: Any) -> int | float | None:
    """An IntEnum, or a number of numpy, as the number that it is."""
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        plain = value.item()
        return plain if type(plain) in (bool, int, float) else None
    return None


def _foreign(value: Any) -> Any:
    """A value that JSON has no form for. Never its repr: that may hold anything, a secret too."""
    # hundreds of kilobytes for types that few hosts use: one that has such a value has loaded them
    decimal, uuid = sys.modules.get("decimal"), sys.modules.get("uuid")
    others = (*((decimal.Decimal,) if decimal else ()), *((uuid.UUID,) if uuid else ()))
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (os.PathLike, str, *others)):
        return _str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, BaseException):
        return f"{_type_name(type(value))}: {_str(value)}"
    from z4j_fastapi.agent.known_types import text_of

    if (text := text_of(value)) is not None:
        return text
    return f"<{type(value).__module__}.{type(value).__qualname__}>"


def _str(value: object) -> str:
    try:
        return str.__str__(str(value))  # no subclass, which a host's own __str__ may give
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # a host's own __str__ may do anything
        return f"<{_type_name(type(value))}>"


def _pair(told: str) -> tuple[str, str]:
    return "…", told


def _alone(told: str) -> str:
    return told


def _readable(values: Iterable[Any], as_item: Callable[[str], Any]) -> Iterator[Any]:
    """The items up to the one whose reading raises, and that; raises what the first one's does."""
    iterator, is_first = iter(values), True
    while True:
        try:
            item = next(iterator)
        except StopIteration:
            return
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:
            if is_first:
                raise
            yield as_item(f"<unreadable from here on, {_type_name(type(exc))}>")
            return
        is_first = False
        yield item


def _more(values: Collection[Any], told: int) -> str:
    try:
        return f"{len(values) - told} more"
    except (ArithmeticError, TypeError, ValueError):  # a range may be longer than `len` can say
        return "more"


def _told(text: str) -> str:
    return render_text(_fitted(text))


def _fitted(text: str) -> str:
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}… {len(text) - MAX_TEXT} more characters"
    if text.isascii():
        return text
    # a lone surrogate (an undecodable file name) has no UTF-8 form
    return text.encode("utf-8", "replace").decode()
