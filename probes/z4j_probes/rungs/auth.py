"""Does the brain accept this token, project and protocol version?

The brain accepts the upgrade before it looks at the token, so only an answered hello counts. Evidence: the
close code and its reason, an `error` frame, the ids in hello_ack, and the brain's clock against ours, less
half of the round trip. Leaves hello, its acknowledgement and the clock's offset. Codes: see `codes/auth.py`.
"""

from __future__ import annotations

import time
from typing import Any

from z4j_probes.climb import Climb
from z4j_probes.codes import lookup, outcome
from z4j_probes.errors import ProtocolError
from z4j_probes.probe import Probe
from z4j_probes.protocol import (
    LEAST_MAX_FRAME_BYTES,
    PROTOCOL_VERSION,
    CloseCode,
    HelloAck,
    meaning_of,
    parse,
    utc_now,
)
from z4j_probes.result import Advice, ProbeResult, Step
from z4j_probes.rungs.exchange import Closed, advice_for, error_details, error_text, hear, say
from z4j_probes.rungs.hints import ask_brain, replace_secret, set_value
from z4j_probes.rungs.naming_origin import naming_origin

# After an `error` frame a brain closes, with a code that says more; it gets this long to do so.
LAST_WORD_S = 1.0


def classify(closed: Closed | None, *, error_code: str = "") -> str:
    """The code where hello was not acknowledged: by the brain's `error` frame, by its close code."""
    reason = closed.reason if closed else ""
    if "project" in error_code.lower() or (
        "project" in reason.lower()
        and closed is not None
        and closed.code in (CloseCode.FORBIDDEN, CloseCode.MALFORMED)
    ):
        return "auth.project_mismatch"
    meant = meaning_of(closed.code if closed else None).before_hello_ack
    if meant != "auth.closed":
        return meant
    if error_code:
        return "auth.hello_rejected"
    if closed is None:
        return "auth.no_reply"
    return "auth.bad_reply" if closed.unintelligible else meant


def compare_project(configured: str, reported: str) -> bool | None:
    """Whether the token's project is the configured one; None where that can't be told from a slug."""
    import uuid

    try:
        return uuid.UUID(configured) == uuid.UUID(reported)
    except ValueError:
        return None


async def run(climb: Climb) -> ProbeResult:
    """Send the hello, and read the brain's answer."""
    climb.hello = await climb.make_hello(climb)
    sent_at, sent_s = utc_now(), time.monotonic()
    await say(climb, climb.hello.frame(now=sent_at))
    import uuid  # and platform, for the ids in the answer: loaded while that is on its way

    answer = await hear(climb)
    half_way = (time.monotonic() - sent_s) / 2
    if not isinstance(answer, bytes):
        return _refused(climb, answer, {}, waited_s=half_way * 2)
    try:
        frame = parse(answer)
        if frame["type"] == "error":
            return await _after_error(climb, frame["payload"])
        theirs = frame["payload"].get("protocol_version")
        if frame["type"] == "hello_ack" and isinstance(theirs, str) and theirs != PROTOCOL_VERSION:
            return _other_protocol(climb, theirs)  # before the fields, which may be others as well
        ack = HelloAck.from_frame(frame)
        uuid.UUID(ack.project_id)
    except ProtocolError as exc:
        return _bad_reply(climb, str(exc), answer)
    except ValueError:
        return _bad_reply(climb, "'project_id' is not a UUID", answer)
    if ack.max_frame_size_bytes < LEAST_MAX_FRAME_BYTES:
        return _no_room(ack.max_frame_size_bytes)
    offset_s = (ack.ts - sent_at).total_seconds() - half_way
    return _acknowledged(climb, ack, offset_s=offset_s, round_trip_s=half_way * 2)


def _acknowledged(climb: Climb, ack: HelloAck, *, offset_s: float, round_trip_s: float) -> ProbeResult:
    configured = climb.settings.project_id
    same = compare_project(configured, ack.project_id)
    excerpt = climb.settings.redactor().excerpt
    details = {
        "agent_id": excerpt(ack.agent_id),
        "project_id": ack.project_id,
        "project_verified": same is True,
        "session_id": excerpt(ack.session_id),
        "worker_id": climb.hello.worker_id,
        "brain_version": excerpt(ack.brain_version),
        "protocol_version": excerpt(ack.protocol_version),
        "heartbeat_interval_s": ack.heartbeat_interval_seconds,
        "max_frame_size_bytes": ack.max_frame_size_bytes,
        "clock_offset_s": round(offset_s, 3),
        "round_trip_ms": round(round_trip_s * 1000, 1),
    }
    if same is False:
        message = f"the token belongs to project {ack.project_id}, and {configured} is configured"
        steps = (
            *set_value(climb.settings, "project_id", ack.project_id, "Set the token's project"),
            Step(f"If the project is right, use a token of project {configured}"),
        )
        row = f"the token is for project {ack.project_id}, not {configured}"
        return outcome("auth.project_mismatch", message, hint=steps, details=details, headline=row)
    climb.ack, climb.clock_offset_s = ack, offset_s
    message = f"brain {details['brain_version']} accepts the token"
    if same:
        message += f", for project {configured} as configured"
    else:
        message += f" (project {configured!r} not compared: the brain reports only project UUIDs)"
    row = f"token accepted by brain {details['brain_version']}"
    return outcome("auth.ok", message, hint="", details=details, headline=row)


def _other_protocol(climb: Climb, version: str) -> ProbeResult:
    said = climb.settings.redactor().excerpt(version)
    message = f"the brain answers in protocol version {said!r}, and this agent speaks {PROTOCOL_VERSION!r}"
    details = {"protocol_version": said, "protocol_version_of_agent": PROTOCOL_VERSION}
    row = f"the brain speaks protocol {said}, the agent {PROTOCOL_VERSION}"
    return outcome("auth.protocol_unsupported", message, details=details, headline=row)


def _no_room(limit_bytes: int) -> ProbeResult:
    message = f"the brain takes frames of at most {limit_bytes} bytes: hardly an event fits into one"
    hint = f"Raise the brain's limit for frames to {LEAST_MAX_FRAME_BYTES} bytes or more"
    row = f"the brain takes frames of at most {limit_bytes} bytes"
    details = {"max_frame_size_bytes": limit_bytes}
    return outcome("auth.bad_reply", message, hint=hint, details=details, headline=row)


async def _after_error(climb: Climb, payload: dict[str, Any]) -> ProbeResult:
    last = await hear(climb, LAST_WORD_S)
    return _refused(climb, last if isinstance(last, Closed) else None, error_details(climb, payload))


def _refused(
    climb: Climb, closed: Closed | None, error: dict[str, Any], *, waited_s: float = LAST_WORD_S
) -> ProbeResult:
    code = classify(closed, error_code=error.get("error_code", ""))
    seen = [error_text(error)] if error else []
    seen += [str(closed)] if closed else []
    title = lookup(code).title
    if closed is not None and closed.too_large:
        title = "the answer to the handshake is too large"
    if code == "auth.token_rejected" and closed is not None and not error:
        message = f"{climb.endpoint.host} rejected the token (close code {closed.code})"
    elif seen:
        message = f"{title}: {', and '.join(seen)}"
    else:
        message = f"no answer to the handshake within {waited_s:.3g} s"
    details = error | (closed.details() if closed else {})
    if code == "auth.project_mismatch":
        details["project_configured"] = climb.settings.project_id
    row = _headline(code, closed, error, climb.endpoint.host, waited_s)
    return outcome(code, message, hint=_advice(climb, code, closed), details=details, headline=row)


def _headline(code: str, closed: Closed | None, error: dict[str, Any], host: str, waited_s: float) -> str:
    """What the row says: which brain, how it closed, or how long it was waited for; empty for the title."""
    match code:
        case "auth.token_rejected":
            return f"token rejected by {host}"
        case "auth.hello_rejected" if error:
            return f"the brain rejected the handshake: {error['error_code']}"
        case "auth.no_reply":
            return f"no answer to the handshake within {waited_s:.3g} s"
        case "auth.closed" if closed is not None and closed.code is not None:
            return f"connection closed with {closed.code} during the handshake"
    return ""


def _advice(climb: Climb, code: str, closed: Closed | None) -> Advice | None:
    if code in ("auth.token_rejected", "auth.revoked"):
        create = Step("Create the agent's token on the brain's dashboard")
        replaced = replace_secret(climb.settings, "token")
        if code == "auth.revoked" or _is_direct(climb):
            return create, *replaced
        return create, *replaced, *_WITHOUT_PROXY
    if code in ("auth.no_reply", "auth.bad_reply"):
        look = ask_brain(climb.endpoint, climb.proxy, climb.settings.ca_file)
        return Step("See which server answers", look), *lookup(code).steps
    return advice_for(closed) if code == "auth.closed" else None


def _is_direct(climb: Climb) -> bool:
    """Whether the brain itself has seen the token: on this machine, where no other server names itself.

    A brain sends no Server header, nor Via; a dev brain has that of the library it is made with.
    """
    upgrade = climb.results.get("websocket")
    named = {} if upgrade is None else upgrade.details
    is_brain = "via" not in named and str(named.get("server", "Python/")).startswith("Python/")
    return climb.endpoint.is_loopback and climb.proxy is None and is_brain


# How a token that is wrong is told from one that a proxy takes out: a brain has both for unknown.
_WITHOUT_PROXY = (
    Step(
        "If a new token is rejected too, have the proxy pass on the Authorization header (nginx: "
        "proxy_set_header Authorization $http_authorization;)"
    ),
    Step(
        "Check without the proxy, on the brain's host",
        "python -m z4j_fastapi doctor --brain-url http://127.0.0.1:7700",
    ),
)


def _bad_reply(climb: Climb, why: str, answer: bytes) -> ProbeResult:
    received = climb.settings.redactor().excerpt(answer.decode("utf-8", "replace"))
    message = f"{climb.endpoint.host} did not answer the handshake as a brain does: {why}"
    advice = _advice(climb, "auth.bad_reply", None)
    details = {"received": received, "received_bytes": len(answer)}
    row = f"{climb.endpoint.host} did not answer as a brain does"
    return outcome("auth.bad_reply", message, hint=advice, details=details, headline=row)


PROBE = Probe(
    name="auth",
    question="Does the brain accept this token, project, and protocol version?",
    needs=("websocket",),
    run=naming_origin(run),
    timeout_code="auth.no_reply",
    waits_for=lambda climb: f"handshake with {climb.endpoint.authority}",
    after=("buffer",),  # the hello has its worker id from the state directory,
    when_ready=True,  # and needs no proof that a database works in it
)
