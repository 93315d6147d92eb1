"""Why a Redis does not answer, in the words that the doctor has for a brain that does not."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

from redis import exceptions as redis
from redis.asyncio.sentinel import MasterNotFoundError, SlaveNotFoundError


def reason_of(exc: BaseException, timeout_s: float) -> str:
    """One clause. What Redis or a library itself says is not repeated: it may hold a password."""
    for cause in _chain(exc):
        match cause:
            case ssl.SSLCertVerificationError():
                return f"certificate not trusted ({cause.verify_message})"
            case ssl.SSLError():
                return f"TLS handshake failed ({cause.reason or 'no reason given'})"
            case socket.gaierror():
                is_temporary = cause.errno == socket.EAI_AGAIN
                return "the name server does not answer" if is_temporary else "name not found"
            case redis.AuthenticationError():
                return "password rejected, or required"
            case ConnectionRefusedError():
                return "connection refused"
            case TimeoutError():
                return f"no answer within {timeout_s:g} s"
            case ConnectionResetError():
                return "connection reset"
            case OSError() if cause.strerror:
                return cause.strerror.lower()
    if "NOAUTH" in str(exc) or "Authentication required" in str(exc):
        return "password rejected, or required"
    if isinstance(exc, MasterNotFoundError | SlaveNotFoundError):
        return "no sentinel names a server that answers"
    if isinstance(exc, redis.ConnectionError):
        return "connection closed: is it a Redis?"
    return "Redis refuses it" if isinstance(exc, redis.RedisError) else type(exc).__name__


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    seen = set[int]()
    while exc is not None and id(exc) not in seen:
        seen.add(id(exc))
        yield exc
        exc = exc.__cause__ or exc.__context__
