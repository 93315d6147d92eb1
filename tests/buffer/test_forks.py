"""A process forks while one of its threads is inside SQLite: the child can use SQLite, and harms no file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.disk_shim import disk_shim
from tests.support.namespaces import run_python

# Each look of SQLite at a file takes so long, with a mutex that all of its files need.
STAT_S = 0.006

FORKS = """
import os, signal, sqlite3, sys, threading
from pathlib import Path
from z4j_fastapi.buffer import EventBuffer, forks
from z4j_fastapi.commands.memory import CommandMemory
what, directory = sys.argv[1], Path(sys.argv[2])
forks._HOLD_S = 10.0  # a busy machine
if what == "adopt":
    left = [EventBuffer.open(directory, "abc") for _ in range(12)]
    for one in left:
        assert all(one.append(str(n)) for n in range(20))
    for one in left:
        one.close()
buffer = EventBuffer.open(directory, "abc")
ended = threading.Event()

def adopt():
    buffer.adopt()

def aside():
    buffer.aside.add(["1"], "session.event_set_aside")
    buffer.aside.delete([event.id for event in buffer.aside.list()])

def open_and_close():
    EventBuffer.open(directory, "def").close()

def commands():
    with CommandMemory(directory) as memory:
        memory.begin("1", None)
        memory.forget("1")

def work():
    while not ended.is_set():
        {"adopt": adopt, "aside": aside, "open": open_and_close, "commands": commands}[what]()

os.environ["Z4J_TEST_STAT_S"] = sys.argv[3]
thread = threading.Thread(target=work)
thread.start()
stuck = 0
for n in range(10):
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        own = sqlite3.connect(directory / "own.sqlite")
        own.execute("CREATE TABLE IF NOT EXISTS own (n)")
        own.close()
        os._exit(0)
    stuck += os.waitpid(child, 0)[1] != 0
    if stuck:
        break
    ended.wait(0.01)
ended.set()
thread.join()
depth = buffer.depth
buffer.close()
print(stuck, depth)
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that makes the disk of a process slow."""
    return disk_shim(tmp_path_factory.mktemp("shim"))


@pytest.mark.component
@pytest.mark.parametrize("what", ["adopt", "aside", "open", "commands"])
def test_the_child_waits_for_no_mutex_of_a_thread_that_it_does_not_have(
    what: str, shim: Path, tmp_path: Path
) -> None:
    environ = {"LD_PRELOAD": str(shim), "Z4J_TEST_SYNC_S": "none"}  # a busy machine's disk is another test
    result = run_python(FORKS, what, tmp_path, STAT_S, environ=environ)
    assert result.stdout == ("0 240\n" if what == "adopt" else "0 0\n"), (result.stdout, result.stderr)
