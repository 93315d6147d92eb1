"""The ways in which a `DevBrain` breaks the protocol on purpose, as data.

What goes wrong below the WebSocket (a silent port, a bad certificate, a proxy) is not a brain's doing and
not here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NEVER = math.inf
"""For `drop_acks`: no batch is ever acknowledged. For `acks_before_silence`: that does not happen."""


@dataclass(frozen=True, slots=True)
class Close:
    """How the brain ends a connection: with a close frame, or with `code` None by cutting the TCP stream."""

    code: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """What to do wrong; the default does nothing wrong. Applies to what happens after it is set."""

    close_after_upgrade: Close | None = None
    close_after_hello: Close | None = None
    """Instead of hello_ack."""
    close_at_first_signed: Close | None = None
    """When the first frame after hello_ack arrives, whatever it is."""
    withhold_hello_ack: bool = False
    raw_hello_ack: str | bytes | None = None
    """Sent as it is in place of hello_ack."""
    hello_ack_changes: Mapping[str, Any] = field(default_factory=dict)
    """Replaces fields of hello_ack's payload; ids that are changed are changed for signing as well."""
    clock_offset_s: float = 0.0
    """How far ahead of this machine's clock the brain's is."""
    accept_unsigned: bool = False
    """Take every well-formed frame without looking at its signature, clock or sequence."""
    send_unsigned: bool = False
    """Sign nothing, as where a relay on the path removes signatures. No agent may act on such a frame."""
    sign_with_wrong_secret: bool = False
    drop_acks: float = 0
    """Record the first so many batches that this brain receives, and acknowledge none of them."""
    acks_before_silence: float = NEVER
    """After so many acknowledgements, record further batches and acknowledge none of them."""
    delay_s: float = 0.0
    """Think this long before each hello_ack and each acknowledgement."""
    busy_s: float = 0.0
    """Come to each signed frame this long after the one before it was handled, as with a slow database."""
