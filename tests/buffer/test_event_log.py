"""A file's counters, which need no scan, against a count of its rows."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from z4j_fastapi.buffer import event_log
from z4j_fastapi.buffer.event_log import EventLog, utf8_size


def connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def filled(path: Path, texts: list[str]) -> EventLog:
    connection = connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    log = EventLog(connection, path)
    log.move_in(enumerate(texts, 1))
    return log


# Of any characters that a file can hold, escaped or as they are.
texts = st.lists(
    st.builds(json.dumps, st.text(st.characters(exclude_categories=["Cs"])), ensure_ascii=st.booleans()),
    max_size=4,
)
actions = st.sampled_from(["append", "move late", "take in", "delete", "drop", "open again"])
steps = st.lists(st.tuples(actions, texts, st.integers(1, 12)), max_size=8)


@given(steps)
def test_counters_are_those_of_the_rows_whatever_comes_and_goes_in_any_order(
    todo: list[tuple[str, list[str], int]],
) -> None:
    with TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_log, "_COUNTED_ROWS", 0)  # which would put wrong ones right
        path, next_id, late = Path(directory, "heir.sqlite"), 1, dict[int, str]()
        known = dict[int, str]()
        log = filled(path, [])
        for number, (step, found, at) in enumerate(todo):
            ids = range(next_id, next_id + len(found))
            rows = dict(zip(ids, found, strict=True))
            if step == "append":
                late |= rows
                next_id += len(found)
            elif step == "move late":
                log.move_in(sorted(late.items()))
                known |= late
                late = {}
            elif step == "take in":
                with closing(filled(Path(directory, f"orphan-{number}.sqlite"), found)) as orphan:
                    if pack := orphan.pack(9, 10**6):
                        assert (pack.events, pack.bytes) == (len(found), sum(map(utf8_size, found)))
                        log.take_in(pack, next_id)
                        known |= rows
                        next_id += len(found)
            elif step == "delete":
                log.delete(at, at + 3)
                known = {id_: text for id_, text in known.items() if not at <= id_ <= at + 3}
            elif step == "drop":
                gone = sorted(known)[: at % 3 + 1]
                log.drop_oldest(max(len(gone), 1), 0)
                known = {id_: text for id_, text in known.items() if id_ not in gone}
            else:
                log.close()
                log = EventLog(connect(path), path)
            assert dict(log.read(0, 10**6, 10**6)) == known
            assert (log.depth, log.bytes) == (len(known), sum(map(utf8_size, known.values())))
        log.close()


@pytest.mark.parametrize(("size", "packs"), [(10, [7, 3]), (400, [2, 2, 2, 2, 2]), (5000, [1] * 10)])
def test_a_pack_is_bounded_in_events_and_in_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, packs: list[int]
) -> None:
    monkeypatch.setattr(event_log, "PACK_BYTES", 1000)
    log = filled(tmp_path / "a.sqlite", [f'"{"é" * (size // 2)}"'] * 10)
    found = []
    while pack := log.pack(7, 10**6):
        found.append(pack.events)
        log.delete(pack.first, pack.last)
    assert found == packs
    log.close()
