"""What a heartbeat tells is what a brain reads, whatever a worker's tasks and queues are called."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from z4j_probes.protocol.health import (
    MAX_ACTIVE,
    MAX_DETAILS_BYTES,
    MAX_QUEUES,
    RunningTask,
    WorkerDetails,
    fitted,
    queue_depths,
    read_queue_depths,
    read_worker_details,
    worker_details,
)


def told(details: WorkerDetails, **more: Any) -> dict[str, Any]:
    given = {"pid": 7, "uptime_s": 61.9, "load": (0.5, 1.234, 2.0), "zone": "UTC", **more}
    return read_worker_details(worker_details("w", details, **given))["w"]


def test_a_worker_is_told_without_what_its_tasks_were_given() -> None:
    details = WorkerDetails(4, ["jobs"], ["b", "a"], [RunningTask("1", "a", 2.04)], {"a": 3})
    assert told(details) == {
        "stats": {
            "pid": 7,
            "pool": {"max-concurrency": 4},
            "uptime": 61,
            "total": {"a": 3},
            "loadavg": [0.5, 1.23, 2.0],
        },
        "active": [{"id": "1", "name": "a", "runtime": 2.0}],
        "active_queues": [{"name": "jobs"}],
        "registered": ["a", "b"],
        "conf": {"timezone": "UTC", "worker_concurrency": 4},
    }


def test_what_is_not_known_is_left_out_and_never_null() -> None:
    text = worker_details("w", WorkerDetails(None, [], []), pid=7, uptime_s=0, load=None, zone="UTC")
    assert "null" not in text
    assert "pool" not in text or '"pool": {}' in text


@given(st.dictionaries(st.text(), st.integers(), max_size=20))
def test_depths_are_read_whatever_a_queue_is_called(depths: dict[str, int]) -> None:
    read = read_queue_depths(queue_depths(depths))
    assert all(depth >= 0 for depth in read.values())
    assert len(read) <= len(depths)


def test_there_is_a_bound_for_everything() -> None:
    names = [str(number) + 600 * "\U0001f600" for number in range(5_000)]
    active = [RunningTask(name, name, 1.0) for name in names]
    details = WorkerDetails(1, names, names, active, dict.fromkeys(names, 1))
    text = worker_details("w", details, pid=1, uptime_s=1, load=None, zone="UTC")
    assert len(text) <= MAX_DETAILS_BYTES
    assert 0 < len(read_worker_details(text)["w"]["active"]) <= MAX_ACTIVE
    assert len(read_queue_depths(queue_depths(dict.fromkeys(map(str, range(5_000)), 1)))) == MAX_QUEUES


def test_what_does_not_fit_into_a_frame_is_left_out() -> None:
    texts = {"buffer": "ok", "arq.queue_depths": '{"q": 1}', "arq.worker_details": "x" * 10_000}
    assert fitted(texts, 1_000) == {"buffer": "ok", "arq.queue_depths": '{"q": 1}'}
    assert fitted(texts, 20_000) == texts
    assert fitted(texts, 0) == {}


@pytest.mark.parametrize("text", ["[]", '{"q": null}', '{"q": true}', '{"q": 1.5}', "nonsense"])
def test_depths_that_a_brain_would_not_read_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_queue_depths(text)


@pytest.mark.parametrize("text", ["[]", '{"w": null}', "nonsense"])
def test_details_that_a_brain_would_not_read_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_worker_details(text)
