"""Opening the buffer that an agent's settings name, or one in memory where no directory can be used."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from z4j_fastapi.buffer.event_buffer import EventBuffer
from z4j_fastapi.log import log
from z4j_probes import Settings, StorageError
from z4j_probes.portable.thread_clock import own_clock
from z4j_probes.storage import StateDirectory, choose, identity, is_private, relocated
from z4j_probes.threads import in_daemon_thread

# Where many processes start at once, each gets its turn late. A slot is worth the wait.
LONGEST_S = 30.0
# When it is seen for the first time, and how often then, whether the opening gets on.
_FIRST_LOOK_S, _LOOK_S = 0.05, 0.25


class Bounds(TypedDict, total=False):
    """How much a buffer may hold; what is left out is `EventBuffer.open`'s default."""

    max_events: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class OpenedBuffer:
    """A buffer, the state directory that it is in (None: memory), and the identity that it belongs to."""

    buffer: EventBuffer
    directory: StateDirectory | None
    identity: str


async def open_buffer(
    settings: Settings, budget_s: float, bounds: Bounds, is_wanted: Callable[[], bool] = lambda: True
) -> OpenedBuffer:
    """Open it within the budget: a dead network mount costs the disk, not the start.

    Beyond the budget, up to LONGEST_S, only while the opening gets on, on a machine that is busy, and while
    it `is_wanted`.
    """
    name = identity(settings.brain_url or "", settings.project_id, settings.agent_name)
    opening = _Opening(settings, name, bounds)
    began_s = time.monotonic()
    try:
        return await opening.result(budget_s, is_wanted)
    except StorageError as exc:
        _only_in_memory(exc.code, str(exc))
    except RuntimeError as exc:  # no more threads
        _only_in_memory("buffer.unexpected", str(exc))
    except TimeoutError:
        waited_s = time.monotonic() - began_s
        _only_in_memory("buffer.timeout", f"no answer from the state directory within {waited_s:.1f} s")
    except Exception as exc:  # a fault of ours, or of this SQLite: a host starts all the same
        _only_in_memory("buffer.unexpected", f"{type(exc).__name__}: {exc}")
    environ, home = settings.environ, settings.home
    buffer = EventBuffer.open(None, name, find_directory=lambda: choose(home, environ).path, **bounds)
    return OpenedBuffer(buffer, None, name)


class _Opening:
    """A buffer that is being opened, in a thread that a disk may keep for good."""

    def __init__(self, settings: Settings, name: str, bounds: Bounds) -> None:
        self._settings = settings
        self._name = name
        self._bounds = bounds
        self._given_up = threading.Event()
        self._clock: Callable[[], float] | None = None
        self._cpu_s = 0.0

    async def result(self, budget_s: float, is_wanted: Callable[[], bool]) -> OpenedBuffer:
        """The buffer. Raises what opening it raises, and TimeoutError."""
        task = asyncio.create_task(in_daemon_thread(self._run), name="z4j open")
        began_s = moved_s = time.monotonic()
        try:
            await asyncio.wait({task}, timeout=_FIRST_LOOK_S)
            while not task.done():
                now_s = time.monotonic()
                if self._has_moved():
                    moved_s = now_s
                if now_s - moved_s > budget_s or now_s - began_s > max(budget_s, LONGEST_S):
                    raise TimeoutError
                if now_s - began_s > budget_s and not is_wanted():
                    raise TimeoutError
                await asyncio.wait({task}, timeout=min(_LOOK_S, budget_s))
            return task.result()
        finally:
            if not task.done():
                self._given_up.set()
                task.cancel()

    def _has_moved(self) -> bool:
        """Whether the thread has had the processor since the last look: no disk keeps it then."""
        before_s = self._cpu_s
        if self._clock is not None:
            try:
                self._cpu_s = self._clock()
            except OSError:  # it has just ended
                return True
        return self._cpu_s > before_s

    def _run(self) -> OpenedBuffer:
        self._clock = own_clock()
        return _open(self._settings, self._name, self._bounds, self._given_up)


def _open(settings: Settings, name: str, bounds: Bounds, given_up: threading.Event) -> OpenedBuffer:
    directory = choose(settings.home, settings.environ)
    buffer = EventBuffer.open(directory.path, name, **bounds)
    environ, own = settings.environ, directory.path

    def elsewhere() -> list[Path]:
        """Made by an earlier start that could not use this directory, or by one that still can't."""
        places = [place / name for place in relocated(environ) if place != own]
        return [place for place in places if is_private(place)]

    buffer.adopt_also(elsewhere)
    if directory.relocated:
        asked_for = directory.requested or "the home directory"
        _warn(
            "buffer.relocated",
            f"{asked_for} can't be used ({directory.reason})",
            f"Events are buffered in {directory.path}.",
        )
    if buffer.damaged_copy:
        _warn("buffer.corrupt", f"a damaged buffer file was set aside as {buffer.damaged_copy}")
    if given_up.is_set():  # no one waits any more: the slot is for another process
        buffer.close()
    return OpenedBuffer(buffer, directory, name)


def _only_in_memory(code: str, cause: str) -> None:
    ending = "Events are kept only in memory."
    log.fault(logging.ERROR, code, cause, ending=ending, extra={"z4j_code": code})


def _warn(code: str, cause: str, ending: str = "") -> None:
    log.fault(logging.WARNING, code, cause, ending=ending, extra={"z4j_code": code})
