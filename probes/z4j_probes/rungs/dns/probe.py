"""Does the host to connect to resolve, the way the runtime resolves it?

The host is the proxy's where there is a proxy, since that one resolves the brain's name, and else the
brain's. Truth is the system resolver: hosts file, search list and all, as every client on this machine
uses it. Evidence is what the name servers say themselves; it is taken where the system resolver fails or is
slow, and at a closer look for the warning that a name is known to this machine only.

Codes: ok, literal, nxdomain, no_address, timeout, servfail, refused, no_resolver, invalid_name, local_only,
sinkhole, system_failure.
"""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from z4j_probes.address import Address
from z4j_probes.climb import Climb
from z4j_probes.codes import outcome
from z4j_probes.hostname import ascii_name, is_loopback_name, is_nowhere, is_private, malformed, shown
from z4j_probes.portable import errors, shell
from z4j_probes.portable.name_servers import is_address
from z4j_probes.probe import STRICT_START_S, Probe
from z4j_probes.proxy import no_proxy_hint
from z4j_probes.result import ProbeResult, Status, Step
from z4j_probes.threads import in_daemon_thread

# what the name servers say is asked where there is trouble, or for a warning: it loads then
if TYPE_CHECKING:
    from z4j_probes.address_origin import Origin
    from z4j_probes.rungs.dns.nameservers import Evidence

# A resolver that has not answered by then is in trouble: its name servers are asked at the same time, so
# that a timeout can name the one that is silent.
SLOW_S = 1.0
# Name servers answer within milliseconds; one that is silent for this long is silent.
EVIDENCE_S = 2.0
# The C library waits 5 s for an answer and asks again (RES_TIMEOUT, resolv.conf(5)). Where one of the two
# answers for A and AAAA is lost it does so twice, and then succeeds: a slow resolver is not a broken one.
RESOLVER_BUDGET_S = 12.0
# Later than its second try. A server that never answers for AAAA fails each try for both families, and
# clients that are more patient connect after 15 s; IPv4 asked by itself is answered at once.
IPV4_ALONE_S = 6.0
# What a closer look may spend on a warning.
WARNING_S = 1.0
# Of the time that is left: the rest is for saying what was found.
_SHARE = 0.9


async def run(climb: Climb) -> ProbeResult:
    """Resolve the host to connect to, and leave its addresses."""
    proxy = climb.proxy
    host, port = (proxy.host, proxy.port) if proxy else (climb.endpoint.host, climb.endpoint.port)
    details: dict[str, Any] = {"host": host}
    if proxy:
        details |= {
            "proxy": proxy.authority,
            "variable": proxy.variable,
            "brain_host": climb.endpoint.host,
        }
    if is_address(host):
        return await _literal(climb, host, port, details)
    reason = malformed(host)
    if reason:
        message = f"{host[:80]} is not a valid host name: {reason}"
        headline = f"{host[:80]} is not a valid host name"
        return outcome("dns.invalid_name", message, details=details, headline=headline)
    if ascii_name(host) != host:
        details["ascii"] = ascii_name(host)
    found = await _look_up(climb, host, port)
    if isinstance(found, ProbeResult):
        return found if not proxy else _about_proxy(climb, found, details)
    return await _judge(climb, host, found, details)


async def resolve(
    host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
) -> tuple[Address, ...]:
    """The system resolver's answer, in its own order (RFC 6724). Raises what getaddrinfo raises.

    No AI_ADDRCONFIG, like every other client in Python: it would hide ::1 on a machine that has no other
    IPv6 address, and a family without a route costs the tcp rung nothing.
    """
    return await in_daemon_thread(lambda: _look_up_now(host, port, family))


def _look_up_now(
    host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC, flags: int = 0
) -> tuple[Address, ...]:
    # bytes, or the socket module would load its Unicode tables to encode what is ASCII already
    name = ascii_name(host).encode("ascii")
    infos = socket.getaddrinfo(name, port, family, socket.SOCK_STREAM, flags=flags)
    addresses = [
        Address(
            family, str(sockaddr[0]).partition("%")[0], port, int(sockaddr[3]) if len(sockaddr) > 3 else 0
        )
        for family, _, _, _, sockaddr in infos
        if family in (socket.AF_INET, socket.AF_INET6)
    ]
    return tuple(dict.fromkeys(addresses))


class _Found(NamedTuple):
    """A name that resolved, how long that took, and what the name servers said if it took long."""

    addresses: tuple[Address, ...]
    waited_s: float
    evidence: Evidence | None


async def _literal(climb: Climb, host: str, port: int, details: dict[str, Any]) -> ProbeResult:
    try:
        climb.addresses = _look_up_now(host, port, flags=socket.AI_NUMERICHOST)  # which asks no server
    except OSError as exc:  # an interface after the % that this machine does not have
        message = f"{host} is not an address that this machine can use: {errors.reason(exc)}"
        headline = f"no such interface here: {host}"
        return outcome("dns.invalid_name", message, details=details, headline=headline)
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
    from z4j_probes.rungs.dns.classify import Failure, System, classify, read_error
    from z4j_probes.rungs.dns.machine import read_machine
    from z4j_probes.rungs.dns.nameservers import ask
    from z4j_probes.rungs.dns.words import Facts, explain, headline
    from z4j_probes.rungs.unit_hints import lift_limits

    share = 0.8 if system.done() else 0.5
    evidence = asyncio.create_task(ask(host, min(EVIDENCE_S, climb.time_left() * share)))
    machine = asyncio.create_task(in_daemon_thread(lambda: read_machine(host)))
    try:
        alone = await _wait(system, host, climb, started_s)
        waited_s = time.monotonic() - started_s
        if alone:
            return _Found(alone, waited_s, evidence.result() if evidence.done() else None)
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
        facts = Facts(host, failure, await evidence, await machine)
    finally:
        evidence.cancel()
        machine.cancel()
    seen = facts.evidence
    code = classify(failure.system, seen)
    message, advice = explain(code, facts)
    details = {"host": host} | seen.to_details()
    found = outcome(code, message, hint=advice, details=details, headline=headline(code, facts))
    return replace(found, steps=(*lift_limits(climb.settings, code), *found.steps))


async def _wait(
    system: asyncio.Task[tuple[Address, ...]], host: str, climb: Climb, started_s: float
) -> tuple[Address, ...]:
    """Wait for the system resolver, to the end of its time; the addresses of IPv4 where those came first."""
    ends_s = time.monotonic() + climb.time_left() * _SHARE
    await asyncio.wait([system], timeout=min(started_s + IPV4_ALONE_S, ends_s) - time.monotonic())
    if system.done() or time.monotonic() >= ends_s:
        return ()
    port = (climb.proxy or climb.endpoint).port
    alone = asyncio.create_task(resolve(host, port, socket.AF_INET))
    try:
        both = [system, alone]
        await asyncio.wait(both, timeout=ends_s - time.monotonic(), return_when=asyncio.FIRST_COMPLETED)
        if alone.done() and alone.exception() is not None:  # which says nothing of IPv6
            await asyncio.wait([system], timeout=ends_s - time.monotonic())
        return alone.result() if alone.done() and alone.exception() is None and not system.done() else ()
    finally:
        alone.cancel()


async def _judge(climb: Climb, host: str, found: _Found, details: dict[str, Any]) -> ProbeResult:
    details["addresses"] = [address.ip for address in found.addresses]
    if found.evidence:
        details |= found.evidence.to_details()
    usable = _usable(host, found.addresses)
    listed = ", ".join(details["addresses"])
    if not usable:
        message = f"{host} → {listed}: no address, as a DNS filter answers"
        headline = f"{shown(host)} → {_first(details)}: blocked by a DNS filter?"
        return outcome("dns.sinkhole", message, details=details, headline=headline)
    climb.addresses = usable
    climb.resolved = host
    climb.trace_origin = partial(_trace_origin, climb, host)
    if found.waited_s > SLOW_S:
        details["waited_s"] = round(found.waited_s, 3)
    if _is_loopback(usable) and not (is_private(host) or is_loopback_name(host)):
        from z4j_probes.rungs.dns.machine import read_machine

        machine = await in_daemon_thread(lambda: read_machine(host))
        if not machine.hosts:  # an entry there was made on purpose
            return _on_this_machine(host, listed, details)
    return _resolved(climb, details, found.evidence)


async def _trace_origin(climb: Climb, host: str, timeout_s: float) -> Origin | None:
    """For a rung above that failed: which source made the addresses, where that is not the DNS."""
    from z4j_probes.rungs.dns.origin import find_origin

    found, _ = await find_origin(host, [address.ip for address in climb.addresses], timeout_s)
    return found


def _usable(host: str, addresses: tuple[Address, ...]) -> tuple[Address, ...]:
    """What can be connected to. This machine counts where it is meant, or where nothing else was answered."""
    real = tuple(address for address in addresses if not is_nowhere(address.ip))
    elsewhere = tuple(address for address in real if not address.is_loopback)
    return real if is_private(host) or is_loopback_name(host) else elsewhere or real


def _is_loopback(addresses: tuple[Address, ...]) -> bool:
    return all(address.is_loopback for address in addresses)


def _on_this_machine(host: str, listed: str, details: dict[str, Any]) -> ProbeResult:
    """A warning: it may be right, where the brain runs on this machine under its public name."""
    message = f"{host} → {listed}, which is this machine"
    hint = Step(
        "Allow the name in the DNS filter, or correct its record, if the brain runs elsewhere. See it",
        shell.ask_dns(ascii_name(host)),
    )
    found = outcome("dns.sinkhole", message, hint=hint, details=details, headline=message)
    return replace(found, status=Status.WARN)


def _resolved(climb: Climb, details: dict[str, Any], evidence: Evidence | None) -> ProbeResult:
    name = shown(details["host"])
    message, headline = f"{name} → {', '.join(details['addresses'])}", f"{name} → {_first(details)}"
    if climb.proxy:
        message = f"the proxy {message}; it resolves {climb.endpoint.host} itself"
        headline = f"proxy {headline}"
    waited_s = details.get("waited_s", 0.0)
    if waited_s > STRICT_START_S:
        from z4j_probes.rungs.dns.slow import explain_slow

        why, steps = explain_slow(details["host"], waited_s, evidence)
        message, headline = (
            f"{message} after {waited_s:.1f} s: {why}",
            f"{name} resolved after {waited_s:.1f} s",
        )
        return outcome("dns.slow", message, hint=steps, details=details, headline=headline)
    if waited_s:
        message += f" (after {waited_s:.3g} s{_blame(evidence)})"
        headline += f" (after {waited_s:.3g} s)"
    return outcome("dns.ok", message, hint="", details=details, headline=headline)


def _first(details: dict[str, Any]) -> str:
    """The first address, and how many more there are: all of them are in the message."""
    first, *others = details["addresses"]
    return f"{first} and {len(others)} more" if others else str(first)


async def look_closer(climb: Climb, result: ProbeResult) -> ProbeResult:
    """Ask the name servers who was slow, and whether the address is this machine's own idea."""
    if result.code not in ("dns.ok", "dns.slow"):
        return result
    host, details = result.details["host"], dict(result.details)
    from z4j_probes.rungs.dns.machine import read_machine
    from z4j_probes.rungs.dns.nameservers import read_config_or_none
    from z4j_probes.rungs.dns.origin import can_be_local, find_origin

    machine, config = await in_daemon_thread(lambda: (read_machine(host), read_config_or_none(host)))
    is_slow = "waited_s" in details
    searching = config is not None and config.may_search(ascii_name(host))
    # a name of this machine or its network is made here on purpose: no answer would be worth a warning
    is_own = is_private(host) or is_loopback_name(host)
    if is_slow or (not is_own and can_be_local(machine, searching=searching)):
        origin, evidence = await find_origin(
            host, details["addresses"], min(EVIDENCE_S if is_slow else WARNING_S, climb.time_left() / 2)
        )
        if is_slow:
            details |= evidence.to_details()
            result = _resolved(climb, details, evidence)
        if origin is not None and origin.dns and not origin.is_expected:
            climb.origin = origin
            details |= evidence.to_details() | origin.to_details()
            headline = f"{origin.host} is {origin.addresses[0]} here, in DNS {origin.dns}"
            return outcome(
                "dns.local_only", str(origin), hint=origin.step, details=details, headline=headline
            )
    if climb.proxy:
        details |= await _note_brain(climb)
    return replace(result, details=details)


async def _note_brain(climb: Climb) -> dict[str, Any]:
    # evidence only: many networks let nothing but the proxy resolve public names
    if is_address(climb.endpoint.host) or malformed(climb.endpoint.host):
        return {}
    try:
        async with asyncio.timeout(min(WARNING_S, climb.time_left() / 2)):
            known = await resolve(climb.endpoint.host, climb.endpoint.port)
    except TimeoutError:
        return {"brain_addresses": "no answer"}
    except OSError as exc:
        return {"brain_addresses": errors.reason(exc)}
    return {"brain_addresses": [address.ip for address in known]}


def _about_proxy(climb: Climb, found: ProbeResult, details: dict[str, Any]) -> ProbeResult:
    message = f"the proxy of {details['brain_host']}: {found.message}"
    steps, exception = found.steps, no_proxy_hint(climb.endpoint, climb.settings.environ)
    if exception:
        steps = (Step(exception),)
    elif found.code in ("dns.nxdomain", "dns.no_address"):  # whose remedy is about the brain's own name
        variable, host = details["variable"], details["brain_host"]
        steps = (Step(f"Correct the host in {variable}, or add {host} to NO_PROXY"),)
    headline = f"proxy: {found.headline}"
    return outcome(found.code, message, hint=steps, details=details | dict(found.details), headline=headline)


def _blame(evidence: Evidence | None) -> str:
    from z4j_probes.rungs.dns.slow import all_are_slow

    mute = dict.fromkeys(a.server for a in (evidence.answers if evidence else ()) if a.unanswered)
    if not mute or evidence is None or all_are_slow(evidence):  # as the time says by itself
        return ""
    return f": {', '.join(mute)} did not answer"


PROBE = Probe(
    name="dns",
    question="Does the host name resolve, the way the agent resolves it?",
    needs=("config",),
    run=run,
    timeout_code="dns.timeout",
    budget_s=RESOLVER_BUDGET_S,
    look_closer=look_closer,
    waits_for=lambda climb: f"resolving {(climb.proxy or climb.endpoint).host}",
)
