"""Small files that somebody named: read whatever they are, and never waited for without end."""

from __future__ import annotations

import os
import pty
import threading
import time
from pathlib import Path

import pytest

from z4j_probes.read_file import LIMIT_BYTES, read_small_file
from z4j_probes.threads import within

# Long enough that nothing real ends in it, short enough to be waited for.
BRIEFLY_S = 0.05


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"a" * LIMIT_BYTES)
    assert read_small_file(file) == b"a" * LIMIT_BYTES


def test_a_file_without_a_size_is_read_too() -> None:
    assert b"\0" in read_small_file("/proc/self/environ") or not os.environ


def test_a_file_that_is_too_large_is_not_read_on(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"a" * (LIMIT_BYTES + 1))
    with pytest.raises(ValueError, match="larger than 64 KiB"):
        read_small_file(file)


def test_a_device_without_an_end_is_too_large() -> None:
    with pytest.raises(ValueError, match="larger than 64 KiB"):
        read_small_file("/dev/zero")


def test_a_fifo_that_nobody_writes_to_does_not_answer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(TimeoutError):
        read_small_file(tmp_path / "fifo", budget_s=BRIEFLY_S)


def test_a_fifo_whose_writer_says_nothing_does_not_answer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    writer = os.open(tmp_path / "fifo", os.O_RDWR)
    with pytest.raises(TimeoutError):
        read_small_file(tmp_path / "fifo", budget_s=BRIEFLY_S)
    os.close(writer)


@pytest.mark.component
def test_a_terminal_at_which_nobody_types_does_not_answer() -> None:
    master, slave = pty.openpty()
    with pytest.raises(TimeoutError):
        read_small_file(os.ttyname(slave), budget_s=BRIEFLY_S)
    os.close(master)
    os.close(slave)


def test_a_fifo_that_somebody_writes_to_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    writer = threading.Thread(target=lambda: (tmp_path / "fifo").write_text("said late"))
    writer.start()
    assert read_small_file(tmp_path / "fifo") == b"said late"
    writer.join()


@pytest.mark.parametrize("writes_first", [True, False])
def test_a_shells_process_substitution_is_read(writes_first: bool) -> None:
    reader, writer = os.pipe()

    def write() -> None:
        os.write(writer, b"said")
        os.close(writer)

    thread = threading.Thread(target=write)
    if writes_first:
        write()
    else:
        thread.start()
    assert read_small_file(f"/dev/fd/{reader}") == b"said"
    os.close(reader)
    if not writes_first:
        thread.join()


def test_what_is_no_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        read_small_file(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_small_file(tmp_path / "absent")


def test_a_call_that_never_returns_is_left_behind() -> None:
    """As open(2) is on a network mount that has died."""
    never = threading.Event()
    started_s = time.monotonic()
    with pytest.raises(TimeoutError):
        within(BRIEFLY_S, never.wait)
    assert time.monotonic() - started_s < 5
    never.set()
