"""What is seen of a TLS handshake: the messages that matter for a diagnosis, and a look without checking.

A `Watch` notes what an exception does not carry: that the peer asked for a certificate of ours, which alert
it sent. A `look` is a handshake of its own over another connection, which believes anything and therefore
sends nothing: no path, no header, no secret; only, where dates are in doubt, a bare HEAD to read the peer's
clock.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from z4j_probes.transport import HoldingProtocol

T = TypeVar("T")

# What a look keeps of the peer's own words: a banner or the head of an HTTP answer.
SAID_MAX_BYTES = 4096

# RFC 8446 §6 and RFC 6066: the alerts a server sends to a client, in the specification's words.
ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    22: "record_overflow",
    40: "handshake_failure",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    109: "missing_extension",
    110: "unsupported_extension",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
}
_HANDSHAKE_TYPE, _ALERT_TYPE = 22, 21
_NEW_SESSION_TICKET, _CERTIFICATE_REQUEST = 4, 13


class Watch:
    """Notes the peer's alert, its request for a certificate, and its word that the handshake stands.

    A server of TLS 1.3 judges our certificate after our side is done: a session ticket says that it
    accepted, an alert that it did not. `settled` is set by either.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self.certificate_requested = False
        self.alert: int | None = None
        self.settled = asyncio.Event()
        self._context = context
        # no public name, but there since Python 3.8, and the one way to these facts
        context._msg_callback = self._note  # type: ignore[attr-defined]

    def stop(self) -> None:
        """Watch no longer; a session that lives for days need not pass here with every record."""
        self._context._msg_callback = None  # type: ignore[attr-defined]

    def _note(self, _conn: Any, direction: str, _version: int, content: int, kind: int, data: bytes) -> None:
        if direction != "read":
            return
        if content == _ALERT_TYPE and len(data) == 2 and data[1] != 0:
            self.alert = data[1]
            self.settled.set()
        elif content == _HANDSHAKE_TYPE and kind == _CERTIFICATE_REQUEST:
            self.certificate_requested = True
        elif content == _HANDSHAKE_TYPE and kind == _NEW_SESSION_TICKET:
            self.settled.set()


class SpokeFirst(OSError):
    """The server spoke before the handshake. In TLS the client speaks first: this is another protocol."""


@dataclass(slots=True)
class Presented:
    """What a peer shows to one that verifies nothing. `said` is the raw beginning of what it sent."""

    chain: tuple[bytes, ...] = field(default=(), repr=False)
    version: str | None = None
    cipher: str | None = None
    certificate_requested: bool = False
    alert: int | None = None
    said: bytes = b""
    answer: bytes = b""

    @property
    def is_old(self) -> bool:
        """Whether it speaks a version that RFC 8996 (RFC 7568 for SSL 3) forbids."""
        return self.version in ("SSLv3", "TLSv1", "TLSv1.1")


async def look(
    transport: asyncio.Transport,
    protocol: HoldingProtocol,
    presented: Presented,
    *,
    server_hostname: str | None,
    ask: bytes | None = None,
) -> None:
    """Shake hands over a fresh connection, verifying nothing, and fill in `presented` as things are learned.

    `ask` is sent once the handshake stands, and the head of the answer is read. The caller bounds the time
    and closes the transport; what was learned until then stays in `presented`.
    """
    context = _believing_context()
    watch = Watch(context)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=server_hostname)

    async def complete(step: Callable[[], T]) -> T:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                pass
            finally:
                transport.write(outgoing.read())
                presented.alert, presented.certificate_requested = watch.alert, watch.certificate_requested
            while not protocol.received:
                if protocol.eof or protocol.lost:
                    raise EOFError
                await protocol.changed()
            data = protocol.take()
            presented.said = (presented.said + data)[:SAID_MAX_BYTES]
            incoming.write(data)

    try:
        await complete(tls.do_handshake)
        presented.version = tls.version()
        presented.cipher = (tls.cipher() or (None,))[0]
        presented.chain = presented_chain(tls)
        if ask is not None:
            tls.write(ask)
            while b"\r\n\r\n" not in presented.answer and len(presented.answer) < SAID_MAX_BYTES:
                presented.answer += await complete(lambda: tls.read(SAID_MAX_BYTES)) or _end()
    except (ssl.SSLError, EOFError):
        return  # how far it came is the evidence
    finally:
        watch.stop()


def presented_chain(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """The chain as the peer sent it, DER, leaf first."""
    return tuple(_der(certificate) for certificate in _inner(tls).get_unverified_chain() or ())


def verified_chain(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """The chain as it was verified, DER, from the leaf to the root in the trust store."""
    return tuple(_der(certificate) for certificate in _inner(tls).get_verified_chain() or ())


def verified_facts(tls: ssl.SSLObject) -> tuple[dict[str, Any], ...]:
    """The same chain as `getpeercert` shows a certificate: at no cost, where dates and names are enough."""
    return tuple(certificate.get_info() for certificate in _inner(tls).get_verified_chain() or ())


def _inner(tls: ssl.SSLObject) -> Any:
    # SSLObject itself has these methods since Python 3.13; the object inside it has had them since 3.10
    return tls._sslobj  # type: ignore[attr-defined]


def _der(certificate: Any) -> bytes:
    return ssl.PEM_cert_to_DER_cert(certificate.public_bytes())


def _believing_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(["http/1.1"])
    return context


def _end() -> bytes:
    raise EOFError
