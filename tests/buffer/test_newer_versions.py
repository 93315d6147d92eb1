"""Buffer files of a version to come, beside ours or after a rollback: left as they are, in no way of ours."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from pathlib import Path

import pytest

from z4j_fastapi.buffer import EventBuffer, housekeeper

IDENTITY = "0123456789ab"
ALL = (1000, 10**6)


def of_a_newer_version(path: Path) -> str:
    """A database with events in tables that this version knows nothing of; what is in it."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    connection = sqlite3.connect(path)
    connection.executescript(
        "PRAGMA journal_mode=WAL; CREATE TABLE event (id INTEGER PRIMARY KEY, kind TEXT, body BLOB);"
        "INSERT INTO event (kind, body) VALUES ('task.sent', x'00'); PRAGMA user_version=2"
    )
    connection.close()
    return contents(path)


def contents(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if not path.name.startswith("journal"))


def test_it_is_passed_over_and_left_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = [tmp_path / IDENTITY / f"buffer-{n}.sqlite" for n in (0, 1, 3)]
    before = [of_a_newer_version(path) for path in paths]
    for _ in range(2):
        buffer = EventBuffer.open(tmp_path, IDENTITY)
        assert (buffer.slot, buffer.damaged_copy) == (2, None)
        assert buffer.append('{"n":0}')
        assert buffer.adopt() == 0
        buffer.forget(buffer.claim(*ALL))
        buffer.close()
    assert [contents(path) for path in paths] == before
    assert names(tmp_path / IDENTITY) == [*(f"buffer-{n}.sqlite" for n in range(4)), "slots.lock"]
    said = [record.getMessage() for record in caplog.records if record.name == "z4j.agent"]
    assert len(said) == len(paths)  # once each, however often it is looked
    assert all("newer version" in text for text in said)


def test_one_that_is_put_in_place_of_ours_stays_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeper, "HOUSEKEEPING_EVERY_S", 0.02)
    newer = tmp_path / "other" / "buffer-0.sqlite"
    before = of_a_newer_version(newer)
    buffer = EventBuffer.open(tmp_path, IDENTITY)
    told: list[str] = []
    buffer.on_trouble(lambda code, said: told.append(said))
    assert buffer.append('{"n":0}')
    os.replace(newer, tmp_path / IDENTITY / "buffer-0.sqlite")
    n = 1
    while not any("replaced" in said for said in told) or not buffer.append(f'{{"n":{n}}}'):
        buffer.append('{"n":-1}')
    assert contents(tmp_path / IDENTITY / "buffer-0.sqlite") == before
    batch = buffer.claim(10**6, 10**9)
    assert {'{"n":0}', '{"n":1}'} <= set(batch.payloads)
    buffer.close()
    assert contents(tmp_path / IDENTITY / "buffer-0.sqlite") == before


def test_what_a_later_version_adds_to_this_schema_is_nothing_to_us(tmp_path: Path) -> None:
    buffer = EventBuffer.open(tmp_path, IDENTITY)
    assert buffer.append('{"n":0}')
    buffer.close()
    connection = sqlite3.connect(tmp_path / IDENTITY / "buffer-0.sqlite")
    connection.executescript(
        "CREATE TABLE receipts (id INTEGER PRIMARY KEY); CREATE INDEX newest ON event (bytes_seen);"
        "ALTER TABLE ledger ADD COLUMN since TEXT; ANALYZE"
    )
    connection.close()
    again = EventBuffer.open(tmp_path, IDENTITY)
    assert (again.slot, again.damaged_copy) == (0, None)
    assert again.append('{"n":1}')
    assert again.claim(*ALL).payloads == ('{"n":0}', '{"n":1}')
    again.close()
