"""Why a name did not resolve: the system resolver's word beside the name servers' own, as pure functions."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from z4j_probes.result import Step
from z4j_probes.rungs.dns.nameservers import RESOLV_CONF, Answer, Evidence, Said


class System(Enum):
    """How the system resolver ended without an address."""

    NO_SUCH_NAME = auto()  # a definite no
    TRY_AGAIN = auto()  # it could not find out
    SILENT = auto()  # it had not ended when the time was up
    BROKEN = auto()  # the call itself failed: no descriptors, no memory


_DEFINITE = {
    getattr(socket, name)
    for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY", "EAI_FAMILY")
    if hasattr(socket, name)
}

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


def read_error(exc: OSError, waited_s: float) -> Failure:
    """Place what getaddrinfo raised."""
    text = exc.strerror or str(exc)
    if not isinstance(exc, socket.gaierror):
        return Failure(System.BROKEN, text, waited_s)
    definite = exc.errno in _DEFINITE
    return Failure(System.NO_SUCH_NAME if definite else System.TRY_AGAIN, text, waited_s)


def classify(system: System, evidence: Evidence) -> str:
    """The code for a name that did not resolve."""
    if system is System.BROKEN:
        return "dns.system_failure"
    if evidence.problem or not evidence.servers:
        return "dns.timeout" if system is System.SILENT and not evidence.problem else "dns.no_resolver"
    if system is not System.NO_SUCH_NAME and any(answer.unanswered for answer in evidence.answers):
        spoke = {answer.said for answer in evidence.answers} & {Said.SERVFAIL, Said.REFUSED}
        if system is System.SILENT or not spoke:
            return "dns.timeout"
    if system is System.SILENT or evidence.saying(Said.ADDRESSES):
        return "dns.system_failure"
    order = _ORDER_DEFINITE if system is System.NO_SUCH_NAME else _ORDER_UNSURE
    for said in order:
        if evidence.saying(said):
            return _CODES[said]
    return "dns.nxdomain" if system is System.NO_SUCH_NAME else "dns.timeout"


def explain(code: str, host: str, failure: Failure, evidence: Evidence) -> tuple[str, Step | None]:
    """One line that says what was seen, and what to do where that can be more precise than the catalogue."""
    waited = f"{failure.waited_s:.3g} s"
    if code == "dns.no_resolver":
        why = evidence.problem or f"{RESOLV_CONF} names no name server"
        return f"{host} can't be looked up: {why}", None
    if code == "dns.timeout":
        mute = _servers(a for a in evidence.answers if a.unanswered or a.said is Said.UNREACHABLE)
        if not mute:
            return f"the system resolver did not answer for {host} within {waited}", None
        return f"{host} did not resolve within {waited}: {_silence(mute, evidence)}", _reach(mute, host)
    if code == "dns.system_failure":
        return _system_failure(host, failure, evidence)
    if code == "dns.nxdomain":
        return _nxdomain(host, failure, evidence), _complete(host, evidence)
    said = next(s for s, c in _CODES.items() if c == code)
    who = list(evidence.saying(said))
    servers = _servers(who) or list(evidence.servers)
    if code == "dns.no_address":
        return f"{host} exists, but has no A or AAAA record ({_asked(servers)})", None
    notes = {answer.note for answer in who if answer.note}
    note = f" ({', '.join(sorted(notes))})" if notes else ""
    text = "Ask without DNSSEC: if that answers, fix DNSSEC, and else the zone's own servers"
    step = Step(text, f"dig +cd {shlex.quote(host)}")
    message = f"{host} did not resolve: {_asked(servers)} answered {said.value}{note}"
    return message, step if said is Said.SERVFAIL else None


def _system_failure(host: str, failure: Failure, evidence: Evidence) -> tuple[str, Step | None]:
    found = evidence.saying(Said.ADDRESSES)
    if failure.system is System.BROKEN:
        return f"the system resolver can't work for {host}: {failure.text}", None
    end = "does not end" if failure.system is System.SILENT else f"says {failure.text!r}"
    if not found:
        return f"{_asked(list(evidence.servers))} answered, but the system resolver {end} for {host}", None
    addresses = ", ".join(dict.fromkeys(address for answer in found for address in answer.addresses))
    return (
        (
            f"{_asked(_servers(found))} knows {found[0].name} as {addresses}, "
            f"but this machine's own resolver {end} for {host}"
        ),
        Step(
            "Add dns to the hosts line of nsswitch.conf",
            f"grep hosts: /etc/nsswitch.conf; getent ahosts {shlex.quote(host)}",
        ),
    )


def _nxdomain(host: str, failure: Failure, evidence: Evidence) -> str:
    denied = evidence.saying(Said.NXDOMAIN)
    if not denied:
        mute = _servers(evidence.answers)
        return (
            f"{host} does not exist, says the system resolver ({failure.text}); {_asked(mute)} did not answer"
        )
    others = [name for name in dict.fromkeys(answer.name for answer in denied) if name != evidence.name]
    too = f", nor does {' or '.join(others)}" if others else ""
    return f"{host} does not exist{too}: {_asked(_servers(denied))} answered NXDOMAIN"


def _complete(host: str, evidence: Evidence) -> Step | None:
    """A name without a dot lives by the search list: one of another namespace has to be complete."""
    if "." in host.rstrip("."):
        return None
    domains = ", ".join(evidence.search) or "empty"
    return Step(
        f"Write the full name in Z4J_BRAIN_URL (in Kubernetes {host}.NAMESPACE.svc): "
        f"the search list that completes it here is {domains}"
    )


def _silence(mute: list[str], evidence: Evidence) -> str:
    types = {answer.unanswered for answer in evidence.answers if answer.server in mute and answer.unanswered}
    notes = {answer.note for answer in evidence.answers if answer.said is Said.UNREACHABLE and answer.note}
    only = f" for {next(iter(types))[0]}" if len(types) == 1 and len(next(iter(types))) == 1 else ""
    note = f" ({', '.join(sorted(notes))})" if notes else ""
    spoke = [server for server in evidence.servers if server not in mute]
    also = f"; {_asked(spoke)} did" if spoke else ""
    return f"{_asked(mute)} did not answer{only}{note}{also}"


def _reach(mute: list[str], host: str) -> Step:
    server, _, port = mute[0].partition(":") if mute[0].count(":") == 1 else (mute[0], "", "53")
    other = "" if port == "53" else f" -p {port}"
    return Step(
        f"Open UDP and TCP port {port} to {server}, or remove it from {RESOLV_CONF}. See whether it answers",
        f"dig{other} @{server} {shlex.quote(host)}",
    )


def _servers(answers: Iterable[Answer]) -> list[str]:
    return list(dict.fromkeys(answer.server for answer in answers))


def _asked(servers: list[str]) -> str:
    *first, last = servers
    return f"name servers {', '.join(first)} and {last}" if first else f"name server {last}"
