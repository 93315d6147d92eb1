"""Does the host that will be dialled resolve, the way the runtime resolves it?

The host is the proxy's where there is a proxy, since that one resolves the brain's name, and else the
brain's. Truth is the system resolver: hosts file, search list and all, as every client on this machine
uses it. Evidence is what the name servers say themselves; it is taken where the system resolver fails or is
slow, and at a closer look for the warning that a name is known to this machine only.

Codes: ok, literal, nxdomain, no_address, timeout, servfail, refused, no_resolver, invalid_name, local_only,
sinkhole, system_failure.
"""

from __future__ import annotations

import asyncio
import ipaddress
import shlex
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from z4j_probes.address import Address
from z4j_probes.climb import Climb
from z4j_probes.codes import outcome
from z4j_probes.hostname import (
    ascii_name,
    in_hosts_file,
    is_loopback_name,
    is_private,
    malformed,
    sinkholed,
)
from z4j_probes.probe import Probe
from z4j_probes.proxy import no_proxy_hint
from z4j_probes.result import ProbeResult, Step
from z4j_probes.threads import in_daemon_thread

# what the name servers say is asked where there is trouble, or for a warning: it loads then
if TYPE_CHECKING:
    from z4j_probes.rungs.dns.nameservers import Evidence

HOSTS_FILE = Path("/etc/hosts")
# A resolver that has not answered by then is in trouble: its name servers are asked at the same time, so
# that a timeout can name the one that is silent.
SLOW_S = 1.0
# Name servers answer within milliseconds; one that is silent for this long is silent.
EVIDENCE_S = 2.0
# What a closer look may spend on a warning.
WARNING_S = 1.0
# Of the time that is left: the rest is for saying what was found.
_SHARE = 0.95


async def run(climb: Climb) -> ProbeResult:
    """Resolve the host that will be dialled, and leave its addresses."""
    proxy = climb.proxy
    host, port = (proxy.host, proxy.port) if proxy else (climb.endpoint.host, climb.endpoint.port)
    details: dict[str, Any] = {"host": host}
    if proxy:
        details |= {
            "proxy": proxy.authority,
            "variable": proxy.variable,
            "brain_host": climb.endpoint.host,
        }
    if _is_literal(host):
        return await _literal(climb, host, port, details)
    reason = malformed(host)
    if reason:
        return outcome("dns.invalid_name", f"{host[:80]} is no host name: {reason}", details=details)
    if ascii_name(host) != host:
        details["ascii"] = ascii_name(host)
    found = await _look_up(climb, host, port)
    if isinstance(found, ProbeResult):
        return found if not proxy else _about_proxy(climb, found, details)
    return await _judge(climb, host, found, details)


async def resolve(host: str, port: int) -> tuple[Address, ...]:
    """The system resolver's answer, in its own order (RFC 6724). Raises what getaddrinfo raises.

    No AI_ADDRCONFIG, like every other client in Python: it would hide ::1 on a machine that has no other
    IPv6 address, and a family without a route costs the tcp rung nothing.
    """
    # bytes, or the socket module would load its Unicode tables to encode what is ASCII already
    name = ascii_name(host).encode("ascii")
    infos = await in_daemon_thread(lambda: socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))
    addresses = [
        Address(
            family, str(sockaddr[0]).partition("%")[0], port, int(sockaddr[3]) if len(sockaddr) > 3 else 0
        )
        for family, _, _, _, sockaddr in infos
        if family in (socket.AF_INET, socket.AF_INET6)
    ]
    return tuple(dict.fromkeys(addresses))


@dataclass(frozen=True, slots=True)
class _Found:
    """A name that resolved, how long that took, and what the name servers said if it took long."""

    addresses: tuple[Address, ...]
    waited_s: float
    evidence: Evidence | None


async def _literal(climb: Climb, host: str, port: int, details: dict[str, Any]) -> ProbeResult:
    try:
        climb.addresses = await resolve(host, port)
    except OSError as exc:  # an interface after the % that this machine does not have
        message = f"{host} is no address that this machine can dial: {exc.strerror or exc}"
        return outcome("dns.invalid_name", message, details=details)
    details["addresses"] = [address.ip for address in climb.addresses]
    return outcome("dns.literal", f"{host} is an address: nothing to resolve", details=details)


async def _look_up(climb: Climb, host: str, port: int) -> _Found | ProbeResult:
    started_s = time.monotonic()
    # the thread of a resolver that never answers is abandoned with its task
    system = asyncio.create_task(resolve(host, port))
    try:
        await asyncio.wait([system], timeout=min(SLOW_S, climb.time_left() / 4))
        if system.done() and system.exception() is None and system.result():
            return _Found(system.result(), time.monotonic() - started_s, None)
        return await _ask_beside(climb, host, system, started_s)
    finally:
        system.cancel()


async def _ask_beside(
    climb: Climb, host: str, system: asyncio.Task[tuple[Address, ...]], started_s: float
) -> _Found | ProbeResult:
    """The system resolver has failed, or is slow and may still answer: what do the name servers say?"""
    from z4j_probes.rungs.dns.classify import Failure, System, classify, explain, read_error
    from z4j_probes.rungs.dns.nameservers import ask

    share = 0.8 if system.done() else 0.5
    evidence = asyncio.create_task(ask(host, min(EVIDENCE_S, climb.time_left() * share)))
    try:
        await asyncio.wait([system], timeout=climb.time_left() * _SHARE)
        waited_s = time.monotonic() - started_s
        if not system.done():
            failure = Failure(System.SILENT, "", waited_s)
        elif error := system.exception():
            if not isinstance(error, OSError):
                raise error
            failure = read_error(error, waited_s)
        elif system.result():
            known = evidence.result() if evidence.done() else None  # an agent does not wait for it
            return _Found(system.result(), waited_s, known)
        else:
            failure = Failure(System.NO_SUCH_NAME, "no address", waited_s)
        seen = await evidence
    finally:
        evidence.cancel()
    code = classify(failure.system, seen)
    message, hint = explain(code, host, failure, seen)
    return outcome(code, message, hint=hint, details={"host": host} | seen.to_details())


async def _judge(climb: Climb, host: str, found: _Found, details: dict[str, Any]) -> ProbeResult:
    details["addresses"] = [address.ip for address in found.addresses]
    if found.evidence:
        details |= found.evidence.to_details()
    hosts_file = await in_daemon_thread(_read_hosts_file)
    local = in_hosts_file(hosts_file, host)
    loopback_is_normal = local or is_private(host) or is_loopback_name(host)
    usable = tuple(a for a in found.addresses if not sinkholed(a.ip, loopback_is_normal=loopback_is_normal))
    listed = ", ".join(address.ip for address in found.addresses)
    if not usable:
        return outcome(
            "dns.sinkhole", f"{host} resolves to {listed}, which is not where it lives", details=details
        )
    climb.addresses = usable
    if found.waited_s > SLOW_S:
        details["waited_s"] = round(found.waited_s, 3)
    return _resolved(climb, details, found.evidence)


def _resolved(climb: Climb, details: dict[str, Any], evidence: Evidence | None) -> ProbeResult:
    message = f"{details['host']} resolves to {', '.join(details['addresses'])}"
    if climb.proxy:
        message = f"the proxy {message}; it resolves {climb.endpoint.host} itself"
    if "waited_s" in details:
        message += f" (after {details['waited_s']:.3g} s{_blame(evidence)})"
    return outcome("dns.ok", message, hint="", details=details)


async def look_closer(climb: Climb, result: ProbeResult) -> ProbeResult:
    """Ask the name servers who was slow, and whether the name is known to this machine only."""
    if result.code != "dns.ok":
        return result
    host, details = result.details["host"], dict(result.details)
    is_slow, is_local = "waited_s" in details, _is_local(host, details["addresses"])
    if is_slow or not is_local:
        from z4j_probes.rungs.dns.nameservers import ask

        budget_s = min(EVIDENCE_S if is_slow else WARNING_S, climb.time_left() / 2)
        evidence = await ask(host, budget_s, searching=is_slow)
        if not is_local and _is_unknown(evidence):
            hosts_file = await in_daemon_thread(_read_hosts_file)
            listed = ", ".join(details["addresses"])
            message, step = _say_local(host, listed, in_hosts_file(hosts_file, host))
            return outcome("dns.local_only", message, hint=step, details=details | evidence.to_details())
        if is_slow:
            details |= evidence.to_details()
            result = _resolved(climb, details, evidence)
    if climb.proxy:
        details |= await _note_brain(climb)
    return replace(result, details=details)


def _is_local(host: str, addresses: Iterable[str]) -> bool:
    """Whether it is no surprise that other machines do not know it: this one's own name, or its network's."""
    loopback = all(ipaddress.ip_address(address).is_loopback for address in addresses)
    return is_private(host) or is_loopback_name(host) or loopback


def _is_unknown(evidence: Evidence) -> bool:
    from z4j_probes.rungs.dns.nameservers import Said

    spoke = [a for a in evidence.absolute if a.said not in (Said.SILENT, Said.UNREACHABLE)]
    return bool(spoke) and all(answer.said is Said.NXDOMAIN for answer in spoke)


def _say_local(host: str, listed: str, in_file: bool) -> tuple[str, Step]:
    if in_file:
        message = f"{host} resolves to {listed}, but only by {HOSTS_FILE}: the DNS says NXDOMAIN"
        find = f"grep -nw {shlex.quote(host)} {HOSTS_FILE}"
        return message, Step("Create a DNS record, or remove the name's line. Find it", find)
    return (
        f"{host} resolves to {listed}, but only on this machine (a search list, or another local source): "
        "the DNS says NXDOMAIN",
        Step("Write the full name in Z4J_BRAIN_URL, or create a DNS record for this one"),
    )


async def _note_brain(climb: Climb) -> dict[str, Any]:
    # evidence only: many networks let nothing but the proxy resolve public names
    if _is_literal(climb.endpoint.host) or malformed(climb.endpoint.host):
        return {}
    try:
        async with asyncio.timeout(min(WARNING_S, climb.time_left() / 2)):
            known = await resolve(climb.endpoint.host, climb.endpoint.port)
    except TimeoutError:
        return {"brain_addresses": "no answer"}
    except OSError as exc:
        return {"brain_addresses": exc.strerror or str(exc)}
    return {"brain_addresses": [address.ip for address in known]}


def _about_proxy(climb: Climb, found: ProbeResult, details: dict[str, Any]) -> ProbeResult:
    message = f"the proxy of {details['brain_host']}: {found.message}"
    steps, exception = found.steps, no_proxy_hint(climb.endpoint, climb.settings.environ)
    if exception:
        steps = (Step(exception),)
    elif found.code in ("dns.nxdomain", "dns.no_address"):  # whose remedy is about the brain's own name
        variable, host = details["variable"], details["brain_host"]
        steps = (Step(f"Correct the host in {variable}, or add {host} to NO_PROXY"),)
    return outcome(found.code, message, hint=steps, details=details | dict(found.details))


def _blame(evidence: Evidence | None) -> str:
    mute = dict.fromkeys(a.server for a in (evidence.answers if evidence else ()) if a.unanswered)
    return f": {', '.join(mute)} did not answer" if mute else ""


def _read_hosts_file() -> str:
    try:
        return HOSTS_FILE.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


PROBE = Probe(
    name="dns",
    question="Does the name of the host to connect to resolve, as it does for the agent?",
    needs=("config",),
    run=run,
    timeout_code="dns.timeout",
    look_closer=look_closer,
    waits_for=lambda climb: f"resolving {(climb.proxy or climb.endpoint).host}",
)
