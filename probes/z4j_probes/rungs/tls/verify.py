"""The handshake with the brain, and what it says of the certificates: loaded where the URL is https.

The handshake is made on the connection that tcp (or the proxy) opened. After a failure, one more connection
that verifies nothing and sends nothing of ours shows what the server presents; only where dates are the
failure, a bare HEAD over it reads the server's clock. `failure.py` leads through that: `classify.py` decides,
`words.py` says it. A closer look asks what a stricter Python would say of the certificates.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from z4j_probes.climb import Climb
from z4j_probes.codes import outcome
from z4j_probes.hostname import server_name
from z4j_probes.result import ProbeResult
from z4j_probes.rungs.connection import Families
from z4j_probes.rungs.tls.handshake import SpokeFirst, Watch, verified_chain, verified_facts
from z4j_probes.rungs.tls.spans import day, span
from z4j_probes.threads import in_daemon_thread
from z4j_probes.trust import TrustStore, load_trust

# How long a TLS 1.3 server that asked for a certificate may take to say what it thinks of having got none.
# Most say so at once (with a session ticket or an alert); one that says nothing is not waited for.
SETTLE_S = 0.5
# Let's Encrypt renews at a third of the lifetime; a fifth says that it should have happened. Never for
# certificates that live longer and still have two weeks: no one acts on a warning months ahead.
SOON = timedelta(days=14)
SOON_FRACTION = 0.2


async def shake_hands(climb: Climb) -> ProbeResult:
    """Shake hands on the climb's transport; replace it, or say why that can't be."""
    budget_s = climb.time_left()
    try:
        async with asyncio.timeout(budget_s):
            store = await in_daemon_thread(lambda: load_trust(climb.settings))
    except TimeoutError:
        headline = f"the trust store was not read within {budget_s:.3g} s"
        return outcome("tls.timeout", f"{headline}: is it on a dead network mount?", headline=headline)
    if store.is_empty:
        from z4j_probes.rungs.tls.failure import explain_empty_store

        return explain_empty_store(climb, store)

    watch, families = Watch(store.context), Families(climb)
    try:
        transport = await families.try_each(lambda: _shake_hands(climb, store.context, watch))
    except (OSError, EOFError) as exc:
        # what tells failures apart is a third of this probe's code: loaded when there is one
        from z4j_probes.rungs.tls.failure import explain

        return await explain(climb, store, exc, watch, families.waited)
    finally:
        watch.stop()
    climb.transport = transport
    result = _approve(climb, store, transport.get_extra_info("ssl_object"))
    return families.warn(result, "tls.slow")


async def look_closer(climb: Climb, result: ProbeResult) -> ProbeResult:
    """Hold the certificates against the rules of Python 3.13, where this one is older."""
    if sys.version_info >= (3, 13):
        return result
    from z4j_probes.rungs.tls.certificates import strict_faults

    tls: ssl.SSLObject = climb.transport.get_extra_info("ssl_object")
    faults = await in_daemon_thread(lambda: strict_faults(verified_chain(tls)))
    if not faults:
        return result
    details = {**result.details, "strict_faults": faults}
    if result.code != "tls.ok":  # that it expires comes first
        return replace(result, details=details)
    message = f"verifies here, but Python 3.13 and later would refuse it: {'; '.join(faults)}"
    headline = "Python 3.13 and later would refuse the certificate"
    return outcome("tls.not_strict", message, details=details, headline=headline)


async def _shake_hands(climb: Climb, context: ssl.SSLContext, watch: Watch) -> asyncio.Transport:
    holding = climb.protocol
    if holding.eof or holding.lost:  # start_tls would wait for an answer that can't come
        raise holding.error or ConnectionResetError
    if holding.received:
        raise SpokeFirst
    _patch_force_close(climb.transport)
    transport = await asyncio.get_running_loop().start_tls(
        climb.transport, holding, context, server_hostname=server_name(climb.endpoint)
    )
    if transport is None:  # closed under the handshake
        raise ConnectionResetError
    holding.connection_made(transport)
    climb.on_release(transport.close)
    tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
    if watch.certificate_requested and tls.version() == "TLSv1.3":
        await _settle(climb, watch)
    return transport


async def _settle(climb: Climb, watch: Watch) -> None:
    """Wait for the server's word on the certificate that it asked for and did not get (RFC 8446 §4.4.2.4)."""
    said = asyncio.create_task(watch.settled.wait())
    ended = asyncio.create_task(climb.protocol.changed())
    try:
        await asyncio.wait((said, ended), timeout=SETTLE_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        said.cancel()
        ended.cancel()
    if watch.alert is not None or climb.protocol.lost or climb.protocol.eof:
        raise climb.protocol.error or ConnectionResetError


def _patch_force_close(transport: asyncio.Transport) -> None:
    """In TLS inside TLS, let a failed inner handshake fail as itself.

    asyncio of Python 3.11 (seen in 3.11.7) calls the outer protocol's `_abort` with an argument that it does
    not take: the TypeError would stand in for the certificate's fault.
    """
    broken = getattr(transport, "_force_close", None)
    if broken is None or transport.get_extra_info("ssl_object") is None:
        return

    def force_close(exc: Exception | None) -> None:
        try:
            broken(exc)
        except TypeError:
            transport.abort()

    transport._force_close = force_close  # type: ignore[attr-defined]


def _approve(climb: Climb, store: TrustStore, tls: ssl.SSLObject) -> ProbeResult:
    facts = verified_facts(tls)
    now, host = datetime.now(UTC), climb.endpoint.host
    leaf, soonest = facts[0], min(facts, key=_not_after)
    details: dict[str, Any] = {
        "subject": _name(leaf["subject"]),
        "issuer": _name(leaf["issuer"]),
        "not_before": _moment(leaf, "notBefore").isoformat(),
        "not_after": _not_after(leaf).isoformat(),
        "names": [value for _, value in leaf.get("subjectAltName", ())],
        "chain": [f"{_name(fact['subject'])} <- {_name(fact['issuer'])}" for fact in facts],
        "version": tls.version(),
        "cipher": (tls.cipher() or ("?",))[0],
        "stores": store.describe(),
    }
    left = _not_after(soonest) - now
    if left < SOON and left < SOON_FRACTION * (_not_after(soonest) - _moment(soonest, "notBefore")):
        which = "" if soonest is leaf else f' depends on "{_short(soonest["subject"])}", which'
        ends = f"expires in {span(left)} ({day(_not_after(soonest))})"
        message = f"the certificate of {host}{which} {ends}"
        headline = f"certificate {ends}" if soonest is leaf else f'"{_short(soonest["subject"])}" {ends}'
        return outcome("tls.expiring_soon", message, details=details, headline=headline)
    issuer, valid = _short(leaf["issuer"]), span(_not_after(leaf) - now)
    message = f'{tls.version()}, {host} by "{issuer}", valid for {valid} more'
    headline = f"certificate valid until {day(_not_after(leaf))} ({valid} left)"
    return outcome("tls.ok", message, details=details, headline=headline)


def _moment(fact: Mapping[str, Any], field: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(fact[field]), UTC)


def _not_after(fact: Mapping[str, Any]) -> datetime:
    return _moment(fact, "notAfter")


def _name(rdns: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    return ", ".join(f"{key}={value}" for rdn in rdns for key, value in rdn)


def _short(rdns: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    parts = {key: value for rdn in rdns for key, value in rdn}
    return parts.get("commonName") or parts.get("organizationName") or _name(rdns)
