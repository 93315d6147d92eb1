"""Events that are set aside: they hold up no other, are bounded, can be listed, sent again and deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.namespaces import run_python
from z4j_fastapi.buffer import EventBuffer, SetAside, aside


def test_of_a_batch_the_bad_one_is_set_aside_and_the_others_come_again(tmp_path: Path) -> None:
    buffer = EventBuffer.open(tmp_path, "abc")
    for n in range(4):
        buffer.append(str(n))
    batch = buffer.claim(3, 100)
    assert buffer.set_aside(batch, "session.event_set_aside", [1]) == 1
    assert buffer.set_aside(batch, "session.event_set_aside", [1]) == 0  # it has ended
    assert buffer.claim(10, 100).payloads == ("0", "2", "3")
    assert (buffer.depth, buffer.dropped) == (3, 0)
    assert buffer.aside
    (event,) = buffer.aside.list()
    assert (event.json, event.code) == ("1", "session.event_set_aside")
    assert "1" not in repr(event).replace(str(event.id), "")
    buffer.close()
    again = EventBuffer.open(tmp_path, "abc")
    assert again.claim(10, 100).payloads == ("0", "2", "3")
    assert again.aside
    assert again.aside.count() == 1
    assert again.append(event.json)
    assert again.aside.delete([event.id]) == 1
    assert again.aside.list() == []
    again.close()


def test_there_is_a_bound_and_what_is_above_it_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aside, "MAX_EVENTS", 3)
    buffer = EventBuffer.open(tmp_path, "abc")
    for n in range(5):
        buffer.append(str(n))
    assert buffer.set_aside(buffer.claim(10, 100), "x") == 3
    assert (buffer.depth, buffer.dropped) == (0, 2)
    assert [event.json for event in SetAside(tmp_path / "abc").list()] == ["0", "1", "2"]
    monkeypatch.setattr(aside, "MAX_BYTES", 10)
    monkeypatch.setattr(aside, "MAX_EVENTS", 100)
    assert SetAside(tmp_path / "abc").add(["x" * 7, "y"], "x") == 1
    assert oct((tmp_path / "abc" / "aside.sqlite").stat().st_mode & 0o777) == "0o600"
    buffer.close()


def test_without_a_file_it_is_counted_as_dropped() -> None:
    buffer = EventBuffer.open(None, "abc")
    buffer.append("1")
    assert buffer.set_aside(buffer.claim(1, 10), "x") == 0
    assert (buffer.depth, buffer.dropped, buffer.aside) == (0, 1, None)
    buffer.close()


UNREADABLE = """
import os, sys
from pathlib import Path
from z4j_fastapi.buffer import SetAside
from z4j_probes import StorageError
directory = Path(sys.argv[1])
(directory / "inside").mkdir()
os.chmod(directory, 0)
if os.getuid() == 0:
    os.setuid(65534)
aside = SetAside(directory / "inside")
for use in (aside.count, aside.list, lambda: aside.delete([1]), lambda: aside.add(["1"], "x")):
    try:
        use()
    except StorageError as exc:
        print(exc.code)
"""


@pytest.mark.component
def test_a_directory_that_can_not_be_entered_is_a_storage_error(tmp_path: Path) -> None:
    result = run_python(UNREADABLE, tmp_path)
    tmp_path.chmod(0o700)
    assert result.stdout.split() == ["buffer.unwritable"] * 4, result.stderr
