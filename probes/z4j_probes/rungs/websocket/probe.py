"""Does the path upgrade to WebSocket, through whatever proxy stands there?

Evidence: the HTTP answer (status, who gives it, Location, Date, the beginning of its page), or what came
instead of one: a banner, a TLS alert, an end, nothing. Leaves an open WebSocket. Codes: see
`codes/websocket.py`.

The request is sent and the head of the answer read as plain bytes, because a library that expects a brain
keeps nothing of what other servers say. A WebSocket connection takes over once the answer is 101. It sends no
keepalive pings: the owner of the session starts them (`start_keepalive`), a doctor is gone before the first.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from websockets.asyncio.connection import Connection
from websockets.client import ClientProtocol
from websockets.http11 import Request
from websockets.uri import parse_uri

from z4j_probes._version import __version__
from z4j_probes.bounded_connection import BoundedConnection
from z4j_probes.climb import CLOSE_S, Climb
from z4j_probes.codes import outcome
from z4j_probes.http_response import Answer, may_be_http, parse_answer
from z4j_probes.probe import Probe
from z4j_probes.protocol import DEFAULT_MAX_FRAME_BYTES
from z4j_probes.result import ProbeResult
from z4j_probes.rungs.connection import Families
from z4j_probes.rungs.naming_origin import naming_origin
from z4j_probes.transport import HELD_MAX_BYTES

SWITCHING_PROTOCOLS = 101
# The page of the server that refused is worth a short wait, and no more of it than shows whose page it is.
BODY_S = 0.5
BODY_BYTES = 4096


async def run(climb: Climb) -> ProbeResult:
    """Ask for the upgrade, and say who answered what."""
    if climb.protocol.received and not may_be_http(bytes(climb.protocol.received)):
        return _failed(climb, None)  # it spoke first: nothing that should be sent a token
    families = Families(climb)
    try:
        protocol = await families.try_each(lambda: _ask(climb), encrypted=climb.endpoint.secure)
    except TimeoutError:
        return _failed(climb, None, families)  # what has arrived so far tells the rest
    answer = parse_answer(bytes(climb.protocol.received))
    if answer is None:
        return _failed(climb, None)
    if answer.status == SWITCHING_PROTOCOLS and answer.version == "1.1":
        return families.warn(await _upgraded(climb, protocol, answer), "websocket.slow")
    await _receive_body(climb, answer)
    return _failed(climb, parse_answer(bytes(climb.protocol.received)) or answer)


async def _ask(climb: Climb) -> ClientProtocol:
    protocol = ClientProtocol(parse_uri(climb.endpoint.websocket_url), max_size=DEFAULT_MAX_FRAME_BYTES)
    # Not through `protocol.send_request`, which logs every header at DEBUG, the token's included.
    climb.transport.write(_request(climb, protocol).serialize())
    await _receive_head(climb)
    return protocol


def _request(climb: Climb, protocol: ClientProtocol) -> Request:
    token = climb.settings.token
    request = protocol.connect()
    request.headers["Authorization"] = f"Bearer {token.reveal() if token else ''}"
    request.headers["User-Agent"] = f"z4j-probes/{__version__}"
    return request


async def _receive_head(climb: Climb) -> None:
    """Return once the head of the final answer is complete, or it is plain that none will come."""
    holding = climb.protocol
    while not (holding.eof or holding.lost or len(holding.received) > HELD_MAX_BYTES):
        received = bytes(holding.received)
        answer = parse_answer(received)
        if answer is not None and answer.is_interim:
            holding.received[:] = answer.body
            continue
        if answer is not None or (received and not may_be_http(received)):
            return
        await holding.changed()


async def _receive_body(climb: Climb, answer: Answer) -> None:
    holding = climb.protocol
    try:
        async with asyncio.timeout(min(BODY_S, climb.time_left())):
            while not (holding.eof or holding.lost or answer.body_missing == 0):
                await holding.changed()
                answer = parse_answer(bytes(holding.received)) or answer
                if len(answer.body) >= BODY_BYTES:
                    return
    except TimeoutError:
        return


async def _upgraded(climb: Climb, protocol: ClientProtocol, answer: Answer) -> ProbeResult:
    connection = BoundedConnection(protocol, close_timeout=CLOSE_S)
    _take_over(climb, connection)
    evidence = _evidence(climb, answer)
    wrong = protocol.handshake_exc
    if wrong is not None:
        from z4j_probes.rungs.websocket.refusal import explain_bad_upgrade

        code, what = explain_bad_upgrade(wrong, answer)
        what = climb.settings.redactor().excerpt(what)  # it may quote a header
        return outcome(code, f"{answer.answered_by} answered 101 {what}", details=evidence)
    if protocol.close_rcvd is None and (climb.protocol.eof or climb.protocol.lost):
        message = f"{answer.answered_by} upgraded the connection and closed it at once, without a close code"
        headline = f"connection closed right after the upgrade at {climb.endpoint.path}"
        return outcome("websocket.closed", message, details=evidence, headline=headline)
    climb.websocket = connection
    # The transport's own release, registered below, runs after this and cuts what did not close in time.
    climb.on_release_async(connection.close)
    message, headline = f"{climb.endpoint.websocket_url} upgrades", f"upgraded at {climb.endpoint.path}"
    return outcome("websocket.ok", message, hint="", details=evidence, headline=headline)


def _take_over(climb: Climb, connection: Connection) -> None:
    # In one step, with no await: nothing may arrive between the two protocols.
    holding, transport = climb.protocol, climb.transport
    transport.set_protocol(connection)
    connection.connection_made(transport)
    connection.data_received(holding.take())
    if holding.lost:
        connection.connection_lost(holding.error)
    elif holding.eof:
        connection.eof_received()


def _failed(climb: Climb, answer: Answer | None, families: Families | None = None) -> ProbeResult:
    # what tells failures apart is loaded when there is one
    from z4j_probes.rungs.websocket.failure import no_http, refused

    waited = families.waited if families else ""
    return no_http(climb, waited) if answer is None else refused(climb, answer, _evidence(climb, answer))


def _evidence(climb: Climb, answer: Answer) -> dict[str, Any]:
    if answer.status == SWITCHING_PROTOCOLS:
        answer = answer._replace(body=b"")  # what follows is frames
    found = answer.evidence(climb.settings.redactor(), now=datetime.now(UTC))
    return {"url": climb.endpoint.websocket_url, **found}


PROBE = Probe(
    name="websocket",
    question="Does the path upgrade to WebSocket, through any proxy in between?",
    needs=("tls",),
    run=naming_origin(run),
    timeout_code="websocket.timeout",
    waits_for=lambda climb: f"upgrading {climb.endpoint.websocket_url}",
)
