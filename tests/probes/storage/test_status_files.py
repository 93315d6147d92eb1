"""Status files: what live processes say, and nothing of those that are gone, whatever else lies there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from z4j_probes import StorageError
from z4j_probes.storage.status_files import MAX_BYTES, StatusFile, identities, read_status_files

WRITER = """
import os, sys
from pathlib import Path
from z4j_probes.storage.status_files import StatusFile
file = StatusFile(Path(sys.argv[1]), 3)
file.write({"pid": os.getpid()})
if len(sys.argv) > 2 and os.fork() == 0:
    print(os.getpid(), flush=True)
    sys.stdin.read()
    os._exit(0)
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def writer(directory: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has written the file of slot 3, and stays."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(directory), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(1 + len(arguments))]
    assert all(lines)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(directory: Path) -> list[object]:
    return [found.document for found in read_status_files(directory)]


def test_what_a_live_process_says_is_found_until_it_is_removed(tmp_path: Path) -> None:
    file = StatusFile(tmp_path, 12)
    assert not file.is_there
    for number in range(3):
        file.write({"number": number})
        assert said(tmp_path) == [{"number": number}]
    (found,) = read_status_files(tmp_path)
    assert (found.slot, found.path, found.path.stat().st_mode & 0o777) == (12, file.path, 0o600)
    file.remove()
    assert (said(tmp_path), list(tmp_path.iterdir())) == ([], [])


@pytest.mark.component
def test_a_process_that_was_killed_says_nothing_more_and_its_slot_is_the_next_ones(tmp_path: Path) -> None:
    with writer(tmp_path) as process:
        assert said(tmp_path) == [{"pid": process.pid}]
    assert (tmp_path / "status-3.json").exists()
    assert said(tmp_path) == []
    with writer(tmp_path) as heir:
        assert said(tmp_path) == [{"pid": heir.pid}]


@pytest.mark.component
def test_a_child_that_was_forked_off_does_not_speak_for_its_parent(tmp_path: Path) -> None:
    with writer(tmp_path, "fork") as process:
        assert said(tmp_path) == [{"pid": process.pid}]
        process.kill()
        process.wait()
        assert said(tmp_path) == []  # the child reads its stdin, and is there


def test_one_that_another_has_replaced_is_left_to_it(tmp_path: Path) -> None:
    file = StatusFile(tmp_path, 0)
    file.write({"whose": "mine"})
    other = StatusFile(tmp_path, 0)
    other.write({"whose": "theirs"})
    assert not file.is_there
    file.remove()
    assert said(tmp_path) == [{"whose": "theirs"}]
    other.remove()


def test_what_is_no_status_file_of_ours_is_passed_over(tmp_path: Path) -> None:
    good = StatusFile(tmp_path, 0)
    good.write({"good": True})
    secret = tmp_path / "secret"
    secret.write_text("{}")
    (tmp_path / "status-1.json").symlink_to(secret)
    os.mkfifo(tmp_path / "status-2.json")
    (tmp_path / "status-3.json").mkdir()
    (tmp_path / "status-4.json").write_bytes(b"[" * (MAX_BYTES + 1))
    (tmp_path / "status-5.json").write_bytes(b"\xff\xfe")
    (tmp_path / "status-6.json").write_bytes(b"[" * 100_000)
    (tmp_path / "status-99999.json").write_text("{}")
    (tmp_path / "status-00.json").hardlink_to(good.path)  # one slot would be there twice
    (tmp_path / "status-\u0660.json").hardlink_to(good.path)
    held = StatusFile(tmp_path, 7)
    held.write({})
    with held.path.open("w") as file:
        json.dump(["no object"], file)
    assert said(tmp_path) == [{"good": True}]
    good.remove()
    held.remove()


def test_no_link_leads_to_another_directory(tmp_path: Path) -> None:
    real = tmp_path / "real"
    (real / ("a" * 12)).mkdir(parents=True)
    (real / "tmp").mkdir()
    assert identities(real) == [real / ("a" * 12)]
    link = tmp_path / "link"
    link.symlink_to(real)
    for look in (identities, read_status_files):
        with pytest.raises(OSError):
            look(link)


def test_what_can_not_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    file = StatusFile(tmp_path, 0)
    file.write({"number": 1})
    (tmp_path / ".status-0.json.new").mkdir()
    with pytest.raises(StorageError):
        file.write({"number": 2})
    assert said(tmp_path) == [{"number": 1}]
    file.remove()
