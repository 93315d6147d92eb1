"""Programs of the operating system that tests break things with: found, started, awaited, ended."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import pytest

START_BUDGET_S = 60.0
_POLL_S = 0.01


def unavailable(reason: str) -> NoReturn:
    """Skip with the reason; fail where CI promises that everything is there."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason} (CI is set: nothing may be left out)")
    pytest.skip(reason)


def program(name: str) -> str:
    """The program's path, wherever administrators' programs are."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    return found or unavailable(f"{name} is not installed: run `make apt` as root")


def free_port(host: str = "127.0.0.1") -> int:
    """A port that was free a moment ago, for programs that can't be handed a socket."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.bind((host, 0))
        port: int = sock.getsockname()[1]
        return port


async def accepts(host: str, port: int) -> bool:
    """Whether something listens there."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


class Program:
    """A program that runs until `stop`; what it says goes to a file that a failed start quotes."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self.log = log

    @classmethod
    async def start(cls, log: Path, *command: str, environ: Mapping[str, str] | None = None) -> Program:
        """Start it; it ends with its own process alone, so it has to stay in the foreground."""
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(os.environ if environ is None else environ),
            )
        return cls(process, log)

    async def until_it_accepts(self, host: str, port: int) -> None:
        """Return once its port is open."""
        async with asyncio.timeout(START_BUDGET_S):
            while not await accepts(host, port):
                await self.pause()

    async def pause(self) -> None:
        """Between two looks at a program that is starting; fails once it has ended instead."""
        if self.process.returncode is not None:
            raise AssertionError(f"it ended while it started: {self.log.read_text(errors='replace')[-2000:]}")
        await asyncio.sleep(_POLL_S)

    async def stop(self) -> None:
        """End it."""
        if self.process.returncode is None:
            self.process.terminate()
        try:
            async with asyncio.timeout(START_BUDGET_S):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
