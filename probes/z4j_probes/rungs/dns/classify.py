"""Why a name did not resolve: the system resolver's word beside the name servers' own, as pure functions."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from enum import Enum, auto

from z4j_probes.portable import system as systems
from z4j_probes.rungs.dns.nameservers import Evidence, Said


class System(Enum):
    """How the system resolver ended without an address."""

    NO_SUCH_NAME = auto()  # a definite no
    NOT_FOUND = auto()  # macOS's and Windows' no, which they also say while there is no network
    TRY_AGAIN = auto()  # it could not find out
    SILENT = auto()  # it had not ended when the time was up
    BROKEN = auto()  # the call itself failed: no descriptors, no memory


# What getaddrinfo says where there is no such name or address (netdb.h, winsock2.h).
_DEFINITE = {
    systems.System.LINUX: {-2, -5, -6, -9},  # EAI_NONAME, EAI_NODATA, EAI_FAMILY, EAI_ADDRFAMILY
    systems.System.MACOS: {8, 7, 5, 1},
    systems.System.WINDOWS: {11001, 11004, 10047},  # WSAHOST_NOT_FOUND, WSANO_DATA, WSAEAFNOSUPPORT
}
# Of these, the one that macOS and Windows also say where they could ask no one.
_OFFLINE_TOO = {systems.System.MACOS: {8}, systems.System.WINDOWS: {11001}}

# The catalogue's code for each word; which comes first depends on how the system resolver ended.
_CODES = {
    Said.NXDOMAIN: "dns.nxdomain",
    Said.NO_ADDRESS: "dns.no_address",
    Said.SERVFAIL: "dns.servfail",
    Said.REFUSED: "dns.refused",
    Said.SILENT: "dns.timeout",
    Said.UNREACHABLE: "dns.timeout",
}
# A definite no is about the name: no address comes before NXDOMAIN, since the C library's answer is "no
# data" as soon as one name that it tried exists.
_ORDER_DEFINITE = (
    Said.NO_ADDRESS,
    Said.NXDOMAIN,
    Said.SERVFAIL,
    Said.REFUSED,
)
# Where it could not find out, the servers' troubles are the cause, and those that spoke say most.
_ORDER_UNSURE = (
    Said.SERVFAIL,
    Said.REFUSED,
    Said.SILENT,
    Said.UNREACHABLE,
    Said.NXDOMAIN,
    Said.NO_ADDRESS,
)


@dataclass(frozen=True, slots=True)
class Failure:
    """The system resolver's failure; `text` is its own words."""

    system: System
    text: str
    waited_s: float


def read_error(exc: OSError, waited_s: float, on: systems.System | None = None) -> Failure:
    """Place what getaddrinfo raised, on this system unless another one is named."""
    on = on or systems.THIS
    text = exc.strerror or str(exc)
    if not isinstance(exc, socket.gaierror):
        return Failure(System.BROKEN, text, waited_s)
    if exc.errno in _OFFLINE_TOO.get(on, ()):
        return Failure(System.NOT_FOUND, text, waited_s)
    definite = exc.errno in _DEFINITE[on]
    return Failure(System.NO_SUCH_NAME if definite else System.TRY_AGAIN, text, waited_s)


def classify(system: System, evidence: Evidence) -> str:
    """The code for a name that did not resolve."""
    if system is System.BROKEN:
        return "dns.system_failure"
    if system is System.NOT_FOUND:
        has_spoken = any(answer.spoke for answer in evidence.answers)
        system = System.NO_SUCH_NAME if has_spoken else System.TRY_AGAIN
    if system is System.TRY_AGAIN and any(a.failed for a in evidence.saying(Said.ADDRESSES)):
        return "dns.servfail"  # musl takes the failure of one record type for that of the name
    if evidence.problem or not evidence.servers:
        return "dns.timeout" if system is System.SILENT and not evidence.problem else "dns.no_resolver"
    if system is not System.NO_SUCH_NAME and any(answer.unanswered for answer in evidence.answers):
        spoke = {answer.said for answer in evidence.answers} & {Said.SERVFAIL, Said.REFUSED}
        if system is System.SILENT or not spoke:
            return "dns.timeout"
    if system is System.NO_SUCH_NAME and evidence.denial:
        return _CODES[evidence.denial.said]
    if system is System.SILENT or evidence.saying(Said.ADDRESSES):
        return "dns.system_failure"
    order = _ORDER_DEFINITE if system is System.NO_SUCH_NAME else _ORDER_UNSURE
    for said in order:
        if evidence.saying(said):
            return _CODES[said]
    return "dns.nxdomain" if system is System.NO_SUCH_NAME else "dns.timeout"
