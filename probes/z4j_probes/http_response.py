"""An HTTP answer as data: taken from raw bytes, however odd, with what is worth showing of it.

What refuses a WebSocket is often not a brain, so nothing here expects a well-behaved server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from z4j_probes.redact import Redactor

_STATUS_LINE = re.compile(rb"HTTP/(\d(?:\.\d)?) (\d{3})(?: ([^\r\n]*))?\r?\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_TITLE = r"(?is)<title[^>]*>(.*?)</title"
_LENGTH = r"[0-9]{1,18}"  # more is no length, and far enough more is no integer to Python
# A page has its title near its beginning, and looking further costs more with every tag that looks like one.
_TITLE_WITHIN = 4096
_CHUNK_SIZE = rb"([0-9A-Fa-f]{1,8})[^\r\n]*\r\n"
_START = b"HTTP/"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Answer(NamedTuple):
    """One HTTP answer. Header names are in lower case; `body` is as much of it as arrived."""

    version: str
    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def is_interim(self) -> bool:
        """Whether the final answer is still to follow (RFC 9110 §15.2); 101 is a final one."""
        return 100 <= self.status < 200 and self.status != 101

    @property
    def answered_by(self) -> str:
        """Who says it, as far as the headers tell."""
        named = self.headers.get("server") or self.headers.get("via")
        return named or "an unidentified server"

    @property
    def location(self) -> str | None:
        """Where a redirect leads, without query, fragment and user information: those carry secrets."""
        value = self.headers.get("location")
        if value is None:
            return None
        try:
            parts = urlsplit(value)
        except ValueError:
            return None
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()

    @property
    def date(self) -> datetime | None:
        """The server's clock, to the second."""
        return http_date(self.headers.get("date", ""))

    @property
    def text(self) -> str:
        """The body as text, as far as it is any."""
        body = self.body
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            body = _unchunked(body)
        return body.decode("utf-8", "replace")

    @property
    def body_missing(self) -> int | None:
        """How many bytes of the body are still to come; None where the head does not say."""
        length = re.fullmatch(_LENGTH, self.headers.get("content-length", ""))
        return max(0, int(length[0]) - len(self.body)) if length else None

    def evidence(self, redactor: Redactor, *, now: datetime) -> dict[str, Any]:
        """What a report may show of it. `clock_offset_s` is the server's clock less ours, at `now`."""
        found: dict[str, Any] = {"status": self.status, "http_version": self.version}
        for name in ("server", "via", "content-type", "date", "retry-after", "www-authenticate"):
            if name in self.headers:
                found[name.replace("-", "_")] = redactor.excerpt(self.headers[name])
        if self.location is not None:
            found["location"] = redactor.excerpt(self.location)
        if self.date is not None:
            found["clock_offset_s"] = round((self.date - now).total_seconds())
        if self.body:
            found["body"] = redactor.excerpt(self.text, cut=self.body_missing != 0)
            title = re.search(_TITLE, self.text[:_TITLE_WITHIN])
            if title:
                found["title"] = redactor.excerpt(title[1])
        return found


def http_date(value: str) -> datetime | None:
    """The moment of a `Date` header (RFC 9110 §5.6.7); None where it is none, or beyond any calendar."""
    try:
        return _preferred_date(value)
    except ValueError:
        pass
    from email.utils import parsedate_to_datetime  # and the parser of mail behind it

    try:
        moment = parsedate_to_datetime(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _preferred_date(value: str) -> datetime:
    """As servers have to write it, `Sun, 06 Nov 1994 08:49:37 GMT`; ValueError for any other form."""
    _, day, month, year, clock, zone = value.split()
    if zone != "GMT" or len(year) != len("1994"):
        raise ValueError
    hour, minute, second = map(int, clock.split(":"))
    return datetime(int(year), _MONTHS.index(month) + 1, int(day), hour, minute, second, tzinfo=UTC)


def may_be_http(received: bytes) -> bool:
    """Whether these first bytes can still become an HTTP answer."""
    return received.startswith(_START) or _START.startswith(received)


def parse_answer(received: bytes) -> Answer | None:
    """The answer, once its head is complete; None before that, and for what is no HTTP."""
    line = _STATUS_LINE.match(received)
    end = _HEAD_END.search(received)
    if line is None or end is None:
        return None
    headers: dict[str, str] = {}
    for raw in received[line.end() : end.start()].splitlines():
        name, colon, value = _printable(raw).partition(":")
        if colon:
            key, value = name.strip().lower(), value.strip()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
    reason = _printable(line[3] or b"").strip()
    return Answer(line[1].decode(), int(line[2]), reason, headers, received[end.end() :])


def _unchunked(body: bytes) -> bytes:
    """The data of a chunked body (RFC 9112 §7.1), as far as it has arrived; what is none stays as it is."""
    data, at, size = bytearray(), 0, re.compile(_CHUNK_SIZE)
    while line := size.match(body, at):
        end = line.end() + int(line[1], 16)
        data += body[line.end() : end]
        at = end + len(b"\r\n")
    return bytes(data) if at else body


def _printable(raw: bytes) -> str:
    # Headers end up on terminals: no escape sequences.
    text = raw.decode("latin-1")
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
