"""Happy eyeballs (RFC 8305): race the addresses, keep the one socket that connects first, remember them all.

asyncio has a race of its own, which tells of a failure only when every address failed, and then in one text.
Here each address keeps its own outcome, since a family that is broken is worth knowing even when the other
works.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import socket
import time
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from z4j_probes.address import Address
from z4j_probes.portable import errors

# RFC 8305 §5: how long one address is waited for before the next is tried beside it.
ATTEMPT_DELAY_S = 0.25
# What the kernel says where a family or a network is simply not set up on this machine.
_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


class Outcome(StrEnum):
    """How far an attempt came."""

    CONNECTED = "connected"
    FAILED = "failed"
    PENDING = "no answer"
    NOT_TRIED = "not tried"


class Attempt(NamedTuple):
    """One address and what came of it. `error` is an errno; not `routed`: no packet can leave for it."""

    address: Address
    outcome: Outcome = Outcome.NOT_TRIED
    error: int | None = None
    duration_s: float = 0.0
    routed: bool = True

    @property
    def reason(self) -> str:
        """The outcome in words."""
        return errors.words(self.error) if self.error is not None else self.outcome.value

    def to_details(self) -> dict[str, object]:
        """JSON-ready."""
        return {
            "address": str(self.address),
            "outcome": self.outcome.value,
            "error": None if self.error is None else errors.words(self.error),
            "duration_ms": round(self.duration_s * 1000, 1),
        }


class Race(NamedTuple):
    """The winner's socket and address, if there is one, and every address's attempt."""

    attempts: tuple[Attempt, ...]
    winner: Address | None = None
    sock: socket.socket | None = None


def interleave(addresses: Sequence[Address]) -> tuple[Address, ...]:
    """The families in turn, beginning with the resolver's first (RFC 8305 §4)."""
    families = dict.fromkeys(address.family for address in addresses)
    lanes = [[a for a in addresses if a.family == family] for family in families]
    return tuple(a for rank in itertools.zip_longest(*lanes) for a in rank if a is not None)


async def race(addresses: Sequence[Address], timeout_s: float) -> Race:
    """Connect to whichever address answers first, within `timeout_s`. The caller owns the winner's socket.

    Every other socket is closed, and attempts that are under way when one wins are ended.
    """
    runner = _Race(interleave(addresses))
    try:
        async with asyncio.timeout(timeout_s):
            await runner.run()
    except TimeoutError:
        pass  # the attempts say who did not answer
    except BaseException:
        if runner.sock is not None:
            runner.sock.close()
        raise
    finally:
        await runner.stop()
    return Race(runner.outcomes(), runner.winner, runner.sock)


class _Race:
    def __init__(self, addresses: Iterable[Address]) -> None:
        self.attempts = [Attempt(address) for address in addresses]
        self.winner: Address | None = None
        self.sock: socket.socket | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Start one attempt after the other until one has won or all have failed."""
        for index in range(len(self.attempts)):
            self._tasks[index] = asyncio.create_task(self._attempt(index))
            # a failure brings the next one forward, whichever attempt it was that failed
            await asyncio.wait(self._running(), timeout=ATTEMPT_DELAY_S, return_when=asyncio.FIRST_COMPLETED)
            if self.winner is not None:
                return
        while self.winner is None and (running := self._running()):
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)

    async def stop(self) -> None:
        """End what is still under way."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def outcomes(self) -> tuple[Attempt, ...]:
        return tuple(self.attempts)

    def _running(self) -> list[asyncio.Task[None]]:
        return [task for task in self._tasks.values() if not task.done()]

    async def _attempt(self, index: int) -> None:
        address = self.attempts[index].address
        started_s = time.monotonic()
        sock: socket.socket | None = None
        outcome, error = Outcome.PENDING, None
        try:
            sock = socket.socket(address.family, socket.SOCK_STREAM)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, address.sockaddr)
            outcome = Outcome.CONNECTED
            if self.winner is None:
                self.winner, self.sock = address, sock
        except OSError as exc:
            outcome, error = Outcome.FAILED, errors.number_of(exc)
        finally:
            if sock is not None and sock is not self.sock:
                sock.close()
            self.attempts[index] = self.attempts[index]._replace(
                outcome=outcome,
                error=error,
                duration_s=time.monotonic() - started_s,
                routed=outcome is Outcome.CONNECTED or has_route(address),
            )


def has_route(address: Address) -> bool:
    """Whether this machine could send a packet there at all; asks the kernel, sends nothing."""
    try:
        with socket.socket(address.family, socket.SOCK_DGRAM) as sock:
            sock.connect(address.sockaddr)
    except PermissionError:
        return True  # a firewall's word, not the routing table's
    except OSError as exc:
        return errors.number_of(exc) not in _NO_ROUTE
    return True
