"""The transport of a climb, made of a connected socket; and another one, over the other address family.

IPv6 over a tunnel often accepts a connection and then carries no packet of full size. Where TLS or the
upgrade is not answered over one family, the other one is tried before that is the verdict.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from z4j_probes.address import Address
from z4j_probes.climb import Climb
from z4j_probes.codes import outcome
from z4j_probes.hostname import server_name
from z4j_probes.portable import shell
from z4j_probes.result import ProbeResult, Status, Step
from z4j_probes.threads import in_daemon_thread
from z4j_probes.transport import HoldingProtocol, hang_up

T = TypeVar("T")

# Of the time that a rung has left: for the family that was connected first, where there is another one.
FIRST_FAMILY_SHARE = 0.5
# Of what is left then: the rest is for saying what was found.
_SHARE = 0.9
# For the second one's connection; the rest is for what the rung waits for.
_REDIAL_SHARE = 0.5
# A peer that vanished is noticed within 90 s, which is when the brain gives up on a silent agent too. macOS
# has TCP_KEEPALIVE for what is TCP_KEEPIDLE elsewhere.
_KEEPALIVE = (("TCP_KEEPIDLE", 45), ("TCP_KEEPALIVE", 45), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 3))


async def open_transport(climb: Climb, sock: socket.socket) -> None:
    """Leave the climb's transport on this socket, which is its own from here on."""
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(HoldingProtocol, sock=sock)
    except BaseException:
        sock.close()
        raise
    climb.on_release(lambda: hang_up(transport))
    climb.transport, climb.protocol = transport, protocol


class Families:
    """The address families of the brain, tried one after the other by a rung that waits for an answer.

    `silent` is the address that did not answer, once the other family was tried; `waited_s` how long each
    was waited for.
    """

    def __init__(self, climb: Climb) -> None:
        self._climb = climb
        self.silent: Address | None = None
        self.tried: list[tuple[Address, float]] = []
        self._started_s = time.monotonic()

    async def try_each(self, attempt: Callable[[], Awaitable[T]], *, encrypted: bool = False) -> T:
        """What `attempt` gives, over the family that answers in time; TimeoutError where none does."""
        climb, others = self._climb, self._others()
        try:
            return await self._timed(attempt, climb.time_left() * (FIRST_FAMILY_SHARE if others else _SHARE))
        except TimeoutError:
            if not (others and await redial(climb, others, encrypted=encrypted)):
                raise
        result = await self._timed(attempt, climb.time_left() * _SHARE)
        self.silent = self.tried[0][0]
        return result

    async def _timed(self, attempt: Callable[[], Awaitable[T]], budget_s: float) -> T:
        started_s = time.monotonic()
        try:
            async with asyncio.timeout(budget_s):
                return await attempt()
        finally:
            if self._climb.has("peer"):
                self.tried.append((self._climb.peer, time.monotonic() - started_s))

    def _others(self) -> tuple[Address, ...]:
        climb = self._climb
        if not (climb.has("peer") and climb.has("addresses")) or climb.proxy is not None:
            return ()
        return tuple(address for address in climb.addresses if address.family != climb.peer.family)

    @property
    def waited(self) -> str:
        """For a timeout's message: how long, and over which families."""
        if not self.tried:
            return f"within {time.monotonic() - self._started_s:.3g} s"
        (first, first_s), *rest = self.tried
        if not rest:
            return f"within {first_s:.3g} s"
        other, other_s = rest[0]
        over = [f"within {s:.3g} s over {family_name(a)}" for a, s in ((first, first_s), (other, other_s))]
        return ", nor ".join(over)

    def warn(self, result: ProbeResult, code: str) -> ProbeResult:
        """The result of a pass; a warning with this code where the first family did not answer."""
        if self.silent is None or result.status is not Status.PASS:
            return result
        silent, family = self.silent, family_name(self.silent)
        record, host = "AAAA" if family == "IPv6" else "A", self._climb.endpoint.host
        return outcome(
            code,
            f"{result.message}, but only over {family_name(self._climb.peer)}: {silent} accepted the "
            f"connection and did not answer {self.waited.partition(',')[0]}",
            hint=Step(
                f"Fix {family} between here and {host} (MTU: large packets may be lost), or remove its "
                f"{record} record. See whether they arrive",
                shell.ping_with(1452 if family == "IPv6" else 1472, silent.ip),
            ),
            details={**result.details, "silent": str(silent)},
            headline=f"no answer over {family} from {silent}",
        )


def family_name(address: Address) -> str:
    """IPv4 or IPv6."""
    return "IPv6" if address.family == socket.AF_INET6 else "IPv4"


async def redial(climb: Climb, addresses: tuple[Address, ...], *, encrypted: bool) -> bool:
    """Whether one of the addresses accepts, with TLS if `encrypted`; the climb goes on over it then."""
    with contextlib.suppress(OSError, EOFError):  # TimeoutError is one
        async with asyncio.timeout(climb.time_left() * _REDIAL_SHARE):
            for address in addresses:
                if await _connect(climb, address):
                    if encrypted:
                        await _encrypt(climb)
                    return True
    return False


async def _connect(climb: Climb, address: Address) -> bool:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, address.sockaddr)
    except OSError:
        sock.close()
        return False
    except BaseException:
        sock.close()
        raise
    await open_transport(climb, sock)
    climb.peer = address
    return True


async def _encrypt(climb: Climb) -> None:
    from z4j_probes.trust import load_trust

    trust = await in_daemon_thread(lambda: load_trust(climb.settings))
    transport = await asyncio.get_running_loop().start_tls(
        climb.transport, climb.protocol, trust.context, server_hostname=server_name(climb.endpoint)
    )
    if transport is None:  # closed under the handshake
        raise ConnectionResetError
    climb.protocol.connection_made(transport)
    climb.on_release(transport.close)
    climb.transport = transport
