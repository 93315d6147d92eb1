"""EventBuffer in a thread that is interrupted: by a signal handler, or by somebody else's fork."""

from __future__ import annotations

import queue
from pathlib import Path

import pytest

from tests.support.namespaces import run_python
from z4j_fastapi.buffer import EventBuffer, intake
from z4j_fastapi.buffer.tail import Entry, Tail
from z4j_fastapi.buffer.wakeup import SignalSafeEvent

pytestmark = pytest.mark.component

SIGNALS = """
import signal, sys
from pathlib import Path
from z4j_fastapi.buffer import EventBuffer
buffer = EventBuffer.open(Path(sys.argv[1]), "abc")
handled = 0
def handle(number, frame):
    global handled
    handled += 1
    assert buffer.append('"from the handler"')
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
appended = 0
while handled < 2000:
    assert buffer.append('"from the thread"')
    appended += 1
signal.setitimer(signal.ITIMER_REAL, 0, 0)
buffer.close()
again = EventBuffer.open(Path(sys.argv[1]), "abc")
found = again.claim(10**6, 10**9).payloads
assert again.depth == len(found) == appended + handled, (again.depth, len(found), appended, handled)
assert found.count('"from the handler"') == handled
again.forget(again.claim(1, 1))
print("ok")
"""


def test_a_signal_handler_may_append_in_the_middle_of_an_append(tmp_path: Path) -> None:
    result = run_python(SIGNALS, tmp_path)
    assert result.stdout.splitlines() == ["ok"], result.stderr


def test_an_append_in_the_middle_of_counting_doubles_none_and_loses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a signal handler or a destructor, at the worst moment."""
    monkeypatch.setattr(intake, "MAX_ARRIVALS", 0)  # each append counts what has arrived
    monkeypatch.setattr(intake, "LOOK_EVERY", 1)
    buffer = EventBuffer.open(tmp_path, "abc")
    real = Tail.add
    nested = ['"nested 1"', '"nested 2"', '"nested 3"']

    def add(tail: Tail, entry: Entry) -> int:
        if nested:
            assert buffer.append(nested.pop())
        return real(tail, entry)

    monkeypatch.setattr(Tail, "add", add)
    for n in range(3):
        assert buffer.append(f'"{n}"')
    expected = {'"0"', '"1"', '"2"', '"nested 1"', '"nested 2"', '"nested 3"'}
    assert buffer.depth == len(expected)
    assert set(buffer.claim(100, 10_000).payloads) == expected
    buffer.close()


RAISES = """
import signal, sys, threading
from pathlib import Path
from z4j_fastapi.buffer import EventBuffer, intake
if sys.argv[2] == "counting":  # each append counts what has arrived
    intake.MAX_ARRIVALS, intake.LOOK_EVERY = 0, 1
buffer = EventBuffer.open(Path(sys.argv[1]), "abc")
class TooLong(Exception): pass
def handle(number, frame):
    raise TooLong
signal.signal(signal.SIGALRM, handle)
kept = raised = 0
while raised < 1500:
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
        while True:
            kept += buffer.append("1")
    except TooLong:
        raised += 1
    finally:
        try: signal.setitimer(signal.ITIMER_REAL, 0)
        except TooLong: signal.setitimer(signal.ITIMER_REAL, 0)
elsewhere = []
thread = threading.Thread(target=lambda: elsewhere.append(buffer.append("2")), daemon=True)
thread.start()
thread.join(10)
assert elsewhere == [True], "the lock was left behind"
depth = buffer.depth
assert kept + 1 <= depth <= kept + raised + 1, (kept, depth)
buffer.close()
again = EventBuffer.open(Path(sys.argv[1]), "abc")
assert again.depth == len(again.claim(10**7, 10**9)) == depth, (again.depth, depth)
print("ok")
"""


@pytest.mark.parametrize("what", ["writing", "counting"])
def test_a_handler_that_raises_leaves_no_lock_and_no_wrong_count(what: str, tmp_path: Path) -> None:
    result = run_python(RAISES, tmp_path, what)
    assert result.stdout.splitlines() == ["ok"], result.stderr


LOCK = """
import signal, sys, threading, time
from z4j_fastapi.buffer.rlock import SignalSafeRLock
class TooLong(Exception): pass
def handle(number, frame):
    raise TooLong
signal.signal(signal.SIGALRM, handle)
lock = SignalSafeRLock()
def contend():  # most handlers that interrupt a waiting thread run once it has the lock
    while raised < 2000:
        with lock: time.sleep(0.0001)
raised = 0
threading.Thread(target=contend, daemon=True).start()
while raised < 2000:
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0002)
        while True:
            with lock:
                with lock: pass
    except TooLong:
        raised += 1
        assert "count=0" in repr(lock) or f"owner={threading.get_ident()} " not in repr(lock), lock
print("ok")
"""


def test_a_handler_that_raises_leaves_no_lock_that_others_wait_for() -> None:
    """Also on Python 3.14, where one of `threading` may be left: mostly within the first hundred."""
    result = run_python(LOCK)
    assert result.stdout.splitlines() == ["ok"], result.stderr


def test_a_wake_up_that_an_exception_has_cut_off_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(queue.SimpleQueue[None]):
        def put(self, *_: object, **__: object) -> None:
            raise KeyboardInterrupt

    event = SignalSafeEvent()
    monkeypatch.setattr(event, "_tokens", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        event.set()
    assert event.wait(0)
    event.clear()
    assert not event.wait(0)


MEMORY = """
import signal
from z4j_fastapi.buffer import EventBuffer
buffer = EventBuffer.open(None, "abc")
handled = []
def handle(number, frame):
    handled.append(buffer.append('"from the handler"'))
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
appended = 0
while len(handled) < 500:
    buffer.append('"from the thread"')
    appended += 1
    if appended % 100 == 0:
        buffer.forget(buffer.claim(10**6, 10**9))
signal.setitimer(signal.ITIMER_REAL, 0, 0)
buffer.forget(buffer.claim(10**6, 10**9))
assert not any(handled)  # in memory only
assert buffer.not_durable == appended + len(handled)
assert (buffer.depth, buffer.bytes, buffer.dropped) == (0, 0, 0)
print("ok")
"""


def test_nor_does_it_have_to_be_on_disk_for_that() -> None:
    result = run_python(MEMORY)
    assert result.stdout.splitlines() == ["ok"], result.stderr


FORKS = """
import logging, os, sys, threading
from pathlib import Path
# Somebody else's hook lets the other thread come as far as ours, which runs before it; so it does before
# logging's, whose lock would keep the forks apart.
both = threading.Barrier(2)
os.register_at_fork(before=lambda: threading.Event().wait(0.05))
from z4j_fastapi.buffer import EventBuffer
buffer = EventBuffer.open(Path(sys.argv[1]), "abc")
failed = []
def fork():
    both.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if not buffer.append("child") else 1)
    failed.append(os.waitpid(child, 0)[1])
for n in range(5):
    forking = [threading.Thread(target=fork) for _ in range(2)]
    for thread in forking: thread.start()
    for thread in forking: thread.join()
    assert buffer.append("parent")
assert failed == [0] * 10, failed
assert buffer.depth == 5
buffer.close()
print("ok")
"""


def test_two_threads_that_fork_at_once_leave_it_usable(tmp_path: Path) -> None:
    result = run_python(FORKS, tmp_path)
    assert result.stdout.splitlines() == ["ok"], result.stderr


RAISES_AROUND_FORKS = """
import os, signal, sys, threading, time
from pathlib import Path
from z4j_fastapi.buffer import EventBuffer, forks
from z4j_fastapi.commands.memory import CommandMemory
sys.unraisablehook = lambda told: None  # how Python tells of most of what is raised here
buffer, memory = EventBuffer.open(Path(sys.argv[1]), "abc"), CommandMemory(Path(sys.argv[1]))
memory.begin("1", None)
class TooLong(Exception): pass
def handle(number, frame):
    global handled
    handled += 1
    raise TooLong
signal.signal(signal.SIGALRM, handle)
def use():
    while not ended:
        with forks.inside(): time.sleep(0.0005)
ended = wrong = handled = 0
threading.Thread(target=use, daemon=True).start()
parent = os.getpid()
for number in range(400):
    child = None
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0001 + 0.000005 * number)
        child = os.fork()
        if child == 0: os._exit(int(not buffer.closed))
        signal.setitimer(signal.ITIMER_REAL, 0)
    except TooLong:
        if os.getpid() != parent: os._exit(int(not buffer.closed))
    while True:
        try:
            wrong += os.waitpid(-1, 0)[1] != 0
        except TooLong: continue
        except ChildProcessError: break
def elsewhere():
    with forks.inside(), forks._forking: pass
    assert buffer.append("1") and buffer.depth == 1
    memory.begin("2", None)
    print(handled > 50, wrong, "ok", flush=True)
thread = threading.Thread(target=elsewhere, daemon=True)
thread.start()
thread.join(20)
ended = 1
os._exit(0)
"""


def test_a_handler_that_raises_around_forks_leaves_no_lock_and_no_child_with_the_buffer(
    tmp_path: Path,
) -> None:
    result = run_python(RAISES_AROUND_FORKS, tmp_path)
    assert result.stdout.splitlines() == ["True 0 ok"], (result.stdout, result.stderr)
