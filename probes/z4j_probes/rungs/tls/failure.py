"""The look after a failure: another connection like the first, to see what the server presents."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from z4j_probes.climb import Climb
from z4j_probes.hostname import ascii_name, server_name
from z4j_probes.rungs.tls.handshake import Presented, look
from z4j_probes.rungs.tunnel import connect_through, diagnose, encrypt
from z4j_probes.transport import HoldingProtocol, hang_up
from z4j_probes.trust import TrustStore

# A look after a failure is one round trip or two more; a server that is slower leaves us without evidence.
LOOK_S = 2.0


async def look_again(climb: Climb, store: TrustStore, *, with_name: bool, ask_date: bool) -> Presented:
    """What the server presents to somebody who believes anything, as far as it can be had in time."""
    presented = Presented()
    endpoint = climb.endpoint
    name = server_name(endpoint) if with_name else None
    # no header of ours: no token, and no User-Agent
    ask = f"HEAD / HTTP/1.1\r\nHost: {ascii_name(endpoint.authority)}\r\nConnection: close\r\n\r\n".encode()
    with contextlib.suppress(OSError):
        async with asyncio.timeout(min(LOOK_S, climb.time_left())), _redialled(climb, store) as again:
            await look(*again, presented, server_hostname=name, ask=ask if ask_date else None)
    return presented


@contextlib.asynccontextmanager
async def _redialled(
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
