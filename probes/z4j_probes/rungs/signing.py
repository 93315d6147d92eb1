"""Does the brain accept a frame signed by this agent, and we one signed by it?

The frame is an empty event batch: it changes nothing, and a brain acknowledges it with a signed frame of its
own. Evidence: that acknowledgement, the close code, and both clocks (measured by `auth`), since a frame of a
wrong clock is refused with the same close code as one of a wrong secret. Leaves a proven signer and verifier,
and the genuine frames that arrived meanwhile. Codes: see `codes/signing.py`.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from z4j_probes.climb import Climb
from z4j_probes.codes import outcome
from z4j_probes.errors import FrameRejected, ProtocolError
from z4j_probes.probe import Probe
from z4j_probes.protocol import (
    MAX_CLOCK_SKEW_S,
    FrameSigner,
    FrameVerifier,
    meaning_of,
    new_frame_id,
    parse,
)
from z4j_probes.result import ProbeResult, Status
from z4j_probes.rungs.delivered import refuse_delivered
from z4j_probes.rungs.exchange import Closed, advice_for, error_details, error_text, hear, say
from z4j_probes.rungs.hints import set_missing

# A third of what is allowed: a clock that drifts gets there within weeks, and no one watches it.
WARN_CLOCK_SKEW_S = 20.0


class _Heard:
    """What came while the acknowledgement was waited for."""

    def __init__(self) -> None:
        self.pending: list[dict[str, Any]] = []
        self.objection = ""
        """Why another frame than the acknowledgement did not verify: so it is, if our secret is wrong."""
        self.error: dict[str, Any] = {}
        self.started_s = time.monotonic()

    @property
    def waited_s(self) -> float:
        return time.monotonic() - self.started_s


def classify_end(closed: Closed | None, *, offset_s: float, objection: str = "") -> str:
    """The code where the frame was not acknowledged: the connection ended, or nothing came."""
    meant = meaning_of(closed.code if closed else None).before_first_ack
    if meant == "signing.secret_wrong" and abs(offset_s) > MAX_CLOCK_SKEW_S:
        return "signing.clock_skew"
    if meant != "signing.closed":
        return meant
    if objection or (closed is not None and closed.unintelligible):
        return "signing.brain_signature_invalid"
    return "signing.no_reply" if closed is None else meant


def classify_rejection(rejected: ProtocolError) -> str:
    """The code where the acknowledgement itself did not verify."""
    reason = rejected.reason if isinstance(rejected, FrameRejected) else ""
    return "signing.clock_skew" if reason == "clock" else "signing.brain_signature_invalid"


async def run(climb: Climb) -> ProbeResult:
    """Send a signed batch of nothing, and wait for its signed acknowledgement."""
    if climb.hmac_secret is None:
        step = set_missing(climb.settings, "hmac_secret")
        return outcome("signing.secret_missing", "no secret is set, so nothing was sent", hint=step)
    ids = (climb.ack.agent_id, climb.ack.project_id, climb.ack.session_id)
    signer, verifier = FrameSigner(climb.hmac_secret, *ids), FrameVerifier(climb.hmac_secret, *ids)
    frame_id, heard = new_frame_id(), _Heard()
    await say(climb, signer.sign("event_batch", {"events": []}, frame_id))
    result = await _acknowledgement(climb, verifier, frame_id, heard)
    if result.ok:
        climb.signer, climb.verifier, climb.pending = signer, verifier, tuple(heard.pending)
    return result


async def _acknowledgement(
    climb: Climb, verifier: FrameVerifier, frame_id: str, heard: _Heard
) -> ProbeResult:
    while True:
        raw = await hear(climb)
        if not isinstance(raw, bytes):
            return _ended(climb, raw, heard)
        try:
            frame = verifier.verify(raw)
        except ProtocolError as exc:
            if _is_acknowledgement(raw, frame_id):
                return _unverified(climb, exc)
            heard.objection = str(exc)  # not the last word: the brain may be about to refuse our secret
            continue
        if _acknowledges(frame, frame_id):
            return _proven(climb, heard.objection)
        if frame["type"] == "error":
            heard.error = error_details(climb, frame["payload"])
        heard.pending.append(frame)


def _is_acknowledgement(raw: bytes, frame_id: str) -> bool:
    """Whether this is our acknowledgement, from any sender."""
    try:
        return _acknowledges(parse(raw), frame_id)
    except ProtocolError:
        return False


def _acknowledges(frame: dict[str, Any], frame_id: str) -> bool:
    return bool(frame["type"] == "event_batch_ack" and frame["payload"].get("acked_id") == frame_id)


def _proven(climb: Climb, objection: str) -> ProbeResult:
    offset_s = climb.clock_offset_s
    details = {"clock_offset_s": round(offset_s, 3)}
    if objection:
        message = f"the brain acknowledged our frame, but of another frame that it sent, {objection}"
        return outcome("signing.brain_signature_invalid", message, details=details)
    if abs(offset_s) <= WARN_CLOCK_SKEW_S:
        message = "the brain took a frame signed by this agent, and its own signature is good"
        row = "signatures verified in both directions"
        return outcome("signing.ok", message, hint="", details=details, headline=row)
    message = (
        f"signatures are good, but {_clocks(offset_s)}; frames are refused beyond {MAX_CLOCK_SKEW_S:.0f} s"
    )
    # A warning here: it works today, where the catalogue's row is about clocks with which nothing works.
    found = outcome("signing.clock_skew", message, details=details, headline=_skew(offset_s))
    return replace(found, status=Status.WARN)


def _unverified(climb: Climb, rejected: ProtocolError) -> ProbeResult:
    code, details = classify_rejection(rejected), {"clock_offset_s": round(climb.clock_offset_s, 3)}
    if code == "signing.clock_skew":
        message = f"{_clocks(climb.clock_offset_s)}: {rejected}"
        return outcome(code, message, details=details, headline=_skew(climb.clock_offset_s))
    return outcome(code, f"the brain acknowledged our frame, but {rejected}", details=details)


def _ended(climb: Climb, closed: Closed | None, heard: _Heard) -> ProbeResult:
    offset_s = climb.clock_offset_s
    code = classify_end(closed, offset_s=offset_s, objection=heard.objection)
    details = {"clock_offset_s": round(offset_s, 3)} | heard.error | (closed.details() if closed else {})
    seen = [error_text(heard.error)] if heard.error else []
    seen += [f"of a frame that it sent, {heard.objection}"] if heard.objection else []
    seen += [str(closed)] if closed else []
    message = f"{climb.endpoint.host} did not acknowledge a signed frame"
    message += f": {', and '.join(seen)}" if seen else f" within {heard.waited_s:.3g} s"
    if code == "signing.clock_skew":
        message = f"{_clocks(offset_s)}, so signed frames are refused ({closed})"
    elif code == "signing.secret_wrong":
        message = f"the brain rejected our signature: {closed}, clock skew only {abs(offset_s):.1f} s"
    advice = advice_for(closed) if code == "signing.closed" else None
    row = _headline(code, closed, offset_s, heard.waited_s)
    return outcome(code, message, hint=advice, details=details, headline=row)


def _headline(code: str, closed: Closed | None, offset_s: float, waited_s: float) -> str:
    """What the row says: by how much, how long, or with which close code; empty for the title."""
    match code:
        case "signing.clock_skew":
            return _skew(offset_s)
        case "signing.no_reply":
            return f"no acknowledgment of the signed frame within {waited_s:.3g} s"
        case "signing.closed" if closed is not None and closed.code is not None:
            return f"connection closed with {closed.code}, nothing acknowledged"
    return ""


def _skew(offset_s: float) -> str:
    return f"clock skew: {abs(offset_s):.0f} s {'behind' if offset_s > 0 else 'ahead of'} the brain"


def _clocks(offset_s: float) -> str:
    direction = "behind" if offset_s > 0 else "ahead of"
    return f"this machine's clock is {abs(offset_s):.0f} s {direction} the brain's"


async def look_closer(climb: Climb, result: ProbeResult) -> ProbeResult:
    """See whether frames as large as an agent's arrive, too, and act on no command that was delivered."""
    from z4j_probes.rungs.large_frames import try_large_frames  # a doctor's, and no agent's

    result = await refuse_delivered(climb, result)
    climb.pending = ()
    result = await try_large_frames(climb, result)
    return await refuse_delivered(climb, result)


PROBE = Probe(
    name="signing",
    question="Does the brain accept a signed frame, and is its answer signed correctly?",
    needs=("auth",),
    run=run,
    timeout_code="signing.no_reply",
    look_closer=look_closer,
    waits_for=lambda climb: "waiting for the brain to acknowledge a signed frame",
)
