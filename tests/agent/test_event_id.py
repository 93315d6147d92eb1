"""The ids of events: no two are the same, in threads, in signal handlers, and on both sides of a fork."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.namespaces import run_python
from z4j_fastapi.agent.event_id import new_event_id


def test_they_are_random_uuids_and_no_two_are_the_same() -> None:
    with ThreadPoolExecutor(4) as threads:
        ids = [
            id_
            for some in threads.map(lambda _: [new_event_id() for _ in range(500)], range(8))
            for id_ in some
        ]
    assert len(set(ids)) == 4000
    found = [uuid.UUID(id_) for id_ in ids]
    assert {(id_.version, id_.variant) for id_ in found} == {(4, uuid.RFC_4122)}
    assert [str(id_) for id_ in found] == ids
    # each bit that is not fixed is as often set as not
    fixed = (0xF << 76) | (0x3 << 62)
    for bit in (bit for bit in range(128) if not fixed >> bit & 1):
        assert 1600 < sum(id_.int >> bit & 1 for id_ in found) < 2400


FORK = """
import os
from z4j_fastapi.agent.event_id import new_event_id
first = new_event_id()  # of many that were drawn
reading, writing = os.pipe()
for _ in range(3):
    if os.fork() == 0:
        os.write(writing, "".join(f"{new_event_id()}\\n" for _ in range(20)).encode())
        os._exit(0)
    os.wait()
os.close(writing)
theirs = open(reading).read().split()
ours = [first, *(new_event_id() for _ in range(100))]
assert len(theirs) == 60
assert len({*theirs, *ours}) == 161
print("ok")
"""


@pytest.mark.component
def test_a_child_process_draws_its_own() -> None:
    result = run_python(FORK)
    assert result.stdout.splitlines() == ["ok"], result.stderr
