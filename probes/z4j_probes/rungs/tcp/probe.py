"""Does one of the addresses (or the proxy) accept a connection?

Evidence: the outcome of every address that was tried, by family; with a proxy, its answer to CONNECT. A
closer look tries the family that lost.
Leaves one open transport on which nothing has been said to the brain yet; what the peer says unasked is held
by its protocol.

Codes: ok, insecure, refused, timeout, unreachable, reset, blocked, partial, no_descriptors,
proxy_unreachable, proxy_refused, proxy_auth.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from z4j_probes.climb import Climb
from z4j_probes.codes import outcome
from z4j_probes.endpoint import Endpoint
from z4j_probes.portable import errors, limits, shell
from z4j_probes.probe import Probe
from z4j_probes.proxy import Proxy, no_proxy_hint, unread_proxy
from z4j_probes.result import Advice, ProbeResult, Step
from z4j_probes.rungs.connection import open_transport
from z4j_probes.rungs.hints import ask_proxy, set_url
from z4j_probes.rungs.naming_origin import naming_origin
from z4j_probes.rungs.tcp.classify import (
    classify,
    describe,
    duration,
    is_black_hole,
    is_failure,
    is_rejected,
    lone_family,
    summarize,
)
from z4j_probes.rungs.tcp.happy_eyeballs import Attempt, Outcome, Race, race
from z4j_probes.rungs.unit_hints import NO_SOCKET, lift_limits
from z4j_probes.threads import in_daemon_thread
from z4j_probes.transport import hang_up

# How long the family that lost may take at a closer look before it counts as silent: one lost SYN is repeated
# after a second (RFC 6298) and must not make a warning.
GRACE_S = 2.0
# Of the time that is left: the rest is for saying what was found.
_SHARE = 0.9
_RECORD = {"IPv4": "A", "IPv6": "AAAA"}


async def run(climb: Climb) -> ProbeResult:
    """Connect, through the proxy where there is one, and leave the open transport."""
    started_s = time.monotonic()
    addresses = climb.addresses
    if not (climb.endpoint.secure or climb.settings.allow_plaintext):
        # config has judged by the name; a hosts file or a record may lead it to another machine
        addresses = tuple(address for address in addresses if address.is_loopback)
        if not addresses:
            return _insecure(climb)
    found = await race(addresses, climb.time_left() * _SHARE)
    if found.sock is None or found.winner is None:
        return _failure(climb, found)
    climb.peer = found.winner
    await open_transport(climb, found.sock)
    proxy = climb.proxy
    if proxy is None:
        return _success(climb, found)
    try:
        async with asyncio.timeout(climb.time_left() * _SHARE):
            refusal = await _tunnel(climb, proxy)
    except TimeoutError:
        refusal = _silent_proxy(climb, proxy, time.monotonic() - started_s)
    return _or_no_proxy(climb, refusal) if refusal else _success(climb, found)


def _insecure(climb: Climb) -> ProbeResult:
    listed = ", ".join(address.ip for address in climb.addresses)
    endpoint = climb.endpoint
    return outcome(
        "tcp.insecure",
        f"{endpoint.host} is {listed}, another machine, and the URL is plain http: nothing was sent",
        hint=(
            Step(
                "Correct the address, if the brain runs on this machine",
                shell.look_up(endpoint.host),
            ),
            *set_url(climb.settings, endpoint.https_url),
        ),
        details={"addresses": [address.ip for address in climb.addresses]},
        headline=f"plain http to another machine: {climb.addresses[0].ip}",
    )


async def look_closer(climb: Climb, result: ProbeResult) -> ProbeResult:
    """Try the family that was tried and did not win: where it is broken, each connect has to wait for it."""
    destination, family = _destination(climb), climb.peer.family
    tried = {a["address"] for a in result.details["attempts"] if a["outcome"] != Outcome.NOT_TRIED}
    others = tuple(a for a in climb.addresses if a.family != family and str(a) in tried)
    if not others or destination.is_loopback:  # its names have both families, and services there seldom do
        return result
    found = await race(others, min(GRACE_S, climb.time_left() / 2))
    if found.sock is not None:
        found.sock.close()
        return result
    failing = tuple(attempt for attempt in found.attempts if is_failure(attempt))
    if not failing:
        return result
    again = {str(attempt.address): attempt.to_details() for attempt in found.attempts}
    attempts = [again.get(attempt["address"], attempt) for attempt in result.details["attempts"]]
    named = "IPv6" if failing[0].address.family == socket.AF_INET6 else "IPv4"
    return outcome(
        "tcp.partial",
        f"{result.message}, but {describe(failing)}",
        hint=f"Fix {named} between here and {destination.host}, or remove its {_RECORD[named]} record: "
        "until then each connection waits for it",
        details={**result.details, "attempts": attempts},
        headline=f"no connection over {named} to {failing[0].address}",
    )


def _waits_for(climb: Climb) -> str:
    first, *others = climb.addresses
    more = f" and {len(others)} more" if others else ""
    return f"connecting to {'the proxy ' if climb.proxy else ''}{first}{more}"


PROBE = Probe(
    name="tcp",
    question="Does the brain (or the proxy) accept a connection at one of its addresses?",
    needs=("dns",),
    run=naming_origin(run),
    timeout_code="tcp.timeout",
    look_closer=look_closer,
    waits_for=_waits_for,
)


def _destination(climb: Climb) -> Endpoint:
    proxy = climb.proxy
    return Endpoint(proxy.secure, proxy.host, proxy.port) if proxy else climb.endpoint


async def _tunnel(climb: Climb, proxy: Proxy) -> ProbeResult | None:
    from z4j_probes.rungs import tunnel  # loaded where there is a proxy

    if proxy.secure:
        from z4j_probes.trust import load_trust

        trust = await in_daemon_thread(lambda: load_trust(climb.settings))
        try:
            encrypted = await tunnel.encrypt(climb.transport, climb.protocol, proxy, trust.context)
        except TimeoutError:  # ours, and an OSError too
            raise
        except OSError as exc:
            return _no_tls(proxy, exc)
        climb.on_release(lambda: hang_up(encrypted))
        climb.transport = encrypted
    reply = await tunnel.connect_through(climb.transport, climb.protocol, climb.endpoint, proxy)
    code = tunnel.diagnose(reply)
    if code is None:
        return None
    details: dict[str, Any] = {"proxy": proxy.authority, "variable": proxy.variable}
    if reply.answer is not None:
        details |= reply.answer.evidence(climb.settings.redactor(), now=datetime.now(UTC))
        for name in ("proxy-authenticate", "x-squid-error"):
            if name in reply.answer.headers:
                details[name.replace("-", "_")] = reply.answer.headers[name]
    message, advice = tunnel.explain(code, reply, climb.endpoint, proxy, climb.settings.redactor())
    headline = tunnel.headline(code, reply, proxy)
    return outcome(code, message, hint=advice, details=details, headline=headline)


def _success(climb: Climb, found: Race) -> ProbeResult:
    details = _evidence(climb, found.attempts)
    won = next(a for a in found.attempts if a.address == found.winner)
    destination = _destination(climb)
    named = f" ({destination.host})" if destination.address is None else ""
    took = duration(won.duration_s)
    message = f"{won.address}{named} accepted the connection after {took}"
    headline = f"connected to {won.address} in {took}"
    if climb.proxy:
        from z4j_probes.rungs import tunnel

        target = tunnel.target(climb.endpoint)
        message = f"the proxy {message}, and its tunnel to {target} stands"
        headline = f"tunnel to {target} through the proxy {won.address}"
    return outcome("tcp.ok", message, hint="", details=details, headline=headline)


def _failure(climb: Climb, found: Race) -> ProbeResult:
    code = classify(found.attempts)
    details = _evidence(climb, found.attempts)
    destination = _destination(climb)
    message, headline = describe(found.attempts), summarize(code, found.attempts)
    if destination.address is None:
        message += (
            f" (the addresses of {destination.host})" if len(found.attempts) > 1 else f" ({destination.host})"
        )
    if code == "tcp.no_descriptors":
        most = limits.limit("NOFILE")
        if most is None:
            message = f"this process can't open a socket: {message}"
        else:
            message = f"this process can't open a socket: {message} (its limit is {most.soft} open files)"
            headline = f"too many open files in this process (limit {most.soft})"
    elif climb.proxy:
        # that the proxy can't be reached is one thing to fix, whatever the errno; details keep the cause
        details["cause"] = code
        code = "tcp.proxy_unreachable"
        message = f"the proxy from {climb.proxy.variable}: {message}"
        headline = f"proxy: {headline}" if headline else ""
    family = lone_family(found.attempts) if code == "tcp.unreachable" else None
    if family is not None:
        ours, theirs = ("IPv6", "IPv4") if family == socket.AF_INET else ("IPv4", "IPv6")
        record = f" ({_RECORD[theirs]} record)" if destination.address is None else ""
        message = f"this machine has {ours} only, and {destination.host} has only {theirs}{record}: {message}"
    advice = _family_advice(family, destination.host) if family else _advice_for(code, found.attempts)
    failure = outcome(code, message, hint=advice, details=details, headline=headline)
    failure = _or_no_proxy(climb, failure) if climb.proxy else _or_http_proxy(climb, failure)
    cause = details.get("cause", code)
    if all(attempt.error == errno.EAFNOSUPPORT for attempt in found.attempts):
        cause = NO_SOCKET
    return replace(failure, steps=(*lift_limits(climb.settings, cause), *failure.steps))


def _family_advice(family: socket.AddressFamily, host: str) -> Advice:
    if family == socket.AF_INET:
        return (
            Step(f"Add an AAAA record for {host}, and have its server listen on IPv6"),
            Step("If that is not possible, use the network's NAT64, with a DNS64 name server"),
        )
    return (
        Step(f"Add an A record for {host}, and have its server listen on IPv4"),
        Step("If that is not possible, give this machine (or its container network) IPv6"),
    )


def _or_http_proxy(climb: Climb, failure: ProbeResult) -> ProbeResult:
    """With another first step, where the way out is a proxy that is named in a variable nothing reads."""
    if failure.code not in ("tcp.timeout", "tcp.unreachable", "tcp.refused", "tcp.reset"):
        return failure
    variable = unread_proxy(climb.endpoint, climb.settings.environ)
    if variable is None:
        return failure
    other = "https_proxy" if variable.islower() else "HTTPS_PROXY"
    step = Step(
        f"Set {other}, if {variable} names the way out: only HTTPS_PROXY and ALL_PROXY are read",
        shell.copy_variable(other, variable),
    )
    message = f"{failure.message}; {variable} is set, but not read for this connection"
    return replace(failure, message=message, steps=(step, *failure.steps))


def _or_no_proxy(climb: Climb, failure: ProbeResult) -> ProbeResult:
    """With another hint where the proxy was to be bypassed, and NO_PROXY has it in a form that does not."""
    hint = no_proxy_hint(climb.endpoint, climb.settings.environ)
    return replace(failure, steps=(Step(hint),)) if hint else failure


def _advice_for(code: str, attempts: tuple[Attempt, ...]) -> Advice | None:
    address = attempts[0].address
    listening = shell.listening(address.port)
    if code == "tcp.refused":
        return Step("Start the brain, or correct the port. On the brain's host, see what listens", listening)
    if code == "tcp.timeout" and address.is_loopback:
        return Step("Restart the process that listens there and does not accept. Find it", listening)
    if code == "tcp.unreachable" and address.is_loopback and attempts[0].error == errno.ENETUNREACH:
        return Step("Bring up the loopback interface of this network namespace", shell.loopback_up())
    if code == "tcp.timeout":
        trace = shell.trace(address.ip, address.port)
        return (
            Step(f"Allow outgoing TCP to {address}, if it is the brain's address"),
            Step("See where packets are dropped", trace),
        )
    if code != "tcp.unreachable":
        return None
    if any(attempt.error == errno.EADDRNOTAVAIL for attempt in attempts):
        return Step("See what uses the local ports", shell.local_ports())
    if all(attempt.error == errno.EAFNOSUPPORT for attempt in attempts):
        return Step(
            "Allow that kind of socket: in the unit's RestrictAddressFamilies=, in the sandbox of the "
            "container, or, for IPv6, in the kernel (ipv6.disable)"
        )
    if any(is_black_hole(attempt) for attempt in attempts):
        return (
            Step("See which route it takes", shell.route(address.ip)),
            Step(
                "Remove the blackhole route, or add one that is more specific: a VPN's lock, or a container "
                "network's range, may have made it"
            ),
        )
    if any(is_rejected(attempt) for attempt in attempts):
        return (
            Step(f"Allow outgoing TCP to {address} in the firewall of this machine", shell.firewall()),
            Step(
                "If no rule here rejects it, find the firewall in between that does",
                shell.trace(address.ip, address.port),
            ),
        )
    if all(attempt.routed for attempt in attempts):
        return (
            Step(f"See whether a machine answers at {address.ip}", shell.neighbor(address.ip)),
            Step("Start it, or correct the address"),
        )
    return (
        Step("See which route it takes", shell.route(address.ip)),
        Step("Connect the network or the VPN"),
    )


def _silent_proxy(climb: Climb, proxy: Proxy, waited_s: float) -> ProbeResult:
    from z4j_probes.rungs import tunnel

    if proxy.secure and climb.transport.get_extra_info("sslcontext") is None:
        # an unencrypted proxy takes our greeting for the beginning of a line, and waits for its end
        return _no_tls(proxy, TimeoutError(f"no answer within {waited_s:.3g} s"))
    return outcome(
        "tcp.timeout",
        f"the proxy {proxy.authority} (from {proxy.variable}) accepted the connection, but did not answer "
        f"CONNECT {tunnel.target(climb.endpoint)} within {waited_s:.3g} s",
        hint=Step(
            "See whether the proxy works: it may be waiting for a brain that it can't reach either",
            ask_proxy(tunnel.target(climb.endpoint), proxy),
        ),
        details={"proxy": proxy.authority, "variable": proxy.variable},
        headline=f"no answer to CONNECT from the proxy {proxy.authority}",
    )


def _no_tls(proxy: Proxy, exc: OSError) -> ProbeResult:
    if isinstance(exc, ssl.SSLCertVerificationError):
        why = f"its certificate does not verify: {exc.verify_message}"
    else:
        why = getattr(exc, "reason", None) or errors.reason(exc)
    return outcome(
        "tcp.proxy_unreachable",
        f"the proxy {proxy.authority} (from {proxy.variable}) accepted the connection, but TLS with it "
        f"failed: {why}",
        hint=(
            Step(f"Try http:// in {proxy.variable}: most proxies expect an unencrypted connection"),
            Step("If the proxy does expect TLS, add its CA to the trust store"),
        ),
        details={"proxy": proxy.authority, "variable": proxy.variable, "tls": why},
        headline=f"TLS with the proxy {proxy.authority} failed",
    )


def _evidence(climb: Climb, attempts: tuple[Attempt, ...]) -> dict[str, Any]:
    details: dict[str, Any] = {"attempts": [attempt.to_details() for attempt in attempts]}
    if climb.proxy:
        details |= {"proxy": climb.proxy.authority, "variable": climb.proxy.variable}
    return details
