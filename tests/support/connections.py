"""Ladders from dns upwards, and peers that accept, refuse, reset or swallow a TCP connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager

from tests.support.ladders import no_hello, settings
from z4j_probes.address import Address
from z4j_probes.climb import Climb
from z4j_probes.codes import outcome
from z4j_probes.endpoint import Endpoint
from z4j_probes.ladder import Ladder
from z4j_probes.probe import Probe
from z4j_probes.proxy import Proxy
from z4j_probes.registry import Registry
from z4j_probes.result import ProbeResult
from z4j_probes.rungs.dns import probe as dns
from z4j_probes.rungs.tcp import probe as tcp
from z4j_probes.settings import Settings

LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def ladder_to(
    endpoint: Endpoint,
    *,
    proxy: Proxy | None = None,
    addresses: Iterable[Address] | None = None,
    given: Settings | None = None,
    timeout_s: float = 5.0,
    look_closer: bool = True,
) -> Ladder:
    """dns and tcp above a config that is laid by hand; `addresses` lay dns by hand too."""

    async def config(climb: Climb) -> ProbeResult:
        climb.endpoint, climb.proxy = endpoint, proxy
        return outcome("config.ok", "laid by hand")

    async def resolved(climb: Climb) -> ProbeResult:
        climb.addresses = tuple(addresses or ())
        return outcome("dns.ok", "laid by hand")

    lower = dns.PROBE if addresses is None else Probe("dns", "", ("config",), resolved, "dns.timeout")
    registry = Registry((Probe("config", "", (), config, "config.ok"), lower, tcp.PROBE))
    return Ladder(
        registry, given or settings(), make_hello=no_hello, timeout_s=timeout_s, look_closer=look_closer
    )


@asynccontextmanager
async def climbed(ladder: Ladder) -> AsyncIterator[tuple[Climb, dict[str, ProbeResult]]]:
    """A climb as far as it goes, and its results by name; released at the end of the block."""
    async with ladder.start() as climb, contextlib.aclosing(ladder.climb(climb)) as results:
        yield climb, {result.name: result async for result in results}


async def result_of(name: str, ladder: Ladder) -> ProbeResult:
    """One rung's result, with the climb released."""
    async with climbed(ladder) as (_, results):
        return results[name]


def address(port: int, family: socket.AddressFamily = socket.AF_INET) -> Address:
    """Loopback's address of that family."""
    return Address(family, LOOPBACK[family], port)


@contextmanager
def listening(family: socket.AddressFamily = socket.AF_INET, port: int = 0) -> Iterator[socket.socket]:
    """A socket that accepts as the kernel does, and says nothing."""
    with socket.socket(family) as sock:
        sock.bind((LOOPBACK[family], port))
        sock.listen(16)
        yield sock


@contextmanager
def closed_port(family: socket.AddressFamily = socket.AF_INET) -> Iterator[int]:
    """A port that refuses: it is bound, so that nobody else gets it, and nothing listens."""
    with socket.socket(family) as sock:
        sock.bind((LOOPBACK[family], 0))
        yield sock.getsockname()[1]


@contextmanager
def black_hole(family: socket.AddressFamily = socket.AF_INET, port: int = 0) -> Iterator[int]:
    """A port that does not answer: its backlog is full, so that further SYNs are dropped."""
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(socket.socket(family))
        sock.bind((LOOPBACK[family], port))
        sock.listen(0)
        for _ in range(8):
            filler = stack.enter_context(socket.socket(family))
            filler.setblocking(False)
            filler.connect_ex(sock.getsockname())
        yield sock.getsockname()[1]


async def reset(writer: asyncio.StreamWriter) -> None:
    """Cut a connection with RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
