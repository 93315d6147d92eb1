"""A relay before a brain whose path drops, resets, black-holes, delays, half-closes and hangs."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

_UPGRADED = b"101 Switching Protocols"


@dataclass
class RoughRelay:
    """While `is_rough`, each connection ends, soon, in one of the ways; `met` counts them."""

    url: str
    random: random.Random
    longest_s: float
    is_rough: bool = True
    met: Counter[str] = field(default_factory=Counter)


WAYS = ("drop", "reset", "black hole", "delay", "half-close", "hang after the upgrade")


@asynccontextmanager
async def rough_relay(port: int, *, seed: int, longest_s: float = 2.0) -> AsyncIterator[RoughRelay]:
    """A relay to a port of this machine; no connection lasts longer than `longest_s` while it is rough."""
    connections = set[asyncio.StreamWriter]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        way = relay.random.choice(WAYS) if relay.is_rough else "none"
        relay.met[way] += 1
        try:
            upstream = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        connections.update((writer, upstream[1]))
        try:
            await _carry(relay, way, (reader, writer), upstream)
        except asyncio.CancelledError:
            pass  # the loop ends; Python 3.11 would show it as an error of the server's
        finally:
            for one in (writer, upstream[1]):
                connections.discard(one)
                one.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    relay = RoughRelay(
        f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", random.Random(seed), longest_s
    )
    async with server:
        yield relay
        for connection in list(connections):
            connection.transport.abort()


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _carry(relay: RoughRelay, way: str, agent: Streams, brain: Streams) -> None:
    swallows = asyncio.Event()
    delay_s = 0.05 if way == "delay" else 0.0

    def on_upgrade() -> None:
        if way == "hang after the upgrade":
            swallows.set()

    flows = [
        asyncio.create_task(_forward(agent[0], brain[1], swallows, delay_s, lambda: None)),
        asyncio.create_task(_forward(brain[0], agent[1], swallows, delay_s, on_upgrade)),
    ]
    lasts_s = None if way == "none" else relay.random.uniform(0.0, relay.longest_s)
    try:
        await asyncio.wait(flows, timeout=lasts_s, return_when=asyncio.FIRST_COMPLETED)
        await _WAYS.get(way, _drop)(agent, swallows, relay.longest_s)
    finally:
        for flow in flows:
            flow.cancel()
        await asyncio.wait(flows)


async def _forward(
    source: asyncio.StreamReader,
    sink: asyncio.StreamWriter,
    swallows: asyncio.Event,
    delay_s: float,
    on_upgrade: Callable[[], None],
) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            await asyncio.sleep(delay_s)
            if not swallows.is_set():
                sink.write(data)
                await sink.drain()
            if _UPGRADED in data:
                on_upgrade()


async def _drop(agent: Streams, swallows: asyncio.Event, longest_s: float) -> None:
    agent[1].close()


async def _reset(agent: Streams, swallows: asyncio.Event, longest_s: float) -> None:
    connection: Any = agent[1].get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    agent[1].transport.abort()


async def _black_hole(agent: Streams, swallows: asyncio.Event, longest_s: float) -> None:
    swallows.set()
    await asyncio.sleep(longest_s)


async def _half_close(agent: Streams, swallows: asyncio.Event, longest_s: float) -> None:
    with suppress(OSError):
        agent[1].write_eof()
    await asyncio.sleep(longest_s)


_WAYS: dict[str, Callable[[Streams, asyncio.Event, float], Coroutine[None, None, None]]] = {
    "reset": _reset,
    "black hole": _black_hole,
    "half-close": _half_close,
    "hang after the upgrade": _black_hole,
}
