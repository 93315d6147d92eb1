"""The holding protocol: what a peer says is kept, within bounds, until it is taken."""

from __future__ import annotations

import asyncio

from z4j_probes.transport import HELD_MAX_BYTES, HoldingProtocol


async def test_a_flood_is_held_back_and_flows_again_as_it_is_taken() -> None:
    size = HELD_MAX_BYTES * 20

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(size))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(flood, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        transport, holding = await loop.create_connection(HoldingProtocol, "127.0.0.1", port)
        taken, most = 0, 0
        async with asyncio.timeout(10):
            while taken < size:
                await holding.changed()
                if holding.eof or not transport.is_reading():
                    most = max(most, len(holding.received))
                    taken += len(holding.take())
        transport.abort()
    assert HELD_MAX_BYTES < most < HELD_MAX_BYTES * 8
    assert taken == size
