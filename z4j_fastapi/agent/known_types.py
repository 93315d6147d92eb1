"""Known types: what values of others' types are made of, where that is known.

By what the types themselves have, so that nothing is imported for them. What its author keeps out of the
representation (`repr=False`), as one does with a secret, is kept out here.
"""

from __future__ import annotations

from collections import UserList, UserString, deque
from collections.abc import Collection, Iterator, Mapping, MappingView
from types import SimpleNamespace
from typing import Any

_LISTS = (deque, range, MappingView, UserList)
# Modules whose values are what their text says, and URLs, by the names of their classes.
_TEXTUAL = frozenset({"ipaddress", "fractions", "zoneinfo"})


def fields_of(value: Any, hidden: str) -> Mapping[Any, Any] | None:
    """The fields by name: of dataclasses, named tuples, pydantic, attrs and msgspec; None for anything else.

    `hidden` stands for what its author keeps out of the representation.
    """
    if isinstance(value, type) or is_parsed_url(value):
        return None
    if isinstance(value, SimpleNamespace):
        return vars(value)
    fields = dict(_fields_of(type(value)))
    if not fields:
        return None
    shown: dict[Any, Any] = {}
    for name, is_hidden in fields.items():
        try:
            shown[name] = getattr(value, name)
        except AttributeError:
            continue
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:  # a field that is loaded when it is read, and its database is away
            shown[name] = f"<unreadable, {type(exc).__name__}>"
        if is_hidden:
            shown[name] = hidden
    extra = getattr(value, "__pydantic_extra__", None)
    return {**shown, **extra} if isinstance(extra, dict) else shown


def items_of(value: Any) -> Collection[Any] | None:
    """The items of what the standard library has for lists; None for anything else."""
    is_array = type(value).__module__ == "array"
    return value if is_array or isinstance(value, _LISTS) else None


def text_of(value: Any) -> str | None:
    """The text that a value is (an address, a fraction, a URL without its query); None for anything else."""
    kind = type(value)
    if kind.__module__ in _TEXTUAL or isinstance(value, UserString | complex):
        return str(value)
    if is_parsed_url(value):
        return _without_query(str(value.geturl()))
    if any(base.__name__.lower().endswith("url") for base in kind.__mro__):
        return _without_query(str(value))
    return None


def is_parsed_url(value: Any) -> bool:
    """Whether it is a URL in parts, as urllib has it: a tuple, and one of its parts has the password."""
    return hasattr(type(value), "geturl")


def _without_query(url: str) -> str:
    address, mark, _ = url.partition("?")  # where tokens are
    return f"{address}?…" if mark else address


def _fields_of(kind: type) -> Iterator[tuple[str, bool]]:
    """Each field's name, and whether it is kept out of the representation."""
    if issubclass(kind, tuple):
        yield from ((name, False) for name in getattr(kind, "_fields", ()))
        return
    if getattr(getattr(kind, "__dataclass_params__", None), "repr", True) is False:
        return
    # dataclasses, pydantic 2 and 1; a mock or a metaclass may have anything under such a name
    for attribute in ("__dataclass_fields__", "model_fields", "__fields__"):
        fields = getattr(kind, attribute, None)
        if isinstance(fields, Mapping):
            yield from ((name, _is_hidden(field)) for name, field in fields.items())
            return
    described = getattr(kind, "__attrs_attrs__", None)
    if isinstance(described, tuple):
        yield from ((field.name, _is_hidden(field)) for field in described)
        return
    names = getattr(kind, "__struct_fields__", None)
    if isinstance(names, tuple):
        yield from ((name, False) for name in names)


def _is_hidden(field: Any) -> bool:
    return getattr(getattr(field, "field_info", field), "repr", True) is False
