"""A real Redis of a test's own: on a port of its own, keeping nothing."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.programs import Program, program


@asynccontextmanager
async def running_redis(directory: Path) -> AsyncIterator[str]:
    """The URL of a Redis that runs until the block is left."""
    executable = program("redis-server")
    with socket.socket() as reservation:
        # Bound, never listening; Redis asks for SO_REUSEADDR as well, so it alone gets the port.
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(("127.0.0.1", 0))
        port: int = reservation.getsockname()[1]
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory)]
        server = await Program.start(directory / "redis.log", executable, *options)
        try:
            await server.until_it_accepts("127.0.0.1", port)
            yield f"redis://127.0.0.1:{port}"
        finally:
            await server.stop()
