"""What an agent answers to a command: `command_ack` and `command_result`, within what a brain takes.

A brain ends the session for a frame above its limit or another status, and refuses a list of dead letters
that is not exactly as it expects: so everything is cut here, where it is made. `read_dead_letters` is the
strict half.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from z4j_probes.errors import ProtocolError
from z4j_probes.protocol import _json
from z4j_probes.protocol.commands import (
    MAX_CURSOR,
    MAX_DEAD_LETTERS,
    MAX_ENGINE,
    MAX_QUEUE,
    MAX_TASK_ID,
    MAX_TASK_NAME,
)
from z4j_probes.protocol.frames import parse_timestamp, timestamp

Status = Literal["success", "failed"]

MAX_ERROR = 8_192
MAX_ERROR_EXCERPT = 512
ENVELOPE_BYTES = 2_048
"""Around a payload: ids, signature and punctuation, generously."""

_ENTRY_KEYS = {"task_id", "task_name", "queue", "failed_at", "error_excerpt", "attempts"}
_PAGE_KEYS = {"entries", "next_cursor", "total", "engine"}


def acknowledgement(claim_token: str | None) -> dict[str, Any]:
    """The payload of a command_ack."""
    return {"delivery_claim_token": claim_token}


def result(
    status: Status,
    claim_token: str | None,
    *,
    result: Mapping[str, Any] | None = None,
    error: str | None = None,
) -> dict[str, Any]:
    """The payload of a command_result. The error is cut to what a brain takes, and no text has what UTF-8
    can't carry: an exception that names an undecodable file would end one session after another."""
    return {
        "status": status,
        "result": None if result is None else _carried(dict(result)),
        "error": None if error is None else _one_text(error, MAX_ERROR),
        "delivery_claim_token": claim_token,
    }


def fitted(payload: Mapping[str, Any], max_frame_bytes: int) -> dict[str, Any]:
    """The payload itself where its frame is within the limit; else the same without its result's object.

    The same for an object that is not JSON, which an engine of the host's own may give.
    """
    cause = "the result is larger than the brain's frame limit"
    try:
        if size(payload) + ENVELOPE_BYTES <= max_frame_bytes:
            return dict(payload)
    except ValueError:
        cause = "the result can't be written as JSON"
    return {**payload, "result": None, "error": cause}


def size(value: Any) -> int:
    """How many bytes of a frame it takes."""
    return len(_json.render(value).encode())


def dead_letter(
    *,
    task_id: str,
    task_name: str,
    queue: str,
    failed_at: datetime | None,
    error: str,
    attempts: int | None,
) -> dict[str, Any] | None:
    """One entry of a list of dead letters; None for one whose id no brain can name."""
    if not 1 <= len(task_id) <= MAX_TASK_ID or not task_id.isprintable():
        return None
    return {
        "task_id": task_id,
        "task_name": one_line(task_name, MAX_TASK_NAME),
        "queue": one_line(queue, MAX_QUEUE) or "default",
        "failed_at": None if failed_at is None else timestamp(failed_at),
        "error_excerpt": one_line(error, MAX_ERROR_EXCERPT),
        "attempts": attempts,
    }


def dead_letters(
    engine: str, entries: Sequence[Mapping[str, Any]], next_cursor: str | None, total: int | None
) -> dict[str, Any]:
    """The result of dlq.list; ValueError for a cursor that no brain would send back."""
    if next_cursor is not None and not 1 <= len(next_cursor) <= MAX_CURSOR:
        raise ValueError(f"a cursor has 1 to {MAX_CURSOR} characters")
    listed = [dict(entry) for entry in entries[:MAX_DEAD_LETTERS]]
    return {"entries": listed, "next_cursor": next_cursor, "total": total, "engine": engine}


def read_dead_letters(page: object) -> list[dict[str, Any]]:
    """The entries of a dlq.list's result, read as strictly as a brain does.

    ProtocolError says what is wrong.
    """
    if not isinstance(page, dict) or page.keys() != _PAGE_KEYS or not isinstance(page["entries"], list):
        raise ProtocolError("the result is not a page of dead letters")
    if len(page["entries"]) > MAX_DEAD_LETTERS:
        raise ProtocolError(f"the page has more than {MAX_DEAD_LETTERS} entries")
    _require_text(page, "engine", 1, MAX_ENGINE)
    if page["next_cursor"] is not None:
        _require_text(page, "next_cursor", 1, MAX_CURSOR)
    _require_count(page, "total")
    for entry in page["entries"]:
        if not isinstance(entry, dict) or entry.keys() != _ENTRY_KEYS:
            raise ProtocolError("an entry is not a dead letter")
        _require_text(entry, "task_id", 1, MAX_TASK_ID)
        _require_text(entry, "task_name", 0, MAX_TASK_NAME)
        _require_text(entry, "queue", 1, MAX_QUEUE)
        _require_text(entry, "error_excerpt", 0, MAX_ERROR_EXCERPT)
        _require_count(entry, "attempts")
        if entry["failed_at"] is not None:
            try:
                parse_timestamp(entry["failed_at"])
            except (TypeError, ValueError):
                raise ProtocolError("'failed_at' is not an RFC 3339 moment with a zone") from None
    return list(page["entries"])


def one_line(text: str, longest: int) -> str:
    """A foreign text on one line, cut: what is not printable becomes a space."""
    # bounded first: a text of megabytes is not worth looking at twice
    printable = "".join(c if c.isprintable() else " " for c in text[: longest * 2])
    return " ".join(printable.split())[:longest]


def _one_text(text: str, longest: int) -> str:
    # lines stay; what UTF-8 or a brain's database can't carry does not
    return text[:longest].encode("utf-8", "replace").decode().replace("\x00", " ")


def _carried(value: Any) -> Any:
    if isinstance(value, str):
        return _one_text(value, len(value))
    if isinstance(value, dict):
        return {key: _carried(item) for key, item in value.items()}
    return [_carried(item) for item in value] if isinstance(value, list) else value


def _require_text(source: Mapping[str, Any], key: str, least: int, most: int) -> None:
    value = source[key]
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise ProtocolError(f"'{key}' is not a text of {least} to {most} characters")


def _require_count(source: Mapping[str, Any], key: str) -> None:
    value = source[key]
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise ProtocolError(f"'{key}' is not a count")
