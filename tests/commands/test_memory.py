"""What the memory of commands keeps, for how long, and what it makes of a bad disk."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

import pytest

from z4j_fastapi.commands import memory
from z4j_fastapi.commands.memory import FILE_NAME, CommandMemory
from z4j_fastapi.commands.outcome import Outcome, Verdict
from z4j_probes.errors import StorageError

DONE = Outcome(Verdict.DONE, result={"task_id": "ü", "n": 1})


def test_what_was_begun_is_remembered_with_its_outcome_by_both_ids(tmp_path: Path) -> None:
    with CommandMemory(tmp_path) as one:
        assert one.begin("c-1", "f-1") is None
        cut_off = one.begin("c-1", "f-1")
        assert cut_off is not None
        assert cut_off.outcome is None
        one.finish("c-1", DONE)
    with CommandMemory(tmp_path) as two:
        for command_id, fire_id in (("c-1", None), ("c-2", "f-1")):
            known = two.begin(command_id, fire_id)
            assert known is not None
            assert (known.id, known.outcome) == ("c-1", DONE)
        assert two.begin("c-2", None) is None


def test_what_was_refused_may_be_tried_again_and_what_was_done_may_not(tmp_path: Path) -> None:
    with CommandMemory(tmp_path) as kept:
        kept.begin("c-1", "f-1")
        kept.forget("c-1")
        assert kept.begin("c-1", "f-1") is None
        kept.finish("c-1", DONE)
        kept.forget("c-1")
        assert kept.begin("c-1", None) is not None


def test_only_one_of_many_that_begin_at_once_acts(tmp_path: Path) -> None:
    memories = [CommandMemory(tmp_path) for _ in range(8)]
    found: list[object] = []
    threads = [threading.Thread(target=lambda m=m: found.append(m.begin("c-1", "f-1"))) for m in memories]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.count(None) == 1
    assert len(found) == 8
    for each in memories:
        each.close()


def test_old_ones_are_forgotten_by_age_and_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "KEPT_IDS", 150)
    now = 0
    monkeypatch.setattr(time, "time", lambda: now)
    with CommandMemory(tmp_path) as kept:
        for second in range(1, 302):
            now = second
            assert kept.begin(f"c-{now}", None) is None
        assert kept.begin("c-300", None) is not None
        assert kept.begin("c-1", None) is None
        now = 302 + 25 * 3600
        for number in range(100):
            kept.begin(f"late-{number}", None)
        assert kept.begin("c-300", None) is None


def test_the_file_is_private_and_holds_no_arguments(tmp_path: Path) -> None:
    with CommandMemory(tmp_path) as kept:
        kept.begin("c-1", None)
    file = tmp_path / FILE_NAME
    assert file.stat().st_mode & 0o777 == 0o600
    columns = sqlite3.connect(file).execute("SELECT * FROM commands").description
    assert [column[0] for column in columns] == ["id", "fire_id", "begun_at", "verdict", "result", "error"]


def test_a_damaged_file_is_set_aside_and_one_that_is_deleted_is_made_again(tmp_path: Path) -> None:
    file = tmp_path / FILE_NAME
    file.write_bytes(b"not a database" * 100)
    with CommandMemory(tmp_path) as kept:
        assert kept.begin("c-1", None) is None
        assert list(tmp_path.glob(f"{FILE_NAME}.corrupt-*"))
        for path in tmp_path.glob(f"{FILE_NAME}*"):
            path.unlink()
        assert kept.begin("c-2", None) is None
        assert file.exists()
        assert kept.begin("c-2", None) is not None


def test_a_file_that_is_damaged_while_it_is_open_is_set_aside(tmp_path: Path) -> None:
    with CommandMemory(tmp_path) as kept:
        for number in range(300):
            kept.begin(f"c-{number}", None)
    file = tmp_path / FILE_NAME
    with CommandMemory(tmp_path) as kept:
        kept.begin("c-300", None)
        size = file.stat().st_size
        with file.open("r+b") as damaged:
            damaged.seek(4096)
            damaged.write(b"\xff" * (size - 4096))
    with CommandMemory(tmp_path) as kept:
        with pytest.raises(StorageError) as failed:
            [kept.begin(f"c-{number}", f"f-{number}") for number in range(300)]
        assert failed.value.code == "buffer.corrupt"
        assert kept.begin("c-1", None) is None


def test_a_directory_that_is_gone_is_an_error_with_a_code(tmp_path: Path) -> None:
    with CommandMemory(tmp_path / "gone") as kept, pytest.raises(StorageError) as failed:
        kept.begin("c-1", None)
    assert failed.value.code.startswith("buffer.")
