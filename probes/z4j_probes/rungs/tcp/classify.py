"""What failed attempts to connect amount to, as pure functions."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable, Sequence

from z4j_probes.address import Address
from z4j_probes.portable.system import is_linux
from z4j_probes.rungs.tcp.happy_eyeballs import Attempt, Outcome, has_route

# What each errno of connect(2) and socket(2) says.
_CODES = {
    "tcp.no_descriptors": (errno.EMFILE, errno.ENFILE),
    # EACCES also answers an ICMPv6 "administratively prohibited" and a `prohibit` route
    "tcp.blocked": (errno.EPERM, errno.EACCES),
    "tcp.refused": (errno.ECONNREFUSED,),
    "tcp.reset": (errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE),
    "tcp.timeout": (errno.ETIMEDOUT,),
    "tcp.unreachable": (
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.EHOSTDOWN,
        errno.EADDRNOTAVAIL,
        errno.EAFNOSUPPORT,
        errno.EINVAL,  # a link-local address without its interface, or a `blackhole` route
    ),
}
CODE_OF = {number: code for code, numbers in _CODES.items() for number in numbers}
# Where addresses fail differently, the reason of the whole is the one that says most: this machine's own
# limits, then what a host answered, then silence; a family that has no route here explains least.
_ORDER = tuple(_CODES)


# ARP and neighbor discovery ask three times, a second apart, before the kernel gives an address up.
_NEIGHBOR_S = 0.9


def code_of(attempt: Attempt) -> str | None:
    """The code for one attempt that did not connect; None for an errno without a name."""
    if attempt.outcome is not Outcome.FAILED:
        return "tcp.timeout"
    return CODE_OF.get(attempt.error or 0)


def classify(attempts: Sequence[Attempt]) -> str:
    """The code for a race that no address won."""
    tried = [attempt for attempt in attempts if attempt.outcome is not Outcome.NOT_TRIED]
    found = {code_of(attempt) for attempt in tried or attempts}
    return next((code for code in _ORDER if code in found), "tcp.unexpected")


def is_failure(attempt: Attempt) -> bool:
    """Whether it failed on the way; where this machine has no route, a family is absent, not broken."""
    return attempt.outcome in (Outcome.FAILED, Outcome.PENDING) and attempt.routed


def is_rejected(attempt: Attempt) -> bool:
    """Whether a firewall says so (ICMP, at once), and not the silence of a neighbor (ARP, after seconds)."""
    unreachable = attempt.error in (errno.EHOSTUNREACH, errno.ENETUNREACH)
    return unreachable and attempt.routed and attempt.duration_s < _NEIGHBOR_S


def is_black_hole(attempt: Attempt) -> bool:
    """Whether it is this machine's own route that discards it, as ip-route(8) has it."""
    link_local = ipaddress.ip_address(attempt.address.ip).is_link_local
    return attempt.error == errno.EINVAL and not link_local and is_linux()


def lone_family(attempts: Sequence[Attempt]) -> socket.AddressFamily | None:
    """The one family of all addresses, where this machine has no route in it and has the other family."""
    families = {attempt.address.family for attempt in attempts}
    if len(families) != 1 or any(attempt.routed for attempt in attempts):
        return None
    (family,) = families
    there = Address(socket.AF_INET, "192.0.2.1", 9)
    if family == socket.AF_INET:
        there = Address(socket.AF_INET6, "2001:db8::1", 9)
    return family if has_route(there) else None


def duration(seconds: float) -> str:
    """A time for people: milliseconds below one second, and a decimal only where it says something."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    milliseconds = seconds * 1000
    return f"{milliseconds:.0f} ms" if milliseconds >= 9.5 else f"{max(milliseconds, 0.1):.1f} ms"


def describe(attempts: Iterable[Attempt]) -> str:
    """Each address with what it said, equal reasons together."""
    reasons: dict[str, list[str]] = {}
    for attempt in attempts:
        reasons.setdefault(_words(attempt), []).append(str(attempt.address))
    return "; ".join(f"{_join(addresses)} {words}" for words, addresses in reasons.items())


def summarize(code: str, attempts: Iterable[Attempt]) -> str:
    """What the row says of a race that none won: the cause, and which addresses had it; empty for none."""
    fell = [attempt for attempt in attempts if code_of(attempt) == code]
    if not fell:
        return ""
    where = f"{fell[0].address}{f' and {len(fell) - 1} more' if len(fell) > 1 else ''}"
    match code:
        case "tcp.timeout":
            return f"no answer from {where}"
        case "tcp.refused":
            return f"connection refused by {where}"
        case "tcp.reset":
            return f"connection reset by {where}"
        case "tcp.blocked":
            return f"permission denied: can't connect to {where}"
        case "tcp.unreachable":
            return f"{where} is unreachable" if fell[0].routed else f"no route to {where}"
    return ""


def _words(attempt: Attempt) -> str:
    took = duration(attempt.duration_s)
    match code_of(attempt):
        case "tcp.timeout" if attempt.outcome is Outcome.PENDING:
            return f"did not answer within {took}"
        case "tcp.timeout" if attempt.outcome is Outcome.NOT_TRIED:
            return "was not tried: no time was left"
        case "tcp.timeout":
            return f"did not answer within {took} (the kernel gave up)"
        case "tcp.refused":
            return f"refused the connection after {took}"
        case "tcp.reset":
            return f"reset the connection after {took}"
        case "tcp.unreachable":
            return f"can't be reached: {_no_way(attempt)}"
        case "tcp.blocked":
            return f"is blocked here: {attempt.reason}"
    return f"failed: {attempt.reason}"


def _no_way(attempt: Attempt) -> str:
    if attempt.error == errno.EADDRNOTAVAIL:
        return "no local address or port is free to connect from"
    if is_black_hole(attempt):
        return "a route of this machine discards what goes there (blackhole)"
    if attempt.error == errno.EINVAL:
        return "a link-local address needs its interface, as in fe80::1%eth0"
    text = attempt.reason
    if attempt.error == errno.EAFNOSUPPORT:
        return f"this process may open no such socket ({text})"
    if not attempt.routed:
        return f"{text} (this machine has no route)"
    if is_rejected(attempt):
        return f"{text}, though there is a route: a firewall rejects it"
    return (
        f"{text} after {duration(attempt.duration_s)}, though there is a route: no machine has that address"
    )


def _join(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
