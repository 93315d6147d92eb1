"""The brain's wire protocol, version 2, as plain data: text in, text out, no socket in sight.

`frames` has the messages and what makes one well formed; `signing` has what makes one genuine: canonical
JSON, HMAC and the replay guard; `close_codes` has what the end of a connection says. A live session owns one
`FrameSigner` for what it sends and one `FrameVerifier` for what it receives. `actions` is what a brain may
ask for, `commands` how it asks, and `answers` what it is told; `schedules` and `snapshots` are a worker's own
schedules, and `health` is what heartbeats tell.
"""

from z4j_probes.protocol._json import render, render_text
from z4j_probes.protocol.close_codes import CloseCode, Meaning, meaning_of
from z4j_probes.protocol.frames import (
    DEFAULT_MAX_FRAME_BYTES,
    ENVELOPE_VERSION,
    LEAST_MAX_FRAME_BYTES,
    MAX_EVENTS_PER_BATCH,
    MAX_FRAME_ID_LENGTH,
    MAX_WORKER_ID_LENGTH,
    PROTOCOL_VERSION,
    UNRECORDED_VERSION,
    Hello,
    HelloAck,
    new_frame_id,
    parse,
    parse_timestamp,
    timestamp,
    unsigned_frame,
    utc_now,
)
from z4j_probes.protocol.signing import (
    MAX_CLOCK_SKEW_S,
    MIN_SECRET_BYTES,
    FrameSigner,
    FrameVerifier,
    canonical,
    decode_secret,
    derive_project_secret,
    encode_secret,
)

__all__ = [
    "DEFAULT_MAX_FRAME_BYTES",
    "ENVELOPE_VERSION",
    "LEAST_MAX_FRAME_BYTES",
    "MAX_CLOCK_SKEW_S",
    "MAX_EVENTS_PER_BATCH",
    "MAX_FRAME_ID_LENGTH",
    "MAX_WORKER_ID_LENGTH",
    "MIN_SECRET_BYTES",
    "PROTOCOL_VERSION",
    "UNRECORDED_VERSION",
    "CloseCode",
    "FrameSigner",
    "FrameVerifier",
    "Hello",
    "HelloAck",
    "Meaning",
    "canonical",
    "decode_secret",
    "derive_project_secret",
    "encode_secret",
    "meaning_of",
    "new_frame_id",
    "parse",
    "parse_timestamp",
    "render",
    "render_text",
    "timestamp",
    "unsigned_frame",
    "utc_now",
]
