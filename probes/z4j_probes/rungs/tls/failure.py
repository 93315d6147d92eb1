"""From a failed handshake to its verdict: what the server presents, the decision, and its words.

What it presents is seen over another connection like the first, which verifies nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

from z4j_probes.climb import Climb
from z4j_probes.hostname import ascii_name, server_name
from z4j_probes.result import ProbeResult
from z4j_probes.rungs.tls.certificates import read_all
from z4j_probes.rungs.tls.classify import Evidence, classify, refine
from z4j_probes.rungs.tls.handshake import Presented, SpokeFirst, Watch, look
from z4j_probes.rungs.tls.words import verdict
from z4j_probes.rungs.tunnel import connect_through, diagnose, encrypt
from z4j_probes.transport import HoldingProtocol, hang_up
from z4j_probes.trust import TrustStore

# A look after a failure is one round trip or two more; a server that is slower leaves us without evidence.
LOOK_S = 2.0
# What a load balancer writes before it passes a connection on, here without addresses (haproxy.org,
# proxy-protocol.txt §2.1).
_PROXY_HEADER = b"PROXY UNKNOWN\r\n"
_ABOUT_DATES = ("tls.expired", "tls.not_yet_valid")
_ABOUT_ROOTS = (*_ABOUT_DATES, "tls.unknown_ca", "tls.not_strict")


async def explain(
    climb: Climb, store: TrustStore, error: Exception, watch: Watch, waited: str
) -> ProbeResult:
    """Why the handshake failed; `waited` completes the message of a timeout."""
    code = classify(error, alert=watch.alert, certificate_requested=watch.certificate_requested)
    evidence = Evidence(
        climb.endpoint,
        error,
        store,
        datetime.now(UTC),
        watch.alert,
        watch.certificate_requested,
        proxy=climb.proxy,
        waited=waited,
        settings=climb.settings,
    )
    if isinstance(error, SpokeFirst):
        said = Presented(said=climb.protocol.take())
        return verdict("tls.not_tls", replace(evidence, presented=said))
    if code == "tls.timeout":
        return verdict(code, evidence)

    watch.stop()
    presented = await _look_again(climb, store, with_name=watch.alert != 112, ask_date=code in _ABOUT_DATES)
    wants_header = False
    if code == "tls.closed" and climb.proxy is None and not presented.said:
        behind = await _look_again(climb, store, with_name=True, ask_date=False, preface=_PROXY_HEADER)
        wants_header = bool(behind.chain)
    chain = read_all(presented.chain)
    wants_roots = code in _ABOUT_ROOTS and chain
    roots = read_all(store.context.get_ca_certs(binary_form=True)) if wants_roots else ()
    evidence = replace(
        evidence, presented=presented, chain=chain, roots=roots, wants_proxy_header=wants_header
    )
    return verdict(refine(code, evidence), evidence)


def explain_empty_store(climb: Climb, store: TrustStore) -> ProbeResult:
    """Why there was no handshake: no certificate on earth would verify."""
    nothing = Evidence(
        climb.endpoint, LookupError("no certificates"), store, datetime.now(UTC), proxy=climb.proxy
    )
    return verdict("tls.empty_trust_store", nothing)


async def _look_again(
    climb: Climb, store: TrustStore, *, with_name: bool, ask_date: bool, preface: bytes = b""
) -> Presented:
    """What the server presents to a client that verifies nothing, as far as it can be had in time.

    `preface` is sent before the handshake.
    """
    presented = Presented()
    endpoint = climb.endpoint
    name = server_name(endpoint) if with_name else None
    # no header of ours: no token, and no User-Agent
    ask = f"HEAD / HTTP/1.1\r\nHost: {ascii_name(endpoint.authority)}\r\nConnection: close\r\n\r\n".encode()
    with contextlib.suppress(OSError):
        async with asyncio.timeout(min(LOOK_S, climb.time_left())), _connected_again(climb, store) as again:
            again[0].write(preface)
            await look(*again, presented, server_hostname=name, ask=ask if ask_date else None)
    return presented


@contextlib.asynccontextmanager
async def _connected_again(
    climb: Climb, store: TrustStore
) -> AsyncIterator[tuple[asyncio.Transport, HoldingProtocol]]:
    """Another connection to the address that tcp found, through the same proxy. OSError where none is had."""
    loop = asyncio.get_running_loop()
    transport, holding = await loop.create_connection(HoldingProtocol, climb.peer.host, climb.peer.port)
    try:
        proxy = climb.proxy
        if proxy is not None:
            if proxy.secure:  # verified: it is sent the proxy's credentials
                transport = await encrypt(transport, holding, proxy, store.context)
            reply = await connect_through(transport, holding, climb.endpoint, proxy)
            if diagnose(reply) is not None:
                raise ConnectionRefusedError
        yield transport, holding
    finally:
        hang_up(transport)
