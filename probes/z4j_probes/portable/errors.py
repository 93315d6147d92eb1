"""Error numbers of Windows, in the terms that everything else is written in: errno and its words.

A socket of Windows fails with numbers of Winsock's (10061), an overlapped call with Windows' own (1225).
Python translates a few, and calls the rest EINVAL.
"""

from __future__ import annotations

import errno
import os

_MEANING = {
    5: errno.EACCES,  # ERROR_ACCESS_DENIED
    32: errno.EBUSY,  # ERROR_SHARING_VIOLATION
    33: errno.EBUSY,  # ERROR_LOCK_VIOLATION
    64: errno.ECONNRESET,  # ERROR_NETNAME_DELETED
    112: errno.ENOSPC,  # ERROR_DISK_FULL
    121: errno.ETIMEDOUT,  # ERROR_SEM_TIMEOUT
    1225: errno.ECONNREFUSED,  # ERROR_CONNECTION_REFUSED
    1231: errno.ENETUNREACH,  # ERROR_NETWORK_UNREACHABLE
    1232: errno.EHOSTUNREACH,  # ERROR_HOST_UNREACHABLE
    1234: errno.ECONNREFUSED,  # ERROR_PORT_UNREACHABLE
    1236: errno.ECONNABORTED,  # ERROR_CONNECTION_ABORTED
    10013: errno.EACCES,
    10022: errno.EINVAL,
    10024: errno.EMFILE,
    10047: errno.EAFNOSUPPORT,
    10048: errno.EADDRINUSE,
    10049: errno.EADDRNOTAVAIL,
    10050: errno.ENETDOWN,
    10051: errno.ENETUNREACH,
    10053: errno.ECONNABORTED,
    10054: errno.ECONNRESET,
    10055: errno.ENOBUFS,
    10060: errno.ETIMEDOUT,
    10061: errno.ECONNREFUSED,
    10064: errno.EHOSTDOWN,
    10065: errno.EHOSTUNREACH,
}
# Windows' C library has no words for the numbers of sockets.
_WORDS = {
    errno.EACCES: "Permission denied",
    errno.EADDRINUSE: "Address already in use",
    errno.EADDRNOTAVAIL: "Cannot assign requested address",
    errno.EAFNOSUPPORT: "Address family not supported by protocol",
    errno.ECONNABORTED: "Software caused connection abort",
    errno.ECONNREFUSED: "Connection refused",
    errno.ECONNRESET: "Connection reset by peer",
    errno.EHOSTDOWN: "Host is down",
    errno.EHOSTUNREACH: "No route to host",
    errno.EINVAL: "Invalid argument",
    errno.EMFILE: "Too many open files",
    errno.ENETDOWN: "Network is down",
    errno.ENETUNREACH: "Network is unreachable",
    errno.ENOBUFS: "No buffer space available",
    errno.ETIMEDOUT: "Connection timed out",
}


def number_of(exc: OSError) -> int | None:
    """The errno that it means, whichever table its number is from; None where it has none."""
    return meaning(exc.errno, getattr(exc, "winerror", None))


def meaning(number: int | None, winerror: int | None = None) -> int | None:
    """The errno for a number of errno's or Winsock's, or of Windows' own beside it."""
    if winerror in _MEANING:
        return _MEANING[winerror]
    if number is not None and number >= 10000:
        return _MEANING.get(number, number)
    return number


def words(number: int) -> str:
    """What strerror(3) says of it, where the C library has no words, too."""
    text = os.strerror(number)
    return _WORDS.get(number, text) if text.startswith("Unknown error") else text


def reason(exc: OSError) -> str:
    """The system's own words for it; a resolver's error has its own."""
    number = number_of(exc)
    said = exc.strerror or str(exc)
    return words(number) if number is not None and said.startswith("Unknown error") else said
