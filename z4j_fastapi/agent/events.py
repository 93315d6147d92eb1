"""Events: what happened to a task, made safe to store and to send.

Whatever a host hands to `emit` becomes canonical JSON of bounded size, without what looks like a secret.
The text is rendered once: it is stored, signed and sent as it is.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
import uuid
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum, StrEnum
from functools import lru_cache
from math import isfinite
from typing import Any

from z4j_probes.protocol import render, timestamp

# A brain takes frames of 1 MiB; one event must leave room for others and for a smaller limit.
MAX_EVENT_BYTES = 64 * 1024
# A traceback fits; a file that was passed as an argument does not.
MAX_TEXT = 8 * 1024
MAX_ITEMS = 200
# All values of an event together, and all characters: about a millisecond's work.
MAX_VALUES = 1000
MAX_CHARACTERS = MAX_EVENT_BYTES
MAX_NAME = 512
MAX_DEPTH = 8
# Python's own JSON parser refuses integers of more than 4,300 digits; no host needs a tenth of that.
MAX_INT_BITS = 1024

REDACTED = "[redacted]"

# Words, not substrings: `max_tokens` and `tokenizer` are no secrets.
SECRET_WORDS = frozenset(
    {"password", "passwd", "pwd", "passphrase", "secret", "token", "authorization", "cookie", "cookies"}
    | {"apikey", "credential", "credentials", "csrf", "otp", "privatekey", "sessionid"}
    | {"passwords", "secrets", "tokens", "apikeys", "accesstoken", "clientsecret", "jwt", "bearer", "dsn"}
)
_SECRET_PAIRS = frozenset(
    {"apikey", "privatekey", "sessionid", "accesskey", "setcookie", "signingkey"}
    | {"apikeys", "privatekeys", "accesskeys", "dbpass"}
)
# A count of language-model tokens, not a token.
_COUNTS = frozenset(
    {"max", "min", "num", "total", "prompt", "completion", "input", "output", "count", "used"}
)

# Values that are secrets whatever their key: JSON Web Tokens, authorization headers, passwords in URLs,
# private keys, and the keys of vendors that mark theirs. A pattern is tried only where one of its marks is in
# the text: that search costs a microsecond where all patterns together take milliseconds for 8 KiB.
SECRET_PATTERNS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("eyJ",), r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),
    (("earer ", "asic ", "EARER ", "ASIC "), r"(?i:\b(?:bearer|basic)\s+)[\w.~+/=-]{12,}"),
    (("://",), r"(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"),
    (("PRIVATE KEY-",), r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"),
    (("AKIA", "ASIA"), r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    (("AIza",), r"\bAIza[\w-]{35}"),
    (
        ("sk-", "sk_", "pk_", "rk_"),
        r"\b(?:[spr]k[-_](?:live|test|proj|ant)[-_][\w-]{16,}|sk-[A-Za-z0-9]{32,})",
    ),
    (("gh", "glpat-"), r"\b(?:gh[pousr]_\w{30,}|github_pat_\w{30,}|glpat-[\w-]{20,})"),
    (("xox",), r"\bxox[abeprs]-[\w-]{10,}"),
    (("SG.",), r"\bSG\.[\w-]{16,}\.[\w-]{16,}"),
    (("npm_", "pypi-", "hvs."), r"\b(?:npm_\w{36}|pypi-[\w-]{32,}|hvs\.[\w-]{24,})"),
)
_COMPILED = tuple((marks, re.compile(pattern, re.DOTALL)) for marks, pattern in SECRET_PATTERNS)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class EventKind(StrEnum):
    """What a brain knows to happen."""

    TASK_SENT = "task.sent"
    TASK_RECEIVED = "task.received"
    TASK_STARTED = "task.started"
    TASK_SUCCEEDED = "task.succeeded"
    TASK_FAILED = "task.failed"
    TASK_RETRIED = "task.retried"
    TASK_REVOKED = "task.revoked"
    TASK_REJECTED = "task.rejected"
    WORKER_ONLINE = "worker.online"
    WORKER_OFFLINE = "worker.offline"
    WORKER_HEARTBEAT = "worker.heartbeat"
    QUEUE_DEPTH_REPORT = "queue.depth_report"


class EventEncoder:
    """Renders events.

    `redact_keys` adds words to those that mark a secret; `redact_patterns` adds regular expressions to those
    for values that are one. Raises re.error for what is none.
    """

    def __init__(self, redact_keys: tuple[str, ...] = (), redact_patterns: tuple[str, ...] = ()) -> None:
        own = tuple(re.compile(pattern) for pattern in redact_patterns)

        def redacted(text: str) -> str:
            for marks, pattern in _COMPILED:
                for mark in marks:
                    if mark in text:
                        text = pattern.sub(REDACTED, text)
                        break
            for pattern in own:
                text = pattern.sub(REDACTED, text)
            return text

        self.redacted: Callable[[str], str] = redacted
        """A text without what looks like a secret."""
        words = SECRET_WORDS | {word.lower().replace("_", "").replace("-", "") for word in redact_keys}

        @lru_cache(maxsize=1024)
        def is_secret(key: str) -> bool:
            parts = [part.lower() for part in _WORDS.findall(key)]
            pairs = {a + b for a, b in itertools.pairwise(parts)}
            if parts and parts[-1] == "tokens" and not _COUNTS.isdisjoint(parts):
                return False
            return not words.isdisjoint(parts) or not (words | _SECRET_PAIRS).isdisjoint(pairs)

        self._is_secret: Callable[[str], bool] = is_secret

    def safe(self, value: Any) -> Any:
        """A value of a host's as JSON without secrets, as it stands in an event."""
        return _Walk(self._is_secret, self.redacted).value(value, 0)

    def encode(
        self,
        kind: str,
        *,
        task_id: str,
        engine: str,
        data: Mapping[str, Any],
        occurred_at: datetime | None = None,
    ) -> str:
        """One event as canonical JSON of at most MAX_EVENT_BYTES."""
        safe = _Walk(self._is_secret, self.redacted).mapping(data, 0)
        event = {
            "id": _uuid4(),
            "engine": _name(engine),
            "task_id": _name(task_id),
            "kind": _name(kind),
            "occurred_at": _moment(occurred_at),
            "data": safe,
        }
        text = render(event)
        # a character is at most four bytes; most events need no exact count
        if len(text) * 4 > MAX_EVENT_BYTES and len(text.encode()) > MAX_EVENT_BYTES:
            # what stands beside the data is bounded by its own limits, and far below this reserve
            text = render({**event, "data": _shrunk(safe, MAX_EVENT_BYTES // 2)})
        return text


class _Walk:
    """One event's data made safe, up to MAX_VALUES and MAX_CHARACTERS: the host's loop waits for it."""

    __slots__ = ("_is_secret", "_left", "_redacted", "_room")

    def __init__(self, is_secret: Callable[[str], bool], redacted: Callable[[str], str]) -> None:
        self._is_secret = is_secret
        self._redacted = redacted
        self._left = MAX_VALUES
        self._room = MAX_CHARACTERS

    def mapping(self, mapping: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        safe: dict[str, Any] = {}
        # another thread may change a dict meanwhile: `list` takes it at one moment
        items = list(mapping.items()) if type(mapping) is dict else mapping.items()
        for index, (key, value) in enumerate(items):
            if index == MAX_ITEMS or self._is_full:
                safe["…"] = f"{len(mapping) - index} more"
                break
            name = _name(key)
            self._room -= len(name)
            secret = value is not None and self._is_secret(name)
            safe[name] = REDACTED if secret else self.value(value, depth + 1)
        return safe

    def value(self, value: Any, depth: int) -> Any:
        """One value, made safe; where its own methods raise, it costs that value only.

        KeyboardInterrupt and SystemExit are the process's own. All else is contained: Rust's panics in Python
        extensions (PyO3) and cancellations are no Exception either.
        """
        if type(value) is str:  # most are; it has no methods but the language's own
            self._left -= 1
            return self._text(value)
        try:
            return self._value(value, depth)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:
            return f"<{type(value).__name__}: unreadable, {type(exc).__name__}>"

    def _value(self, value: Any, depth: int) -> Any:
        self._left -= 1
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return value if value.bit_length() <= MAX_INT_BITS else f"<int of {value.bit_length()} bits>"
        if kind is float:
            return value if isfinite(value) else str(value)
        if depth > MAX_DEPTH:
            return f"<{kind.__name__}, nested too deeply>"
        if isinstance(value, Mapping):
            return self.mapping(value, depth)
        if isinstance(value, list | tuple | set | frozenset):
            return self._items(value, depth)
        if (fields := _fields(value)) is not None:
            return self.mapping(fields, depth)
        if (number := _number(value)) is not None:
            return self._value(number, depth)
        safe = _foreign(value)
        return self._text(safe) if isinstance(safe, str) else safe

    @property
    def _is_full(self) -> bool:
        return self._left <= 0 or self._room <= 0

    def _text(self, text: str) -> str:
        if len(text) > MAX_TEXT or not text.isascii():
            text = _text(text)
        self._room -= len(text)
        return self._redacted(text)

    def _items(self, values: Collection[Any], depth: int) -> list[Any]:
        items: list[Any] = []
        for value in values:
            if len(items) == MAX_ITEMS or self._is_full:
                items.append(f"… {len(values) - len(items)} more")
                break
            if (name := self._secret_header(value)) is not None:
                items.append([name, REDACTED])
                continue
            items.append(self.value(value, depth + 1))
        return items

    def _secret_header(self, value: Any) -> str | None:
        """The name in a pair of name and value, as ASGI has headers, where it marks a secret."""
        if type(value) not in (tuple, list) or len(value) != 2:
            return None
        name = value[0]
        if type(name) is bytes:
            name = name[:MAX_NAME].decode("latin-1")
        return _name(name) if type(name) is str and self._is_secret(_name(name)) else None


def _fields(value: Any) -> Mapping[Any, Any] | None:
    """The fields of a dataclass or a pydantic model, by their names; None for anything else."""
    kind = type(value)
    names = getattr(kind, "__dataclass_fields__", None) or getattr(kind, "model_fields", None)
    if not isinstance(names, Mapping) or isinstance(value, type):
        return None
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


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


def _uuid4() -> str:
    """RFC 9562 §5.4, at a third of what the standard library's class costs for each event."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _foreign(value: Any) -> Any:
    """A value that JSON has no form for. Never its repr: that may hold anything, a secret too."""

    # half a megabyte for a type that few hosts use: one that has such a value has loaded it
    decimal = sys.modules.get("decimal")
    numbers = (decimal.Decimal,) if decimal else ()
    if isinstance(value, Enum):
        return _text(_str(value.value))
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (uuid.UUID, os.PathLike, str, int, float, *numbers)):
        return _text(_str(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, BaseException):
        return _text(f"{type(value).__name__}: {_str(value)}")
    return f"<{type(value).__module__}.{type(value).__qualname__}>"


def _moment(given: object) -> str:
    if isinstance(given, datetime) and given.tzinfo is not None:
        return timestamp(given)
    return timestamp(datetime.now(UTC))


def _name(value: object) -> str:
    """What a host calls something: a task, an engine, a field. Names of many kilobytes name nothing."""
    if type(value) is str and len(value) <= MAX_NAME and value.isascii():
        return value
    return _text(value if type(value) is str else _str(value))[:MAX_NAME]


def _str(value: object) -> str:
    try:
        return str(value)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # a host's own __str__ may do anything
        return f"<{type(value).__name__}>"


def _text(text: str) -> str:
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}… {len(text) - MAX_TEXT} more characters"
    if text.isascii():
        return text
    # a lone surrogate (an undecodable file name) has no UTF-8 form
    return text.encode("utf-8", "replace").decode()


def _shrunk(data: dict[str, Any], limit: int) -> dict[str, Any]:
    """The data with its largest fields named instead of shown, until the rest fits."""
    sizes = {key: len(render({key: value}).encode()) for key, value in data.items()}
    excess = sum(sizes.values()) - limit
    shrunk = dict(data)
    for key in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if excess <= 0:
            break
        shrunk[key] = f"[left out: {sizes[key]} bytes]"
        excess -= sizes[key] - len(render({key: shrunk[key]}).encode())
    # names alone may be too much: of 200 fields, in a script of four bytes a character
    return shrunk if excess <= 0 else {"…": f"[left out: {len(data)} fields]"}
