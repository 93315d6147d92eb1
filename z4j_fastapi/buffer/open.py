"""Opening the buffer that an agent's settings name, or one in memory where no directory can be used."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import dataclass
from typing import TypedDict

from z4j_fastapi.buffer.event_buffer import EventBuffer
from z4j_fastapi.log import log
from z4j_probes import Settings, StorageError
from z4j_probes.storage import StateDirectory, choose, identity, is_private, relocated
from z4j_probes.threads import in_daemon_thread


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


async def open_buffer(settings: Settings, budget_s: float, bounds: Bounds) -> OpenedBuffer:
    """Open it within the budget: a dead network mount costs the disk, not the start."""
    name = identity(settings.brain_url or "", settings.project_id, settings.agent_name)
    given_up = threading.Event()
    try:
        async with asyncio.timeout(budget_s):
            return await in_daemon_thread(lambda: _open(settings, name, bounds, given_up))
    except StorageError as exc:
        _only_in_memory(exc.code, str(exc))
    except RuntimeError as exc:  # no more threads
        _only_in_memory("buffer.unexpected", str(exc))
    except TimeoutError:
        given_up.set()
        _only_in_memory("buffer.timeout", f"no answer from the state directory within {budget_s:.1f} s")
    except Exception as exc:
        _only_in_memory("buffer.unexpected", f"{type(exc).__name__}: {exc}")
    environ, home = settings.environ, settings.home
    buffer = EventBuffer.open(None, name, find_directory=lambda: choose(home, environ).path, **bounds)
    return OpenedBuffer(buffer, None, name)


def _open(settings: Settings, name: str, bounds: Bounds, given_up: threading.Event) -> OpenedBuffer:
    directory = choose(settings.home, settings.environ)
    buffer = EventBuffer.open(directory.path, name, **bounds)
    # made by an earlier start that could not use this directory, or by one that still can't
    places = [place / name for place in relocated(settings.environ) if place != directory.path]
    buffer.adopt_also(*(place for place in places if is_private(place)))
    if directory.relocated:
        asked_for = directory.requested or "the home directory"
        _warn(
            "buffer.relocated",
            f"{asked_for} can't be used ({directory.reason})",
            f"Events are buffered in {directory.path}.",
        )
    if buffer.damaged_copy:
        _warn("buffer.corrupt", f"a damaged buffer file was set aside as {buffer.damaged_copy}")
    if given_up.is_set():  # nobody waits any more: the slot is for another process
        buffer.close()
    return OpenedBuffer(buffer, directory, name)


def _only_in_memory(code: str, cause: str) -> None:
    ending = "Events are kept only in memory."
    log.fault(logging.ERROR, code, cause, ending=ending, extra={"z4j_code": code})


def _warn(code: str, cause: str, ending: str = "") -> None:
    log.fault(logging.WARNING, code, cause, ending=ending, extra={"z4j_code": code})
