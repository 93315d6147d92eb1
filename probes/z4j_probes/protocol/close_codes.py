"""Why a connection ended, and what each close code means: one table, read by the rungs and by a live session.

The same code says different things by how far the connection has come. Each meaning is a code of the
catalogue, which has its title and remedy.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple


class CloseCode(IntEnum):
    """Why a brain ends a connection (RFC 6455 §7.4; 4000 and above are the protocol's own)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    NOT_UTF_8 = 1007
    POLICY = 1008
    FRAME_TOO_BIG = 1009
    BRAIN_ERROR = 1011
    SERVICE_RESTART = 1012
    """An operator stopped or restarted the brain."""
    TRY_AGAIN_LATER = 1013
    REPLACED = 4002
    """A newer connection of the same agent has the same worker id, or has none."""
    REVOKED = 4003
    """The token was revoked, or its project archived, while connected."""
    MALFORMED = 4400
    """The first frame was not a hello, or a later one is not a frame."""
    TOKEN_REJECTED = 4401
    FORBIDDEN = 4403
    """Before hello_ack: this address is not allowed. After it: a frame failed verification."""
    IDLE = 4408
    """Nothing was received for 90 s."""
    PROTOCOL_UNSUPPORTED = 4426
    AGENT_UNSUPPORTED = 4427
    RATE_LIMITED = 4429
    """Too many connects from this address, or too many workers on one agent."""


class Meaning(NamedTuple):
    """What a close code says, as a code of the catalogue.

    `before_first_ack` is from hello_ack to the first acknowledgement of a signed frame. Later, a session is
    lost, unless the brain states why it will not have this agent. `is_restart`: the brain, or what stands in
    front of it, is on its way back.
    """

    before_hello_ack: str = "auth.closed"
    before_first_ack: str = "signing.closed"
    in_session: str = "session.lost"
    is_restart: bool = False


_RESTART = Meaning(is_restart=True)
_MEANINGS: Mapping[int, Meaning] = MappingProxyType(
    {
        CloseCode.GOING_AWAY: _RESTART,
        CloseCode.SERVICE_RESTART: _RESTART,
        CloseCode.TRY_AGAIN_LATER: _RESTART,
        CloseCode.REVOKED: Meaning("auth.revoked", in_session="auth.revoked"),
        CloseCode.MALFORMED: Meaning("auth.hello_rejected"),
        CloseCode.TOKEN_REJECTED: Meaning("auth.token_rejected", in_session="auth.token_rejected"),
        # the clock is the other cause before the first acknowledgement: see the signing rung
        CloseCode.FORBIDDEN: Meaning("auth.address_refused", "signing.secret_wrong"),
        CloseCode.PROTOCOL_UNSUPPORTED: Meaning(
            "auth.protocol_unsupported", in_session="auth.protocol_unsupported"
        ),
        CloseCode.AGENT_UNSUPPORTED: Meaning("auth.version_skew", in_session="auth.version_skew"),
        CloseCode.RATE_LIMITED: Meaning("auth.rate_limited", in_session="auth.rate_limited"),
    }
)
_UNKNOWN = Meaning()
OUR_COMPLAINTS = frozenset({CloseCode.PROTOCOL_ERROR, CloseCode.NOT_UTF_8, CloseCode.FRAME_TOO_BIG})
"""With what websockets ends a connection whose peer breaks RFC 6455."""


def meaning_of(close_code: int | None) -> Meaning:
    """The table's row; for another code, or none, that of a connection that simply ended."""
    return _UNKNOWN if close_code is None else _MEANINGS.get(close_code, _UNKNOWN)
