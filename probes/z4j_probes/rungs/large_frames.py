"""Do frames as large as an agent's arrive? The closer look of the signing rung.

The signed frame of `signing` is as small as a frame gets, and an agent's batches are not: a path with a
wrong MTU, or a gateway with a limit for messages, carries the one and loses the other. So the largest
follows, padded in a field that a brain ignores: what carries that one carries all. Where it is not
acknowledged soon, one of usual size and a small one go behind it: where the small one is acknowledged, what
was dropped before it was dropped for its size.

Evidence: which frames were acknowledged, how the connection ended, and what this machine's kernel still has
to send, by which a busy brain is told from a bad path. Codes: signing.large_frame_lost, large_frame_refused.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from z4j_probes.climb import Climb
from z4j_probes.codes import outcome
from z4j_probes.errors import ProtocolError
from z4j_probes.portable import shell
from z4j_probes.protocol import CloseCode, FrameSigner, new_frame_id
from z4j_probes.result import Advice, ProbeResult, Status, Step
from z4j_probes.rungs.exchange import Closed, advice_for, hear, say

if TYPE_CHECKING:
    from z4j_probes.unsent import Unsent

# More than any MTU, and no more than the least limit that a brain may have (LEAST_MAX_FRAME_BYTES).
USUAL_BYTES = 16 * 1024
# An event at the limit of what `emit` keeps, in its frame.
LARGEST_BYTES = 66 * 1024
# A batch of nothing without padding: what `signing` itself has sent.
SMALL_BYTES = 0
# Of the time that is left: the rest is for a second look, and for saying what was found.
_SHARE = 0.7
# How long the largest frame flies alone. Each frame costs a brain a few milliseconds, whatever its size.
_ALONE_S = 0.5
# The envelope around the padding: ids, signature and punctuation, generously.
_ENVELOPE_BYTES = 512
# What every path carries: the least MTU of IPv6 (RFC 8200 §5).
SAFE_MTU = 1280
# A packet of 1,500 bytes, less the headers of IP and ICMP.
_PING_PAYLOAD = {socket.AF_INET: 1472, socket.AF_INET6: 1452}
# What would have ended the connection anyway, whatever was sent: a restart, another doctor, a token that is
# revoked. All else is about the frame, or is taken for it until one of usual size has gone alone: gateways
# have each their own code for what is too large, and some have none.
_ANYWAY = frozenset(
    {
        CloseCode.GOING_AWAY,
        CloseCode.SERVICE_RESTART,
        CloseCode.TRY_AGAIN_LATER,
        CloseCode.REPLACED,
        CloseCode.REVOKED,
        CloseCode.TOKEN_REJECTED,
        CloseCode.RATE_LIMITED,
    }
)


class Flight(NamedTuple):
    """What became of frames of these sizes, and of a small one that may have gone behind them."""

    sizes: tuple[int, ...]
    acknowledged: frozenset[int] = frozenset()
    closed: Closed | None = None
    waiting: Unsent | None = None
    is_lost: bool = False
    """Whether nothing of the frames that are missing has arrived at the other end of the connection."""
    waited_s: float = 0.0

    @property
    def missing(self) -> tuple[int, ...]:
        """The sizes that were not acknowledged, smallest first."""
        return tuple(size for size in sorted(self.sizes) if size not in self.acknowledged)

    def to_details(self) -> dict[str, Any]:
        """JSON-ready."""
        found: dict[str, Any] = {
            "frames_bytes": list(self.sizes),
            "frames_acknowledged": [size for size in self.sizes if size in self.acknowledged],
        }
        if self.missing and self.closed is not None:
            found |= self.closed.details()
        elif self.missing and self.waiting is not None:
            found |= self.waiting.to_details()
        return found


def classify(flight: Flight) -> tuple[str, Status]:
    """The code and status for a flight of which something is missing.

    Red is what keeps an agent from delivering: a frame of usual size that does not get through. A larger one
    is more than most batches need, and what is refused an agent learns to send smaller.
    """
    usual = USUAL_BYTES in flight.missing
    if flight.closed is not None:
        if flight.closed.code in _ANYWAY:
            return "signing.closed", Status.FAIL
        asked_for_one = flight.sizes == (USUAL_BYTES,)
        return "signing.large_frame_refused", Status.FAIL if usual and asked_for_one else Status.WARN
    dropped = SMALL_BYTES in flight.acknowledged or flight.waiting is None or flight.is_lost
    return "signing.large_frame_lost", Status.FAIL if usual and dropped else Status.WARN


async def try_large_frames(climb: Climb, result: ProbeResult) -> ProbeResult:
    """Send what an agent sends; what does not come back with an acknowledgement is named."""
    sizes = tuple(s for s in (USUAL_BYTES, LARGEST_BYTES) if s <= climb.ack.max_frame_size_bytes)
    flight = await _fly(climb, sizes)
    if _leaves_open(flight):
        again = await _usual_only(climb)
        if again is not None and again.missing:
            flight = again
        elif again is not None:
            usual = frozenset({USUAL_BYTES})
            flight = flight._replace(sizes=sizes, acknowledged=flight.acknowledged | usual)
    details = {**result.details, **flight.to_details()}
    if not flight.missing:
        return replace(result, details=details)
    code, status = classify(flight)
    message, advice = _words(code, flight, climb)
    found = outcome(code, message, hint=advice, details=details, headline=_headline(code, flight))
    return replace(found, status=status)


def _leaves_open(flight: Flight) -> bool:
    """Whether the largest frame may have taken one of usual size with it, on its way or to its end."""
    if LARGEST_BYTES not in flight.missing or flight.acknowledged:
        return False
    if flight.closed is not None:
        return classify(flight)[0] == "signing.large_frame_refused"
    return flight.is_lost or flight.waiting is None


async def _fly(climb: Climb, sizes: Sequence[int]) -> Flight:
    """Send the largest; where it is not acknowledged soon, the others behind it."""
    started_s, budget_s = time.monotonic(), climb.time_left() * _SHARE
    flights = ((sizes[-1:], min(_ALONE_S, budget_s)), ((*sizes[:-1], SMALL_BYTES), budget_s))
    sent: dict[str, int] = {}
    length_of: dict[int, int] = {}
    acknowledged: set[int] = set()
    sending: list[asyncio.Task[None]] = []
    try:
        for together, until_s in flights:
            ids = {new_frame_id(): size for size in together}
            frames = [padded(climb.signer, frame_id, size) for frame_id, size in ids.items()]
            sent |= ids
            length_of |= {size: len(frame) for size, frame in zip(together, frames, strict=True)}
            # beside the hearing: where the path takes nothing, a send does not end
            sending.append(asyncio.create_task(_send(climb, frames)))
            closed = await _hear_out(climb, sent, acknowledged, started_s + until_s)
            if closed is not None or len(acknowledged) == len(sent):
                break
    finally:
        for task in sending:
            task.cancel()
    tried = tuple(sorted(size for size in length_of if size != SMALL_BYTES))
    found = Flight(tried, frozenset(acknowledged), closed, waited_s=time.monotonic() - started_s)
    if closed is not None or not found.missing:
        return found
    waiting = _unsent(climb)
    missing_bytes = sum(length for size, length in length_of.items() if size not in acknowledged)
    is_lost = waiting is not None and waiting.nothing_arrived_of(missing_bytes)
    return found._replace(waiting=waiting, is_lost=is_lost)


def _unsent(climb: Climb) -> Unsent | None:
    from z4j_probes.unsent import unsent  # loaded where something is missing

    return unsent(climb.protocol.layers)


async def _send(climb: Climb, frames: Sequence[str]) -> None:
    for frame in frames:
        await say(climb, frame)


async def _hear_out(
    climb: Climb, frames: Mapping[str, int], acknowledged: set[int], deadline_s: float
) -> Closed | None:
    """Collect acknowledgements until all are there, the connection ends (how it did), or the time is up."""
    while len(acknowledged) < len(frames):
        raw = await hear(climb, max(0.0, deadline_s - time.monotonic()))
        if not isinstance(raw, bytes):
            return raw
        try:
            frame = climb.verifier.verify(raw)
        except ProtocolError:  # forged, or altered: it acknowledges nothing
            continue
        if frame["type"] == "event_batch_ack":
            acknowledged |= {frames[i] for i in (frame["payload"].get("acked_id"),) if i in frames}
        else:
            climb.pending = (*climb.pending, frame)
    return None


def padded(signer: FrameSigner, frame_id: str, size: int) -> str:
    """A signed batch of nothing of nearly `size` bytes; as short as it gets for SMALL_BYTES.

    The padding is random, since a path may compress, and in a field of no meaning beside `events`.
    """
    if size == SMALL_BYTES:
        return signer.sign("event_batch", {"events": []}, frame_id)
    padding = secrets.token_hex((size - _ENVELOPE_BYTES) // 2)
    return signer.sign("event_batch", {"events": [], "padding": padding}, frame_id)


async def _usual_only(climb: Climb) -> Flight | None:
    """The flight of the smaller frame over a connection of its own; None where that does not get as far.

    A gateway may close at the larger frame before the acknowledgement of the smaller one has arrived.
    """
    from z4j_probes.rungs import built_in

    async with Climb(climb.settings, climb.make_hello) as again:
        if climb.has("directory"):
            again.directory = climb.directory
        for probe in built_in():
            if probe.name != "buffer" and not (await probe.run(again)).ok:
                return None
        return await _fly(again, (USUAL_BYTES,))


def _words(code: str, flight: Flight, climb: Climb) -> tuple[str, Advice | None]:
    """What happened, and what to do where more is known than the catalogue's steps say."""
    size = _size(flight.missing[0])
    if code == "signing.closed":
        return f"the connection was closed behind the handshake: {flight.closed}", advice_for(flight.closed)
    if code == "signing.large_frame_refused":
        ambiguous = "or less " if len(flight.missing) > 1 else ""
        return f"frames of {size} {ambiguous}are refused: {flight.closed}", None
    seen = f"no acknowledgment of a {size} frame within {flight.waited_s:.3g} s"
    if SMALL_BYTES in flight.acknowledged:
        step = Step("Raise the message limit of the gateway or proxy that drops larger messages to 1 MiB")
        return f"{seen}, while small frames arrive", step
    if flight.waiting is not None and not flight.is_lost:
        step = Step("Look at the brain's log and load, then at the message limits of the proxies in between")
        return f"{seen}, though the other end received it: the brain is busy, or a proxy loses it", step
    return f"{seen}: large packets are lost on the path, small frames arrive", _below_the_mtu(climb)


def _headline(code: str, flight: Flight) -> str:
    """What the row says: from which size on; empty where the connection ended for another reason."""
    if code == "signing.closed":
        return ""
    ambiguous = "or less " if flight.closed is not None and len(flight.missing) > 1 else ""
    became = "refused" if code == "signing.large_frame_refused" else "lost"
    return f"frames of {_size(flight.missing[0])} {ambiguous}are {became} in between"


def _below_the_mtu(climb: Climb) -> tuple[Step, Step]:
    """How to see that it is the MTU, and how to go below it: from here, to what this connection is with."""
    address = climb.peer.ip
    payload = _PING_PAYLOAD[climb.peer.family]
    return (
        Step("See whether packets of full size arrive", shell.ping_with(payload, address)),
        Step(
            "If they don't, lower this machine's MTU, or have the router clamp the MSS",
            shell.lower_mtu(address, SAFE_MTU),
        ),
    )


def _size(count: int) -> str:
    return f"{count // 1024} KiB"
