"""The response to a request, and how it is sent over ASGI."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_NOT_IN_A_FIELD = re.compile(r"[^\t -~\x80-\xff]")  # RFC 9110 §5.5
# What is true of a process now is neither kept nor shown inside another site's page.
_ALWAYS = {"cache-control": "no-store", "x-content-type-options": "nosniff", "x-frame-options": "DENY"}


@dataclass(frozen=True, slots=True)
class Response:
    """What is sent back for one request."""

    status: int
    body: str = ""
    kind: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()

    async def send(self, send: Send, *, with_body: bool) -> None:
        """Send it; that the client has left is nothing to tell the host."""
        body = self.body.encode("utf-8", errors="replace")
        headers = {
            "content-type": self.kind,
            "content-length": str(len(body)),
            **_ALWAYS,
            **dict(self.headers),
        }
        pairs = [(_field(name.lower()), _field(value)) for name, value in headers.items()]
        with contextlib.suppress(OSError):
            await send({"type": "http.response.start", "status": self.status, "headers": pairs})
            await send({"type": "http.response.body", "body": body if with_body else b""})


def _field(text: str) -> bytes:
    """Part of a header; what can't be in one becomes a question mark, instead of an error in the host."""
    return _NOT_IN_A_FIELD.sub("?", text).encode("latin-1")


def as_json(status: int, value: Any, **headers: str) -> Response:
    """A JSON document."""
    return Response(status, json.dumps(value, default=str), headers=tuple(headers.items()))


def as_page(page: str) -> Response:
    """A page for people."""
    return Response(200, page, "text/html; charset=utf-8")


def refusal(exc: Exception) -> Response | None:
    """The response that an HTTPException stands for; None for any other exception."""
    status = getattr(exc, "status_code", None)
    if not isinstance(status, int):
        return None
    headers = tuple((str(k), str(v)) for k, v in dict(getattr(exc, "headers", None) or {}).items())
    return Response(status, json.dumps({"error": str(getattr(exc, "detail", ""))}), headers=headers)
