"""Saying and hearing over the climb's WebSocket, within the rung's budget; an end is data, no exception."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from websockets.exceptions import ConnectionClosed

from z4j_probes.climb import Climb
from z4j_probes.protocol import DEFAULT_MAX_FRAME_BYTES, CloseCode, meaning_of
from z4j_probes.protocol.close_codes import OUR_COMPLAINTS
from z4j_probes.result import Step


class Closed(NamedTuple):
    """How the connection ended. `code` is the brain's (None: it ended without one), `sent` is ours."""

    code: int | None
    reason: str = ""
    sent: int | None = None

    @property
    def unintelligible(self) -> bool:
        """Whether we ended it, since what came is not what a brain may send."""
        return self.code is None and self.sent in OUR_COMPLAINTS

    @property
    def too_large(self) -> bool:
        """Whether we ended it, since the message was larger than any that a brain sends."""
        return self.code is None and self.sent == CloseCode.FRAME_TOO_BIG

    def details(self) -> dict[str, Any]:
        """The end as evidence."""
        return {"close_code": self.code, "close_reason": self.reason}

    def __str__(self) -> str:
        if self.too_large:
            limit = f"{DEFAULT_MAX_FRAME_BYTES // 1024 // 1024} MiB"
            return f"it sent a message of more than {limit}, which is the limit (we closed with {self.sent})"
        if self.unintelligible:
            return f"it sent an invalid WebSocket message (we closed with {self.sent})"
        if self.code is None:
            return "the connection ended without a close code"
        try:
            meaning = self.reason or CloseCode(self.code).name.lower().replace("_", " ")
        except ValueError:
            meaning = ""
        return f"close code {self.code}" + (f" ({meaning})" if meaning else "")


async def say(climb: Climb, frame: str) -> None:
    """Send a frame. Where the connection has ended, `hear` says so, after what the peer said before."""
    with contextlib.suppress(ConnectionClosed, TimeoutError):
        async with asyncio.timeout(climb.time_left()):
            await climb.websocket.send(frame)


async def hear(climb: Climb, at_most_s: float | None = None) -> bytes | Closed | None:
    """The next message, or how the connection ended; None where nothing came in time."""
    budget_s = climb.time_left() if at_most_s is None else min(at_most_s, climb.time_left())
    try:
        async with asyncio.timeout(budget_s):
            return await climb.websocket.recv(decode=False)
    except ConnectionClosed as exc:
        return _closed(climb, exc)
    except TimeoutError:
        return _close_frame(climb)


def advice_for(closed: Closed | None) -> Step | None:
    """What to do about a close code that is about this moment; None where the catalogue's remedy fits."""
    if closed is None or closed.code is None:
        return None
    if closed.code == CloseCode.REPLACED:
        return Step(
            "End the second doctor, or the clone of this machine, that runs with this token: "
            "it took this worker id over"
        )
    if meaning_of(closed.code).is_restart:
        return Step("Wait until the brain is back", "python -m z4j_fastapi doctor --wait 60")
    return None


def error_details(climb: Climb, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What an `error` frame of the brain says, as evidence."""
    redactor = climb.settings.redactor()
    return {
        "error_code": redactor.excerpt(str(payload.get("code", ""))),
        "error_message": redactor.excerpt(str(payload.get("message", ""))),
    }


def error_text(details: Mapping[str, Any]) -> str:
    """The same for a message."""
    return f"it sent the error {details['error_code']}: {details['error_message']}"


def _closed(climb: Climb, exc: ConnectionClosed) -> Closed:
    if exc.rcvd is None:
        return Closed(None, sent=exc.sent.code if exc.sent else None)
    return Closed(exc.rcvd.code, climb.settings.redactor().excerpt(exc.rcvd.reason))


def _close_frame(climb: Climb) -> Closed | None:
    # A peer that sends its close frame and leaves the socket open: recv() waits for the socket's end.
    received = climb.websocket.protocol.close_rcvd
    return (
        None
        if received is None
        else Closed(received.code, climb.settings.redactor().excerpt(received.reason))
    )
