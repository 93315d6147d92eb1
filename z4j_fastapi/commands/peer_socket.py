"""The Unix socket of one process, over which processes of the same user and state directory ask it things.

`<state>/peers/<pid>-<random>-<mark>.sock`: one question and one answer for each connection, a JSON object on
a line. Processes with the same mark have the same to offer (see `peers`).
It has its mode before it listens and its name after that: what can be found and does not listen has been left
behind by a process that was killed, and the next one to find it removes it. Only the same user is answered,
by SO_PEERCRED; a system without that (Windows, macOS) has none of this.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from z4j_fastapi.buffer import forks
from z4j_fastapi.log import log
from z4j_probes.errors import StorageError
from z4j_probes.portable import flags, user
from z4j_probes.storage import private_directory

DIRECTORY = "peers"
SUFFIX = ".sock"
MARK_LENGTH = 8
NAME = re.compile(
    rf"(?P<pid>[1-9][0-9]{{0,9}})-[0-9a-f]{{8}}-(?P<mark>[0-9a-f]{{{MARK_LENGTH}}}){re.escape(SUFFIX)}"
)
"""Of a socket. An older version's has no mark."""
MAX_PATH = 100
"""Bytes that a path may have: the address of a Unix socket has room for 108, on some systems for 104."""
MAX_BYTES = 16 * 1024 * 1024
"""Of a question or an answer: far above what a brain's frame may have."""
MAX_AT_ONCE = 64
QUESTION_S = 5.0
"""How long a question may take to arrive."""

_BUSY = {"refused": "command.no_worker_here", "error": "the process that could act on it is busy"}

Answer = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class PeerLost(Exception):
    """It took the question, and ended or broke before it answered."""


def is_supported() -> bool:
    """Whether processes of this system can know who asks."""
    return hasattr(socket, "AF_UNIX") and hasattr(socket, "SO_PEERCRED")


class PeerSocket:
    """Listens while it is entered; `answer` answers questions, in the loop in which it was entered.

    A forked child closes its copy, so that the socket ends with this process.
    """

    def __init__(self, state_directory: Path, answer: Answer, *, mark: str) -> None:
        self._state_directory = state_directory
        self._answer = answer
        self._listening: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self.path = state_directory / DIRECTORY / f"{os.getpid()}-{secrets.token_hex(4)}-{mark}{SUFFIX}"

    async def __aenter__(self) -> Self:
        """Listen; without a socket this process goes on, and others act for themselves."""
        if is_supported():
            try:
                await self._listen()
            except (OSError, StorageError) as exc:
                log.warning("other processes of this agent can't pass commands on to this one: %s", exc)
        return self

    async def __aexit__(self, *_: object) -> None:
        forks.unwatch(self)
        if self._server is not None:
            with contextlib.suppress(OSError):
                self.path.unlink()
            self._server.close()
            self._server = None
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0)  # what is closed is gone

    def hold(self, seconds: float) -> None:
        """This process forks: see `buffer.forks`. Nothing here is in the middle of anything."""

    def resume(self) -> None:
        """It has forked."""

    def disown(self) -> object:
        """In the child."""
        if self._listening is not None:
            os.close(self._listening.detach())
        return None

    def close(self, budget_s: float) -> bool:
        """The interpreter ends: what finds the socket then removes it."""
        return True

    async def _listen(self) -> None:
        directory = private_directory(self._state_directory, DIRECTORY)
        unnamed = f".{self.path.name}"
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _short(directory) as base:
                listening.bind(f"{base}/{unnamed}")
            os.chmod(directory / unnamed, 0o600)
            listening.setblocking(False)
            more: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
            self._server = await asyncio.start_unix_server(
                self._serve, sock=listening, limit=MAX_BYTES, **more
            )
            os.rename(directory / unnamed, self.path)
            self._listening = listening
            forks.watch(self)
        except BaseException:
            listening.close()
            with contextlib.suppress(OSError):
                (directory / unnamed).unlink()
            raise

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in one
        try:
            if not _is_own_user(writer):
                return
            async with asyncio.timeout(QUESTION_S):
                question = _read(await reader.readline())
            self._serving.add(task)
            is_busy = len(self._serving) > MAX_AT_ONCE
            writer.write(_line(_BUSY if is_busy else await self._answer(question)))
            await writer.drain()
        except (OSError, ValueError):  # it asks no longer, or what is no question
            pass
        finally:
            self._serving.discard(task)
            writer.close()


def found(state_directory: Path, *, without: Path) -> list[Path]:
    """The sockets of all processes of this state directory but that one."""
    try:
        names = sorted(os.listdir(state_directory / DIRECTORY))
    except OSError:
        return []
    # one that has no name yet may not listen yet
    names = [name for name in names if name.endswith(SUFFIX) and not name.startswith(".")]
    paths = [state_directory / DIRECTORY / name for name in names]
    return [path for path in paths if path != without]


async def ask(path: Path, question: Mapping[str, Any], within_s: float) -> Mapping[str, Any] | None:
    """What the process there answers; None where it can't be asked: nothing was done.

    PeerLost where it was asked and has not answered, TimeoutError where it is still silent after `within_s`.
    """
    async with asyncio.timeout(within_s):
        try:
            with _short(path.parent) as base:
                reader, writer = await asyncio.open_unix_connection(f"{base}/{path.name}", limit=MAX_BYTES)
        except ConnectionRefusedError:
            with contextlib.suppress(OSError):
                os.unlink(path)
            return None
        except OSError:
            return None
        try:
            if not _is_own_user(writer):
                return None
            writer.write(_line(question))
            await writer.drain()
            return _read(await reader.readline())
        except (OSError, ValueError) as exc:
            raise PeerLost(type(exc).__name__) from exc
        finally:
            writer.close()


def _is_own_user(writer: asyncio.StreamWriter) -> bool:
    connection = writer.get_extra_info("socket")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    return bool(uid == user.uid())


def _line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _read(line: bytes) -> Mapping[str, Any]:
    try:
        message = json.loads(line)
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(message, dict):
        raise ValueError("not an object")  # noqa: TRY004 - what else is no JSON raises it as well
    return message


@contextlib.contextmanager
def _short(directory: Path) -> Iterator[str]:
    """A path of `directory` that leaves room for a name, as long as the block lasts; OSError without one."""
    if len(os.fsencode(directory)) + 1 + len(f".{2**22}-{8 * 'f'}-{MARK_LENGTH * 'f'}{SUFFIX}") < MAX_PATH:
        yield str(directory)
        return
    descriptor = os.open(directory, flags.READ | flags.DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
