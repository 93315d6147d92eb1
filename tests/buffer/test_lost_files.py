"""Files that are deleted, exchanged or written over under a running buffer, and counters that stay true."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from z4j_fastapi.buffer import EventBuffer, event_log, housekeeper, intake, recovery, slots
from z4j_fastapi.buffer.database import Database
from z4j_fastapi.buffer.disk_fault import DiskFault
from z4j_fastapi.buffer.event_log import EventLog, Pack, Row
from z4j_fastapi.buffer.store_locks import StoreLocks
from z4j_fastapi.buffer.tail import Entry, Tail
from z4j_probes import StorageError


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
    until(lambda: buffer._store.database.depth >= events, buffer)


def copied_whole(source: Path, target: Path) -> bool:
    """False where a part of the journal has moved to the database meanwhile."""
    shutil.rmtree(target, ignore_errors=True)
    try:
        shutil.copytree(source, target)
    except shutil.Error:
        return False
    return True


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


@pytest.mark.parametrize(("left", "in_memory"), [(50, 100), (150, 100)])
def test_what_an_earlier_process_left_is_delivered_by_one_that_had_no_disk_at_first(
    left: int, in_memory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "FIND_SLOT_EVERY_S", 0.02)
    earlier = EventBuffer.open(tmp_path, "abc")
    for n in range(left):
        earlier.append(f'"left {n}"')
    earlier.close()
    is_away = True

    def find() -> Path:
        if is_away:
            raise StorageError("buffer.timeout", "no answer")
        return tmp_path

    buffer = EventBuffer.open(None, "abc", find_directory=find)
    for n in range(in_memory):
        buffer.append(str(n))
    arrived = buffer.claim(60, 10**6)
    buffer.forget(arrived)
    is_away = False
    until(lambda: buffer.directory and not buffer.fault, buffer)
    assert buffer.adopt() == left
    until(lambda: not buffer.fault, buffer)
    payloads = [*arrived.payloads]
    while batch := buffer.claim(10**6, 10**9):
        payloads += batch.payloads
        buffer.forget(batch)
    assert sorted(p for p in payloads if p != '"more"') == sorted(
        [f'"left {n}"' for n in range(left)] + [str(n) for n in range(in_memory)]
    )
    assert (buffer.depth, buffer.fault, buffer.dropped) == (0, "", 0)
    buffer.close()


def test_what_a_deleted_file_had_comes_into_memory_within_its_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (intake, recovery):
        monkeypatch.setattr(module, "MEMORY_BYTES", 100_000)
    add_again, most = Tail.add_again, [0]

    def add(self: Tail, id_: int, entry: Entry) -> None:
        add_again(self, id_, entry)
        most[0] = max(most[0], self.bytes)

    monkeypatch.setattr(Tail, "add_again", add)
    buffer = EventBuffer.open(tmp_path, "abc")
    for n in range(40):
        assert buffer.append(json.dumps([n, "x" * 10_000]))
    until(lambda: buffer._store.database.depth >= 40, buffer)
    (tmp_path / "abc" / "buffer-0.sqlite").unlink()
    until(lambda: buffer.dropped, buffer)
    until(lambda: buffer.append('"more"'), buffer)
    kept = [json.loads(text)[0] for text in buffer.claim(10**6, 10**9).payloads if text != '"more"']
    assert kept == list(range(40 - len(kept), 40))
    assert 5 <= len(kept) <= 10
    assert 50_000 < most[0] <= 101_000
    assert buffer.dropped == 40 - len(kept)
    buffer.close()


def test_memory_is_bounded_while_the_database_takes_nothing_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "TAIL_BYTES", 100_000)
    began, goes_on = threading.Event(), threading.Event()
    move_in = EventLog.move_in

    def hang(self: EventLog, rows: Sequence[Row], **arguments: int) -> None:
        if rows:
            began.set()
            assert goes_on.wait(30)
        move_in(self, rows, **arguments)

    buffer = EventBuffer.open(tmp_path, "abc")
    monkeypatch.setattr(EventLog, "move_in", hang)
    for n in range(5):
        assert buffer.append(json.dumps([n, "x" * 1000]))
    assert began.wait(30)
    for n in range(5, 400):
        assert buffer.append(json.dumps([n, "x" * 1000]))
    assert buffer.bytes <= 100_000
    assert buffer.depth + buffer.dropped == 400
    goes_on.set()
    until(lambda: buffer._store.database.depth > 0, buffer)
    left = [text for text in buffer.claim(10**6, 10**9).payloads if text != '"more"']
    assert [json.loads(text)[0] for text in left] == [*range(5), *range(405 - len(left), 400)]
    assert len(left) + buffer.dropped == 400
    buffer.close()
    again = EventBuffer.open(tmp_path, "abc")
    assert [text for text in again.claim(10**6, 10**9).payloads if text != '"more"'] == left
    again.close()


def test_a_directory_that_is_exchanged_is_adopted_with_its_journal(tmp_path: Path) -> None:
    """As when a backup is put back: its database and its journal belong together, and not to ours."""
    copied = EventBuffer.open(tmp_path, "abc")
    moved(copied, 10)
    for n in range(10, 20):
        assert copied.append(str(n))
    while not copied_whole(tmp_path / "abc", tmp_path / "copy"):
        pass
    copied.forget(copied.claim(10**6, 10**9))
    copied.close()
    buffer = EventBuffer.open(tmp_path, "abc")
    assert buffer.append('"ours"')
    os.rename(tmp_path / "abc", tmp_path / "gone")  # at once: else the buffer makes its own again
    os.rename(tmp_path / "copy", tmp_path / "abc")
    path = tmp_path / "abc" / "buffer-0.sqlite"
    before = path.stat().st_ino
    until(lambda: path.exists() and path.stat().st_ino != before, buffer)
    until(lambda: buffer.append('"more"'), buffer)
    claimed = list(buffer.claim(10**6, 10**9).payloads)
    assert '"ours"' in claimed
    assert not any(text.isdigit() for text in claimed)  # they are of another slot
    assert buffer.adopt() >= 20
    adopted = [text for text in buffer.claim(10**6, 10**9).payloads if text.isdigit()]
    assert sorted(adopted, key=int) == [str(n) for n in range(20)]
    buffer.close()


def test_a_stop_in_the_middle_of_an_adoption_costs_no_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heir, orphan = EventBuffer.open(tmp_path, "abc"), EventBuffer.open(tmp_path, "abc")
    for n in range(10):
        orphan.append(str(n))
    orphan.close()
    monkeypatch.setattr(event_log, "PACK_EVENTS", 4)
    take_in = heir._store.take_in

    def take_in_until_closed(pack: Pack) -> bool:
        if heir.depth == 4:
            heir.close()
        return take_in(pack)

    monkeypatch.setattr(heir._store, "take_in", take_in_until_closed)
    assert heir.adopt() == 4
    again = EventBuffer.open(tmp_path, "abc")
    again.adopt()
    assert sorted(again.claim(100, 1000).payloads) == [str(n) for n in range(10)]
    again.close()


def test_a_file_where_the_next_segment_would_be_is_passed(tmp_path: Path) -> None:
    buffer = EventBuffer.open(tmp_path, "abc")
    number = buffer._store.intake._next_number
    (tmp_path / "abc" / f"journal-0-{number}").write_bytes(b"of a backup")
    assert buffer.append("1")
    until(lambda: buffer._store.intake._next_number > number + 1, buffer)
    until(lambda: not buffer.fault, buffer)
    assert buffer.append("2")
    buffer.close()
    assert (tmp_path / "abc" / f"journal-0-{number}").read_bytes() == b"of a backup"


def test_what_is_adopted_is_durable_before_it_is_deleted_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heir, orphan = EventBuffer.open(tmp_path, "abc"), EventBuffer.open(tmp_path, "abc")
    for n in range(10):
        orphan.append(str(n))
    orphan.close()

    log = heir._store.database.log
    assert log
    sync = os.fsync

    def fail(descriptor: int) -> None:
        if descriptor == log._wal:
            raise OSError(errno.EIO, "a disk that fails")
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        assert heir.adopt() == 0
        assert heir.fault
    until(lambda: not heir.fault, heir)
    assert heir.adopt() == 10  # twice: a brain knows them by their ids
    heir.close()


def test_a_segment_is_deleted_only_once_the_database_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = EventBuffer.open(tmp_path, "abc")
    failed = 0

    def fail(_: int) -> None:
        nonlocal failed
        failed += 1
        raise OSError(errno.EIO, "a disk that fails")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        assert buffer.append('"1"')
        until(lambda: failed > 3 and buffer._store.database.depth, buffer)
        segments = list((tmp_path / "abc").glob("journal-0-*"))
        assert '"1"' in "".join(path.read_text() for path in segments)
    until(lambda: not buffer.fault, buffer)
    buffer.close()


def test_what_is_moved_after_a_checkpoint_is_synced_however_much_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(StoreLocks(), DiskFault(bool), slots.take_lowest(tmp_path))
    assert database.log is not None
    database.sync()
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    for number in range(1, 4):
        database.log.move_in([(number, '"of the same size"')])
        database.sync()
        database.sync()  # there is nothing new
        assert len(synced) == number
        database.checkpoint()
    database.log.close()


def test_what_is_lost_with_the_process_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    move_in = EventLog.move_in

    def fail(self: EventLog, rows: Sequence[Row], **arguments: int) -> None:
        if rows != ():
            raise sqlite3.OperationalError("disk I/O error")
        move_in(self, rows, **arguments)

    buffer = EventBuffer.open(tmp_path, "abc")
    monkeypatch.setattr(EventLog, "move_in", fail)
    buffer._store.intake.fall_back()
    assert [buffer.append(str(n)) for n in range(3)] == [False] * 3
    buffer.close()
    assert (buffer.depth, buffer.dropped) == (0, 3)
    again = EventBuffer.open(tmp_path, "abc")
    assert (again.depth, again.dropped) == (0, 3)
    again.close()


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_events_that_are_older_than_adopted_ones_outlive_a_deleted_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    heir, orphan = EventBuffer.open(tmp_path, "abc"), EventBuffer.open(tmp_path, "abc")
    for n in range(10):
        assert orphan.append(str(n))
    orphan.close()
    with monkeypatch.context() as patch:
        patch.setattr(heir._store, "tend", lambda: None)
        for n in range(10, 20):
            assert heir.append(str(n))
        assert heir.adopt() == 10
        for n in range(20, 30):
            assert heir.append(str(n))
        (tmp_path / "abc" / f"buffer-0.sqlite{suffix}").unlink()
    until(lambda: not heir.fault and heir._store.database.depth >= 30, heir)
    texts = [text for text in heir.claim(10**6, 10**9).payloads if text != '"more"']
    assert sorted(texts, key=int) == [str(n) for n in range(30)]
    assert heir.dropped == 0
    heir.close()
