"""`aside`: the events that no brain took, and what becomes of them: list, retry, delete."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn, TypeVar

from z4j_fastapi.buffer import EventBuffer
from z4j_fastapi.buffer.aside import AsideEvent, SetAside
from z4j_fastapi.cli.output import emit, note, usage_error
from z4j_probes import Settings, StorageError
from z4j_probes.storage import choose, identity

T = TypeVar("T")

# What tells one event from another on a line, without the arguments of a user's task.
_SHOWN = ("kind", "engine", "task_id")
_TASK_ID_MAX = 40


def list_events(*, env_file: str | None, as_json: bool) -> int:
    """Print them, oldest first, without their data; the exit status."""
    _, _, found = _open(env_file)
    events = _or_fail(found.list)
    if as_json:
        emit("".join(json.dumps(_shown(event)) + "\n" for event in events))
        return 0
    if not events:
        note("No events are set aside.")
        return 0
    emit("".join(_line(_shown(event)) for event in events))
    return 0


def retry(ids: Iterable[int], *, env_file: str | None) -> int:
    """Put them into a buffer file of their own, which a running agent takes over; the exit status.

    They leave the file only when they are in the buffer, so a crash in between sends one twice, and the brain
    drops what it knows.
    """
    directory, name, found = _open(env_file)
    chosen = _chosen(found, ids)
    if not chosen:
        note("No events are set aside.")
        return 0
    buffer = _or_fail(lambda: EventBuffer.open(directory, name))
    moved = [event.id for event in chosen if buffer.append(event.json)]
    if not buffer.close():
        _fail("the disk does not answer: the events stay where they are")
    _or_fail(lambda: found.delete(moved))
    note(f"{_count(len(moved))} buffered again. A running agent sends them within a minute.")
    if len(moved) < len(chosen):
        _fail(f"{_count(len(chosen) - len(moved))} could not be buffered, and stay set aside")
    return 0


def delete(ids: Iterable[int], *, env_file: str | None) -> int:
    """Delete them for good; the exit status."""
    _, _, found = _open(env_file)
    chosen = _chosen(found, ids)
    _or_fail(lambda: found.delete([event.id for event in chosen]))
    note(f"{_count(len(chosen))} deleted.")
    return 0


def _open(env_file: str | None) -> tuple[Path, str, SetAside]:
    settings = Settings.load(env_file=env_file)
    if not settings.brain_url:
        usage_error("Z4J_BRAIN_URL is not set: the buffer of which service? Add --env-file FILE")
    name = identity(settings.brain_url, settings.project_id, settings.agent_name)
    directory = _or_fail(lambda: choose(settings.home, settings.environ)).path
    return directory, name, SetAside(directory / name)


def _chosen(found: SetAside, ids: Iterable[int]) -> list[AsideEvent]:
    """Those with the ids, or all of them where there are no ids."""
    events, wanted = _or_fail(found.list), set(ids)
    unknown = wanted - {event.id for event in events}
    if unknown:
        named = f"id{'s' if len(unknown) > 1 else ''} {', '.join(map(str, sorted(unknown)))}"
        usage_error(f"no event is set aside with the {named}")
    return [event for event in events if not wanted or event.id in wanted]


def _shown(event: AsideEvent) -> dict[str, object]:
    parsed = json.loads(event.json)
    when = event.set_aside_at.isoformat(timespec="seconds")
    named = {field: parsed.get(field) for field in _SHOWN}
    return {
        "id": event.id,
        "set_aside_at": when,
        "code": event.code,
        "bytes": len(event.json.encode()),
    } | named


def _line(shown: dict[str, object]) -> str:
    task = ascii(shown["task_id"])[1:-1]
    task = task if len(task) <= _TASK_ID_MAX else f"{task[:_TASK_ID_MAX]}…"
    size = f"{shown['bytes']:,} bytes"
    return f"{shown['id']:>6}  {shown['set_aside_at']}  {shown['kind']} {shown['engine']} {task}  {size}\n"


def _count(events: int) -> str:
    return "1 event" if events == 1 else f"{events:,} events"


def _or_fail(act: Callable[[], T]) -> T:
    try:
        return act()
    except StorageError as exc:
        _fail(f"{exc.code}: {exc}")


def _fail(reason: str) -> NoReturn:
    note(f"error: {reason}")
    raise SystemExit(1)
