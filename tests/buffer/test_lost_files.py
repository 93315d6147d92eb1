"""Files that are deleted, exchanged or written over under a running buffer, and counters that stay true."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from z4j_fastapi.buffer import EventBuffer, housekeeper


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look after the disk without much ado."""
    monkeypatch.setattr(housekeeper, "HOUSEKEEPING_EVERY_S", 0.02)


def until(condition: Callable[[], object], buffer: EventBuffer) -> None:
    deadline_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline_s
        buffer.append('"more"')
        time.sleep(0.01)


def moved(buffer: EventBuffer, events: int) -> None:
    """`events` events that are in the database, not in the journal only."""
    for n in range(events):
        assert buffer.append(str(n))
    until(lambda: buffer._store._log_depth >= events, buffer)


@pytest.mark.parametrize("how", ["rm", "mv", "cp"])
def test_no_file_that_is_exchanged_costs_events_without_a_word(how: str, tmp_path: Path) -> None:
    other = EventBuffer.open(tmp_path, "def")
    other.append('"other"')
    other.close()
    buffer = EventBuffer.open(tmp_path, "abc")
    told: list[str] = []
    buffer.on_trouble(lambda code, said: told.append(f"{code} {said}"))
    moved(buffer, 300)
    path = tmp_path / "abc" / "buffer-0.sqlite"
    if how == "rm":
        path.unlink()
    elif how == "mv":
        os.rename(tmp_path / "def" / "buffer-0.sqlite", path)
    else:
        shutil.copyfile(tmp_path / "def" / "buffer-0.sqlite", path)
    until(lambda: told, buffer)
    until(lambda: buffer.append('"more"'), buffer)
    appended = [text for text in buffer.claim(10**6, 10**9).payloads if text.isdigit()]
    assert len(appended) + buffer.dropped >= 300, (len(appended), buffer.dropped)
    assert how == "cp" or appended == [str(n) for n in range(300)]
    if how == "mv":
        until(lambda: buffer.adopt() or '"other"' in buffer.claim(10**6, 10**9).payloads, buffer)
    dropped = buffer.dropped
    buffer.close()
    again = EventBuffer.open(tmp_path, "abc")
    assert again.dropped == dropped
    again.close()


def test_the_depth_after_the_newest_events_left_first_is_what_is_in_the_file(tmp_path: Path) -> None:
    buffer = EventBuffer.open(tmp_path, "abc")
    moved(buffer, 10)
    buffer.claim(5, 100)
    newer = buffer.claim(10**6, 10**6)
    buffer.forget(newer)
    assert buffer.depth == 5
    buffer.close()
    again = EventBuffer.open(tmp_path, "abc")
    assert (again.depth, again.bytes) == (5, 5)
    assert again.append("5")
    assert (again.depth, len(again.claim(100, 1000))) == (6, 6)
    again.close()


def test_wrong_counters_of_the_version_before_are_corrected(tmp_path: Path) -> None:
    buffer = EventBuffer.open(tmp_path, "abc")
    for n in range(10):
        buffer.append(str(n))
    buffer.close()
    with sqlite3.connect(tmp_path / "abc" / "buffer-0.sqlite") as connection:
        connection.execute("DELETE FROM event WHERE id > 5")
        connection.execute("UPDATE ledger SET events_gone = events_gone + 10, bytes_gone = bytes_gone + 10")
    connection.close()
    again = EventBuffer.open(tmp_path, "abc")
    assert (again.depth, again.bytes, len(again.claim(100, 1000))) == (5, 5, 5)
    again.close()
