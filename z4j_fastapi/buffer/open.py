"""Opening the buffer that an agent's settings name, or one in memory where no directory can be used."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import TypedDict

from z4j_fastapi.buffer.event_buffer import EventBuffer
from z4j_fastapi.log import log
from z4j_probes import Settings, StorageError
from z4j_probes.storage import StateDirectory, choose, identity, is_private, relocated
from z4j_probes.threads import in_daemon_thread

_UNEXPECTED = {"z4j_code": "buffer.unexpected"}


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
        log.error(f"{exc.code}: %s; events are kept only in memory", exc, extra={"z4j_code": exc.code})
    except RuntimeError as exc:  # no more threads
        log.error("buffer.unexpected: %s; events are kept only in memory", exc, extra=_UNEXPECTED)
    except TimeoutError:
        given_up.set()
        log.error(
            "buffer.timeout: no answer from the state directory within %.1f s; events are only in memory",
            budget_s,
            extra={"z4j_code": "buffer.timeout"},
        )
    except Exception as exc:
        said = f"{type(exc).__name__}: {exc}"
        log.error("buffer.unexpected: %s; events are kept only in memory", said, extra=_UNEXPECTED)
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
        log.warning(
            "buffer.relocated: %s can't be used (%s); events are buffered in %s",
            directory.requested or "the home directory",
            directory.reason,
            directory.path,
            extra={"z4j_code": "buffer.relocated"},
        )
    if buffer.damaged_copy:
        log.warning(
            "buffer.corrupt: a damaged buffer file was set aside as %s",
            buffer.damaged_copy,
            extra={"z4j_code": "buffer.corrupt"},
        )
    if given_up.is_set():  # nobody waits any more: the slot is for another process
        buffer.close()
    return OpenedBuffer(buffer, directory, name)
