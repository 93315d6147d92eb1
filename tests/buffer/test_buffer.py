"""EventBuffer: what is kept through kill -9, a full disk, a fork, a broken file; and in which order."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.namespaces import ROOT, python_environ, run_python, run_python_with_mount
from z4j_fastapi.buffer import EventBuffer, event_log, event_store, slots
from z4j_fastapi.buffer.claims import Batch
from z4j_fastapi.buffer.event_log import CHECKPOINT_FRAMES, EMPTY_FILE_BYTES
from z4j_probes.portable import locks

IDENTITY = "0123456789ab"
ALL = (10**9, 10**12)

# A process that appends until it is killed, and says after each event that `append` has returned.
APPENDER = """
import sys
from pathlib import Path
from z4j_fastapi.buffer import EventBuffer
buffer = EventBuffer.open(Path(sys.argv[1]), sys.argv[2])
print("slot", buffer.slot, flush=True)
sys.stdin.readline()
for n in range(int(sys.argv[3])):
    buffer.append(f'{{"slot": {buffer.slot}, "n": {n}}}')
    print(n, flush=True)
sys.stdin.readline()
"""


class Appender:
    """A process with a buffer of its own."""

    def __init__(self, directory: Path, events: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", APPENDER, str(directory), IDENTITY, str(events)],
            env=python_environ(),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def slot(self) -> int:
        return int(self.line().removeprefix("slot "))

    def go(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()


@pytest.fixture
def appender(tmp_path: Path) -> Iterator[Callable[[int], Appender]]:
    started: list[Appender] = []

    def start(events: int = 0) -> Appender:
        started.append(Appender(tmp_path, events))
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def open_buffer(tmp_path: Path) -> Iterator[Callable[..., EventBuffer]]:
    opened: list[EventBuffer] = []

    def start(**bounds: Any) -> EventBuffer:
        opened.append(EventBuffer.open(tmp_path, IDENTITY, **bounds))
        return opened[-1]

    yield start
    for buffer in opened:
        buffer.close()


Open = Callable[..., EventBuffer]
Start = Callable[[int], Appender]


def payloads(buffer: EventBuffer) -> list[str]:
    return list(buffer.claim(*ALL).payloads)


def files(tmp_path: Path) -> list[str]:
    return sorted(name for name in os.listdir(tmp_path / IDENTITY) if not name.endswith("-wal"))


# Claiming and forgetting.


def test_events_come_out_in_the_order_they_went_in(open_buffer: Open) -> None:
    buffer = open_buffer()
    for n in range(3):
        assert buffer.append(str(n))
    assert (buffer.depth, buffer.bytes) == (3, 3)
    assert payloads(buffer) == ["0", "1", "2"]
    assert not buffer.claim(*ALL)
    assert buffer.depth == 3


def test_several_batches_are_on_their_way_and_are_forgotten_in_any_order(open_buffer: Open) -> None:
    buffer = open_buffer()
    for n in range(6):
        buffer.append(str(n))
    first, second = buffer.claim(2, 100), buffer.claim(2, 100)
    assert (first.payloads, second.payloads) == (("0", "1"), ("2", "3"))
    buffer.forget(second)
    assert buffer.depth == 4
    buffer.release(first)
    assert payloads(buffer) == ["0", "1", "4", "5"]


def test_a_batch_keeps_to_its_size(open_buffer: Open) -> None:
    buffer = open_buffer()
    for text in ("aaaa", "äää", "c", "dddd"):
        buffer.append(text)
    assert buffer.claim(9, 10).payloads == ("aaaa", "äää")
    assert buffer.claim(9, 4).payloads == ("c",)
    assert buffer.claim(9, 1).payloads == ("dddd",)  # alone, although it is larger


def test_after_a_reconnect_everything_unacknowledged_comes_again_oldest_first(open_buffer: Open) -> None:
    buffer = open_buffer()
    for n in range(1200):
        buffer.append(str(n))
    batches = [buffer.claim(300, 10**6) for _ in range(4)]
    buffer.forget(batches[1])
    buffer.append("new")
    buffer.release_all()
    assert payloads(buffer) == [*map(str, range(300)), *map(str, range(600, 1200)), "new"]


def test_a_late_acknowledgement_of_a_batch_given_back_changes_nothing(open_buffer: Open) -> None:
    buffer = open_buffer()
    buffer.append("0")
    old = buffer.claim(*ALL)
    buffer.release_all()
    again = buffer.claim(*ALL)
    buffer.forget(old)
    assert buffer.depth == 1
    buffer.forget(again)
    buffer.forget(again)
    assert buffer.depth == 0


def test_an_event_that_is_no_text_for_the_wire_is_refused_and_counted(open_buffer: Open) -> None:
    buffer = open_buffer(max_bytes=10)
    assert not buffer.append("\ud800")
    assert not buffer.append("x" * 11)
    assert (buffer.depth, buffer.dropped) == (0, 2)


def test_a_closed_buffer_keeps_nothing_and_closing_twice_is_fine(open_buffer: Open) -> None:
    buffer = open_buffer()
    buffer.close()
    buffer.close()
    assert not buffer.append("0")
    assert not buffer.claim(*ALL)


def test_a_batch_does_not_show_its_events(open_buffer: Open) -> None:
    assert "secret" not in repr(Batch((1,), ("secret",)))


# From process to process.


def test_what_was_not_acknowledged_is_there_after_a_restart(open_buffer: Open) -> None:
    buffer = open_buffer()
    for n in range(5):
        buffer.append(str(n))
    buffer.forget(buffer.claim(2, 100))
    buffer.claim(2, 100)
    buffer.close()
    again = open_buffer()
    assert (again.slot, again.depth, again.bytes) == (0, 3, 3)
    assert payloads(again) == ["2", "3", "4"]


def test_counters_survive_gaps_and_an_empty_file(open_buffer: Open) -> None:
    buffer = open_buffer()
    for n in range(10):
        buffer.append(str(n))
    buffer.claim(3, 100)
    buffer.forget(buffer.claim(3, 100))
    buffer.close()
    buffer = open_buffer()
    assert (buffer.depth, buffer.bytes) == (7, 7)
    buffer.forget(buffer.claim(*ALL))
    buffer.close()
    buffer = open_buffer()
    assert (buffer.depth, buffer.bytes) == (0, 0)
    buffer.append("12")
    assert (buffer.depth, buffer.bytes, payloads(buffer)) == (1, 2, ["12"])


@pytest.mark.component
def test_nothing_appended_is_lost_by_kill_9(appender: Start, open_buffer: Open) -> None:
    process = appender(10**9)
    assert process.slot() == 0
    process.go()
    reported = [process.line() for _ in range(3000)][-1]  # past a checkpoint
    process.kill()
    buffer = open_buffer()
    assert buffer.slot == 0
    kept = [json.loads(text)["n"] for text in payloads(buffer)]
    assert kept == list(range(len(kept)))
    assert len(kept) > int(reported) > CHECKPOINT_FRAMES


@pytest.mark.component
def test_eight_processes_at_once_have_slots_0_to_7_and_again_after_kill_9(
    appender: Start, open_buffer: Open
) -> None:
    for events in (3, 0):
        processes = [appender(events) for _ in range(8)]
        assert sorted(process.slot() for process in processes) == list(range(8))
        for process in processes:
            process.go()
        for process in processes:
            for _ in range(events):
                process.line()
            process.kill()
    assert open_buffer().depth == 3


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell which files are locked")
def test_the_slots_of_many_live_processes_are_not_opened_one_by_one(
    open_buffer: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []
    take = slots.take

    def noting(directory: Path, number: int) -> slots.Slot:
        opened.append(number)
        return take(directory, number)

    monkeypatch.setattr(slots, "take", noting)
    buffers = [open_buffer() for _ in range(6)]
    opened.clear()
    assert open_buffer().slot == 6
    assert opened == [0, 6]
    buffers[3].close()
    assert open_buffer().slot == 3
    monkeypatch.setattr(locks, "locked_databases", set)  # a file system that does not tell
    assert open_buffer().slot == 7


@pytest.mark.component
def test_two_buffers_of_one_process_keep_apart(open_buffer: Open, appender: Start) -> None:
    first, second = open_buffer(), open_buffer()
    assert (first.slot, second.slot, appender(0).slot()) == (0, 1, 2)
    second.close()
    assert appender(0).slot() == 1  # and the first one still has its lock


@pytest.mark.component
def test_an_exit_without_close_loses_nothing(tmp_path: Path, open_buffer: Open) -> None:
    script = """
import sys
from pathlib import Path
from z4j_fastapi.buffer import EventBuffer
EventBuffer.open(Path(sys.argv[1]), sys.argv[2]).append("0")
"""
    result = run_python(script, tmp_path, IDENTITY)
    assert (result.returncode, result.stderr) == (0, "")
    assert payloads(open_buffer()) == ["0"]


# Adoption.


@pytest.mark.component
def test_the_events_of_dead_processes_have_one_heir(appender: Start, open_buffer: Open) -> None:
    heir, other = open_buffer(), open_buffer()
    processes = [appender(600) for _ in range(2)]
    for process in processes:
        process.slot()
        process.go()
        while process.line() != "599":
            pass
    assert heir.adopt() == 0  # they live
    for process in processes:
        process.kill()
    assert heir.adopt() + other.adopt() == 1200
    assert heir.depth == 1200
    found = [json.loads(text) for text in payloads(heir)]
    assert found == [{"slot": slot, "n": n} for slot in (2, 3) for n in range(600)]


@pytest.mark.parametrize("events", [1, 2, 20, 21, 200])
@pytest.mark.parametrize("text", ['"x"', '"' + "é" * 30 + '"', '"' + "y" * 3000 + '"'])
def test_what_an_orderly_end_leaves_is_adopted_however_little_it_is(
    open_buffer: Open, events: int, text: str
) -> None:
    heir, gone = open_buffer(), open_buffer()
    for _ in range(events):
        gone.append(text)
    gone.close()
    assert heir.adopt() == events
    assert payloads(heir) == [text] * events
    assert heir.adopt() == 0


def test_what_little_was_left_is_adopted_from_a_directory_with_any_name(tmp_path: Path) -> None:
    directory = tmp_path / "a ?mode=rw#b %41 é"
    directory.mkdir()
    heir, gone = EventBuffer.open(directory, IDENTITY), EventBuffer.open(directory, IDENTITY)
    gone.append("1")
    gone.close()
    assert heir.adopt() == 1
    heir.close()


def test_an_empty_slot_is_asked_and_left_as_it_is(open_buffer: Open, tmp_path: Path) -> None:
    heir, empty = open_buffer(), open_buffer()
    empty.close()
    path = tmp_path / IDENTITY / "buffer-1.sqlite"
    for content in (path.read_bytes(), b"", b"no database" * 1000):
        path.write_bytes(content)
        before, found = path.stat(), files(tmp_path)
        assert list(slots.abandoned(path.parent, heir.slot)) == []
        assert (path.stat().st_mtime_ns, path.read_bytes()) == (before.st_mtime_ns, content)
        assert files(tmp_path) == found


def test_a_large_adoption_lets_the_log_be_moved_on_its_way(
    open_buffer: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, bound in ((event_store, "CHECKPOINT_FRAMES"), (event_log, "PACK_BYTES")):
        monkeypatch.setattr(module, bound, getattr(module, bound) // 8)
    heir, parent = open_buffer(), open_buffer()
    for n in range(5_000):
        parent.append(f'"{n}{"x" * 500}"')
    parent.close()
    assert heir.adopt() == 5_000
    assert (tmp_path / IDENTITY / "buffer-0.sqlite-wal").stat().st_size < 15_000_000 // 8


def test_an_adopted_slot_is_left_small_and_free(open_buffer: Open, tmp_path: Path) -> None:
    heir, gone = open_buffer(), open_buffer(max_events=5000)
    for n in range(5003):
        gone.append(str(n))
    gone.close()
    assert heir.adopt() == 5000
    assert heir.dropped == 3
    assert (tmp_path / IDENTITY / "buffer-1.sqlite").stat().st_size <= EMPTY_FILE_BYTES
    assert heir.adopt() == 0
    assert open_buffer().slot == 1


def test_adoption_keeps_to_the_bounds(open_buffer: Open) -> None:
    heir, gone = open_buffer(max_events=900), open_buffer()
    for n in range(1000):
        gone.append(str(n))
    gone.close()
    assert heir.adopt() == 900
    assert (heir.depth, heir.dropped) == (900, 0)
    assert open_buffer().depth == 100


# Bounds.


def test_over_the_count_the_oldest_go_and_a_restart_still_knows(open_buffer: Open) -> None:
    buffer = open_buffer(max_events=10)
    for n in range(25):
        assert buffer.append(str(n))
    assert (buffer.depth, buffer.dropped) == (10, 15)
    buffer.close()
    buffer = open_buffer(max_events=10)
    assert (buffer.depth, buffer.dropped) == (10, 15)
    assert payloads(buffer) == [str(n) for n in range(15, 25)]


def test_over_the_size_the_oldest_go(open_buffer: Open) -> None:
    buffer = open_buffer(max_bytes=10)
    for text in ("aaaa", "bbbb", "ccccccc"):
        buffer.append(text)
    assert (buffer.depth, buffer.bytes, buffer.dropped) == (1, 7, 2)


def test_what_was_dropped_on_its_way_is_not_counted_off_again(open_buffer: Open) -> None:
    buffer = open_buffer(max_events=3)
    for n in range(3):
        buffer.append(str(n))
    batch = buffer.claim(*ALL)
    buffer.append("3")
    buffer.forget(batch)
    assert (buffer.depth, buffer.bytes) == (1, 1)
    assert payloads(buffer) == ["3"]


def test_refusals_are_remembered_by_a_restart(open_buffer: Open) -> None:
    buffer = open_buffer(max_bytes=10)
    buffer.append("x" * 11)
    buffer.close()
    assert open_buffer().dropped == 1


def test_memory_alone_is_bounded_and_has_a_slot_of_no_file() -> None:
    first, second = (EventBuffer.open(None, IDENTITY, max_events=3) for _ in range(2))
    for n in range(5):
        first.append(str(n))
    assert first.slot != second.slot
    assert (first.depth, first.bytes, first.dropped) == (3, 3, 2)
    batch = first.claim(1, 100)
    first.release(batch)
    batch = first.claim(2, 100)
    first.forget(batch)
    assert batch.payloads == ("2", "3")
    assert payloads(first) == ["4"]
    assert first.adopt() == 0
    first.close()
    second.close()


# Broken files.


def test_a_corrupt_file_is_set_aside_and_the_slot_kept(open_buffer: Open, tmp_path: Path) -> None:
    (tmp_path / IDENTITY).mkdir(mode=0o700)
    (tmp_path / IDENTITY / "buffer-0.sqlite").write_bytes(b"rubbish" * 1000)
    buffer = open_buffer()
    assert buffer.slot == 0
    assert buffer.damaged_copy
    assert buffer.damaged_copy.name.startswith("buffer-0.sqlite.corrupt-")
    assert buffer.damaged_copy.read_bytes() == b"rubbish" * 1000
    assert buffer.append("0")


@pytest.mark.parametrize("statement", ["DROP TABLE ledger", "DELETE FROM ledger"])
def test_a_database_that_is_not_ours_is_set_aside_too(
    statement: str, open_buffer: Open, tmp_path: Path
) -> None:
    open_buffer().close()
    with sqlite3.connect(tmp_path / IDENTITY / "buffer-0.sqlite") as connection:
        connection.execute(statement)
    connection.close()
    buffer = open_buffer()
    assert buffer.slot == 0
    assert buffer.damaged_copy
    assert buffer.append("0")


def test_a_file_that_breaks_while_it_is_open_is_set_aside(
    open_buffer: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "_COUNTED_ROWS", 10_000)
    buffer = open_buffer()
    for n in range(12_000):  # fewer are counted when it is opened
        buffer.append(str(n) + "x" * 100)
    buffer.close()
    path = tmp_path / IDENTITY / "buffer-0.sqlite"
    with path.open("r+b") as file:  # the newest page and the first one are left as they are
        file.seek(4096 * 200)
        file.write(b"\xff" * 4096 * 20)
    buffer = open_buffer()
    assert buffer.damaged_copy is None
    while buffer.damaged_copy is None:  # the housekeeper does it
        assert buffer.append("new")
        buffer.claim(*ALL)
    assert buffer.fault == ""
    assert buffer.append("last")
    assert payloads(buffer)[-1] == "last"
    assert buffer.damaged_copy.exists()


# A disk that fails.


FULL_DISK = """
import os, sys, time
from pathlib import Path
from z4j_fastapi import buffer as module
from z4j_fastapi.buffer import housekeeper
housekeeper.HOUSEKEEPING_EVERY_S = 0.01
home = Path(sys.argv[1])
buffer = module.EventBuffer.open(home, "abc")
filler = open(home / "filler", "wb", 0)
try:
    while filler.write(bytes(4096)) == 4096: pass
except OSError as exc: print(exc.strerror)
filler.close()
count = 0
while buffer.append(str(count)): count += 1
count += 1
print(buffer.fault)
for _ in range(1000):
    assert not buffer.append(str(count)); count += 1
assert buffer.not_durable == 1001, buffer.not_durable
assert buffer.depth == count, (buffer.depth, count)
batch = buffer.claim(10, 10**6)
assert batch.payloads == tuple(map(str, range(10)))
buffer.forget(batch)
if sys.argv[2] == "freed":
    os.unlink(home / "filler")
    while buffer.fault: time.sleep(0.01)
    buffer.close()
    buffer = module.EventBuffer.open(home, "abc")
else:
    buffer.release_all()
rest = buffer.claim(10**6, 10**9).payloads
assert rest == tuple(map(str, range(10, count))), (len(rest), rest[:3], rest[-3:], count)
assert buffer.dropped == 0
buffer.close()
print("ok")
"""


@pytest.mark.component
@pytest.mark.parametrize("then", ["freed", "full"])
def test_a_full_disk_costs_no_event_and_no_exception(then: str, tmp_path: Path) -> None:
    result = run_python_with_mount(FULL_DISK, tmp_path, "size=1m", tmp_path, then)
    assert result.stdout.splitlines() == ["No space left on device", "buffer.disk_full", "ok"], result.stderr


OPENED_ON_A_FULL_DISK = """
import os, sys, time
from pathlib import Path
from z4j_fastapi import buffer as module
from z4j_fastapi.buffer import housekeeper
housekeeper.HOUSEKEEPING_EVERY_S = 0.01
home = Path(sys.argv[1])
buffer = module.EventBuffer.open(home, "abc")
for n in range(500): buffer.append(str(n))
buffer.close()
filler = open(home / "filler", "wb", 0)
try:
    while filler.write(bytes(4096)) == 4096: pass
except OSError as exc: print(exc.strerror)
filler.close()
buffer = module.EventBuffer.open(home, "abc")
assert buffer.depth == 500
assert not buffer.append("500")
assert buffer.fault == "buffer.disk_full", buffer.fault
assert buffer.claim(10**6, 10**9).payloads == tuple(map(str, range(501)))
os.unlink(home / "filler")
while buffer.fault: time.sleep(0.01)
buffer.close()
assert module.EventBuffer.open(home, "abc").depth == 501
print("ok")
"""


@pytest.mark.component
def test_a_buffer_opens_on_a_full_disk_with_what_is_in_it(tmp_path: Path) -> None:
    result = run_python_with_mount(OPENED_ON_A_FULL_DISK, tmp_path, "size=8m", tmp_path)
    assert result.stdout.splitlines() == ["No space left on device", "ok"], result.stderr


# Forks and threads.


FORK = """
import os, sys
from pathlib import Path
from z4j_fastapi.buffer import EventBuffer
buffer = EventBuffer.open(Path(sys.argv[1]), "abc")
for n in range(1000): buffer.append(str(n))
child = os.fork()
if child == 0:
    assert buffer.closed
    assert not buffer.append("child")
    assert not buffer.claim(10, 10)
    own = EventBuffer.open(Path(sys.argv[1]), "abc")
    assert own.slot == 1 and not own.closed
    buffer.close()
    del buffer
    sys.exit(0)  # the interpreter ends in the ordinary way: what it would close is closed
assert os.waitpid(child, 0)[1] == 0
assert not buffer.closed
assert Path(sys.argv[1], "abc", "buffer-0.sqlite-wal").exists()
assert buffer.append("parent")
second = os.fork()
if second == 0:
    assert EventBuffer.open(Path(sys.argv[1]), "abc").slot == 1
    os._exit(0)
assert os.waitpid(second, 0)[1] == 0
assert buffer.depth == 1001
assert len(buffer.claim(10**6, 10**9)) == 1001
buffer.close()
buffer = EventBuffer.open(Path(sys.argv[1]), "abc")
assert buffer.claim(10**6, 10**9).payloads[-1] == "parent"
buffer.close()
print("ok")
"""


@pytest.mark.component
def test_a_forked_child_leaves_the_parents_buffer_alone(tmp_path: Path) -> None:
    result = run_python(FORK, tmp_path)
    assert result.stdout == "ok\n", result.stderr


def test_threads_append_claim_and_forget_at_once(open_buffer: Open) -> None:
    buffer = open_buffer()
    threads, events = 6, 700
    seen: list[str] = []
    done = threading.Event()

    def append(thread: int) -> None:
        for n in range(events):
            assert buffer.append(f"{thread}:{n}")

    def drain() -> None:
        while not (done.is_set() and buffer.depth == 0):
            batch = buffer.claim(97, 10**6)
            seen.extend(batch.payloads)
            buffer.forget(batch)

    appenders = [threading.Thread(target=append, args=(n,)) for n in range(threads)]
    drainer = threading.Thread(target=drain)
    for thread in [*appenders, drainer]:
        thread.start()
    for thread in appenders:
        thread.join()
    done.set()
    drainer.join()
    for number in range(threads):
        own = [text for text in seen if text.startswith(f"{number}:")]
        assert own == [f"{number}:{n}" for n in range(events)]
    assert len(seen) == threads * events


# Against a list.


class AgainstAList(RuleBasedStateMachine):
    """Every sequence of operations, restarts among them, gives what a list would."""

    bound = 12

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.waiting: list[str] = []
        self.in_flight: list[tuple[Batch, list[str]]] = []
        self.count = self.dropped = 0
        self.open()

    def open(self) -> None:
        self.buffer = EventBuffer.open(Path(self.directory.name), IDENTITY, max_events=self.bound)

    def order(self, texts: list[str]) -> list[str]:
        return sorted(texts, key=int)

    def everything(self) -> list[str]:
        return self.order(self.waiting + [text for _, texts in self.in_flight for text in texts])

    @rule(many=st.integers(1, 6))
    def append(self, many: int) -> None:
        for _ in range(many):
            self.waiting.append(str(self.count))
            assert self.buffer.append(str(self.count))
            self.count += 1
            for oldest in self.everything()[: -self.bound]:
                self.dropped += 1
                for texts in [self.waiting, *(texts for _, texts in self.in_flight)]:
                    if oldest in texts:
                        texts.remove(oldest)

    @rule(events=st.integers(1, 8), size=st.integers(1, 12))
    def claim(self, events: int, size: int) -> None:
        batch = self.buffer.claim(events, size)
        expected: list[str] = []
        for text in self.order(self.waiting):
            if len(expected) == events or (expected and sum(map(len, [*expected, text])) > size):
                break
            expected.append(text)
        assert list(batch.payloads) == expected
        self.waiting = [text for text in self.waiting if text not in expected]
        if expected:
            self.in_flight.append((batch, expected))

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        chosen = self.in_flight.pop(data.draw(st.integers(0, len(self.in_flight) - 1)))
        self.buffer.forget(chosen[0])

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        batch, texts = self.in_flight.pop(data.draw(st.integers(0, len(self.in_flight) - 1)))
        self.buffer.release(batch)
        self.waiting += texts

    @rule()
    def release_all(self) -> None:
        self.buffer.release_all()
        self.waiting = self.everything()
        self.in_flight.clear()

    @rule()
    def restart(self) -> None:
        self.buffer.close()
        self.waiting = self.everything()
        self.in_flight.clear()
        self.open()

    @invariant()
    def counters_agree(self) -> None:
        everything = self.everything()
        deadline_s = time.monotonic() + 30  # what is over the bounds goes in another thread
        while self.buffer.depth != len(everything) and time.monotonic() < deadline_s:
            time.sleep(0.0005)
        assert self.buffer.depth == len(everything)
        assert self.buffer.bytes == sum(map(len, everything))
        assert self.buffer.dropped == self.dropped

    def teardown(self) -> None:
        self.buffer.close()
        self.directory.cleanup()


TestAgainstAList = AgainstAList.TestCase
TestAgainstAList.settings = settings(
    max_examples=min(40, settings().max_examples), stateful_step_count=40, deadline=None
)
