"""What is wrong with a 101 that can't be accepted, in words: from what the WebSocket library objects to."""

from __future__ import annotations

from websockets.exceptions import InvalidHeader, InvalidHeaderValue, InvalidUpgrade, NegotiationError

from z4j_probes.http_response import Answer

_ACCEPT = "sec-websocket-accept"
_UNASKED = {"sec-websocket-extensions": "extension", "sec-websocket-protocol": "subprotocol"}


def explain(wrong: Exception, answer: Answer) -> tuple[str, str]:
    """The code, and what completes "… answered 101 …"."""
    if isinstance(wrong, InvalidUpgrade):
        seen = f"with {wrong.name}: {wrong.value}" if wrong.value else f"without the {wrong.name} header"
        return "websocket.upgrade_stripped", seen
    return "websocket.bad_accept", _objection(wrong, answer)


def _objection(wrong: Exception, answer: Answer) -> str:
    if isinstance(wrong, NegotiationError):
        name = next((name for name in _UNASKED if name in answer.headers), None)
        if name is not None:
            return f"with the {_UNASKED[name]} {answer.headers[name]}, for which nobody asked"
    if isinstance(wrong, InvalidHeader) and wrong.name.lower() == _ACCEPT:
        if isinstance(wrong, InvalidHeaderValue):
            return "with a Sec-WebSocket-Accept that is not for our key"
        return f"with {'more than one' if wrong.value else 'no'} Sec-WebSocket-Accept"
    # whatever was raised first says it best: "line without CRLF", not "closed while reading"
    root: BaseException = wrong
    while root.__cause__ is not None:
        root = root.__cause__
    return f"in a head that is no proper HTTP/1.1: {root or type(root).__name__}"
