"""One climb: what the rungs leave for each other, and everything that has to be released afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Self, TypeVar, overload

from z4j_probes.endpoint import Endpoint
from z4j_probes.proxy import Proxy
from z4j_probes.settings import Settings

if TYPE_CHECKING:
    from websockets.asyncio.connection import Connection

    from z4j_probes.address import Address
    from z4j_probes.address_origin import Origin
    from z4j_probes.protocol import FrameSigner, FrameVerifier, Hello, HelloAck
    from z4j_probes.result import ProbeResult
    from z4j_probes.storage import StateDirectory
    from z4j_probes.transport import HoldingProtocol

T = TypeVar("T")

# Closing is courtesy: the brain gets this long to answer our close frame before the socket is cut.
CLOSE_S = 1.0

_deadline: ContextVar[float] = ContextVar("z4j_rung_deadline")


class Product(Generic[T]):
    """A typed attribute of a climb that one rung sets and the rungs above it read.

    Reading it before it was left is a LookupError: a probe that lacks the need in its row.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, climb: None, owner: type) -> Self: ...
    @overload
    def __get__(self, climb: Climb, owner: type) -> T: ...
    def __get__(self, climb: Climb | None, owner: type) -> Self | T:
        if climb is None:
            return self
        try:
            value: T = climb.__dict__[f"_{self._name}"]
        except KeyError:
            raise LookupError(f"no probe has left {self._name!r}") from None
        return value

    def __set__(self, climb: Climb, value: T) -> None:
        climb.__dict__[f"_{self._name}"] = value


class LiveSession(NamedTuple):
    """What the top of the ladder holds: an open, proven session. Its owner closes `websocket`.

    `pending` are the genuine frames, commands for instance, that arrived while the session was being
    proven; `verifier` has counted them already.
    """

    websocket: Connection
    hello: Hello
    ack: HelloAck
    signer: FrameSigner
    verifier: FrameVerifier
    pending: tuple[dict[str, Any], ...] = ()


class Climb:
    """The state of one climb, released on exit unless `detach` handed the session over.

    `make_hello` makes the hello that `auth` sends.
    """

    endpoint: Product[Endpoint] = Product()  # config
    hmac_secret: Product[bytes | None] = Product()  # config
    proxy: Product[Proxy | None] = Product()  # config
    directory: Product[StateDirectory] = Product()  # buffer
    addresses: Product[tuple[Address, ...]] = Product()  # dns
    resolved: Product[str] = Product()  # dns: which host the addresses are of
    trace_origin: Product[Callable[[float], Awaitable[Origin | None]]] = Product()  # dns
    origin: Product[Origin] = Product()  # dns, or after a failure: which source made them, if not the DNS
    peer: Product[Address] = Product()  # tcp: which of the addresses it was
    transport: Product[asyncio.Transport] = Product()  # tcp, then tls
    protocol: Product[HoldingProtocol] = Product()  # tcp
    websocket: Product[Connection] = Product()  # websocket
    hello: Product[Hello] = Product()  # auth
    ack: Product[HelloAck] = Product()  # auth
    clock_offset_s: Product[float] = Product()  # auth: the brain's clock less ours
    signer: Product[FrameSigner] = Product()  # signing
    verifier: Product[FrameVerifier] = Product()  # signing
    pending: Product[tuple[dict[str, Any], ...]] = Product()  # signing

    def __init__(self, settings: Settings, make_hello: Callable[[Climb], Awaitable[Hello]]) -> None:
        self.settings = settings
        self.make_hello = make_hello
        self.started_at = datetime.now(UTC)
        self.started_s = time.monotonic()
        self._stack = AsyncExitStack()
        self.results: dict[str, ProbeResult] = {}
        """Of the probes that have ended, whether or not anyone has taken them yet."""
        self._ready: dict[str, asyncio.Event] = {}
        self.opened: asyncio.Event | None = None
        """Where an agent opens its buffer meanwhile: set once `directory` is there if it will be."""

    def ready(self, name: str) -> asyncio.Event:
        """Set by the probe of that name, before its end, once it has left what those `after` it wait for."""
        return self._ready.setdefault(name, asyncio.Event())

    def has(self, product: str) -> bool:
        """Whether a rung has left that product."""
        return f"_{product}" in self.__dict__

    def time_left(self) -> float:
        """Seconds that the calling rung may still take; never negative."""
        return max(0.0, _deadline.get() - time.monotonic())

    def on_release(self, callback: Callable[..., Any], *args: Any) -> None:
        """Call this when the climb ends without `detach`; last registered, first called."""
        self._stack.callback(callback, *args)

    def on_release_async(self, callback: Callable[[], Awaitable[Any]]) -> None:
        """The same for a coroutine function, bounded by CLOSE_S."""

        async def bounded() -> None:
            try:
                async with asyncio.timeout(CLOSE_S):
                    await callback()
            except TimeoutError:
                pass  # the transport below is cut next

        self._stack.push_async_callback(bounded)

    def detach(self) -> LiveSession:
        """Hand the session over: the caller owns it from here, and this climb closes nothing."""
        session = LiveSession(self.websocket, self.hello, self.ack, self.signer, self.verifier, self.pending)
        self._stack.pop_all()
        return session

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        await asyncio.sleep(0)  # asyncio closes a socket in the next turn of its loop: released is closed


def set_deadline(deadline_s: float) -> None:
    """For the ladder only: when the rung that runs in this task has to have ended (monotonic clock)."""
    _deadline.set(deadline_s)
