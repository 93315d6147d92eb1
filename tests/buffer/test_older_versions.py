"""Buffer files of version 0.1, recorded: they open, deliver, are adopted; and it could read ours.

Each had five events, `{"n":0}` to `{"n":4}`. `closed` was closed in order; `killed` had delivered the first
two when its process was killed, so that all it says stands in its write-ahead log.
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from z4j_fastapi.buffer import EventBuffer

RECORDED = Path(__file__).parent / "recorded"
IDENTITY = "0123456789ab"
ALL = (1000, 10**6)
LEFT = {"closed": [0, 1, 2, 3, 4], "killed": [2, 3, 4]}


def place(name: str, directory: Path, slot: int) -> None:
    (directory / IDENTITY).mkdir(mode=0o700)
    for end in ("", "-wal"):
        source = RECORDED / f"{name}-0.1.sqlite{end}"
        if source.exists():
            shutil.copy(source, directory / IDENTITY / f"buffer-{slot}.sqlite{end}")


def events(*numbers: int) -> tuple[str, ...]:
    return tuple(f'{{"n":{n}}}' for n in numbers)


@pytest.mark.parametrize("name", LEFT)
def test_its_file_opens_delivers_and_goes_on(tmp_path: Path, name: str) -> None:
    place(name, tmp_path, 0)
    buffer = EventBuffer.open(tmp_path, IDENTITY)
    assert (buffer.slot, buffer.depth, buffer.dropped) == (0, len(LEFT[name]), 0)
    assert buffer.append('{"n":5}')
    batch = buffer.claim(*ALL)
    assert batch.payloads == events(*LEFT[name], 5)
    buffer.forget(batch)
    assert (buffer.depth, buffer.bytes, buffer.damaged_copy) == (0, 0, None)
    buffer.close()


@pytest.mark.parametrize("name", LEFT)
def test_its_file_is_adopted(tmp_path: Path, name: str) -> None:
    place(name, tmp_path, 1)
    buffer = EventBuffer.open(tmp_path, IDENTITY)
    assert buffer.adopt() == len(LEFT[name])
    assert buffer.claim(*ALL).payloads == events(*LEFT[name])
    buffer.close()


def test_after_an_orderly_end_it_could_go_on_with_ours(tmp_path: Path) -> None:
    """All events in the database, no journal left, and what it reads and writes where it looks for it."""
    buffer = EventBuffer.open(tmp_path, IDENTITY)
    for event in events(0, 1, 2):
        assert buffer.append(event)
    buffer.forget(buffer.claim(1, 1000))
    buffer.close()
    assert sorted(path.name for path in (tmp_path / IDENTITY).iterdir()) == ["buffer-0.sqlite", "slots.lock"]
    file = sqlite3.connect(tmp_path / IDENTITY / "buffer-0.sqlite")
    assert file.execute("PRAGMA user_version").fetchone() == (1,)
    assert file.execute("SELECT json FROM event ORDER BY id").fetchall() == [(e,) for e in events(1, 2)]
    seen, seen_bytes = file.execute(
        "SELECT events_seen, bytes_seen FROM event ORDER BY id DESC LIMIT 1"
    ).fetchone()
    gone, gone_bytes = file.execute("SELECT events_gone, bytes_gone FROM ledger").fetchone()
    assert (seen - gone, seen_bytes - gone_bytes) == (2, 14)
    # as it appends: a row with four values
    file.execute("INSERT INTO event VALUES (100, ?, ?, ?)", (seen + 1, seen_bytes + 7, events(3)[0]))
    file.commit()
    file.close()
    again = EventBuffer.open(tmp_path, IDENTITY)
    assert again.claim(*ALL).payloads == events(1, 2, 3)
    again.close()
