"""An application with an agent under a uvicorn of its own process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

APP = """
from contextlib import asynccontextmanager

from z4j_fastapi import Z4JAgent


@asynccontextmanager
async def lifespan(app):
    async with Z4JAgent() as agent:
        app["agent"] = agent
        yield


state = {}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        async with lifespan(state):
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    state["agent"].emit("task.sent", task_id=scope["path"])
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})
"""


class Uvicorn:
    """`uvicorn app:app` in a directory of its own, with an agent of these settings."""

    def __init__(self, settings: Mapping[str, str], directory: Path, *arguments: str) -> None:
        (directory / "app.py").write_text(APP)
        self._environment = os.environ | dict(settings) | {"Z4J_HOME": str(directory / "z4j")}
        self._directory = directory
        self._arguments = ["--port", "0", "--log-level", "info", *arguments]

    async def __aenter__(self) -> asyncio.subprocess.Process:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "uvicorn",
            "app:app",
            *self._arguments,
            cwd=self._directory,
            env=self._environment,
            stderr=asyncio.subprocess.DEVNULL,
        )
        return self.process

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(self.process.wait(), 20)
