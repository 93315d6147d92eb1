"""A worker's own schedules as data: what a real brain asks, what it took, and every order of epochs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from z4j_probes.errors import ProtocolError
from z4j_probes.protocol.schedules import (
    MAX_OWNER,
    Kind,
    Mutation,
    Row,
    Stream,
    capabilities,
    configuration,
    owner_name,
    source_scope,
)
from z4j_probes.protocol.snapshots import MAX_ROWS, Publication, Rows, SnapshotReader, by_key

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "schedule_vectors.json").read_text())
NOW = datetime(2026, 11, 26, tzinfo=UTC)
OWNER = "arq-cron-mail"


def stream(epoch: int = 1) -> Stream:
    return Stream(OWNER, source_scope(OWNER), "s-1", f"e-{epoch}", epoch, f"i-{epoch}")


def rows(*keys: str, runs: int = 0) -> Rows:
    return by_key(
        Row(key, "arq", key, key, Kind.CRON, "0 3 * * *", total_runs=runs).payload(OWNER) for key in keys
    )


class Brain:
    """A page, and the session that tells it: what is kept is what a new process would know."""

    def __init__(self) -> None:
        self.page = SnapshotReader()
        self.kept: Rows = {}
        self.epoch = 0
        self.publication: Publication

    def activate(self, *, lost: bool = False) -> None:
        """A new session; with `lost`, of a process that knows nothing of what was sent."""
        self.epoch += 1
        self.page.activate(stream(self.epoch))
        self.publication = Publication(stream(self.epoch), {} if lost else self.kept)

    def publish(self, wanted: Rows, *, dies_before: str = "") -> bool:
        """Have the page show these; False where the process died or the brain has enough."""
        while not self.publication.is_current(wanted):
            sent = self.publication.pending or self.publication.next(wanted, "test", NOW)
            if sent is None:
                return False
            self.kept = self.publication.sent_rows
            if dies_before == "sending":
                return False
            for frame_id, payload in sent.frames.items():
                (event,) = payload["events"]
                taken = self.page.accept(event)
                if dies_before == "acknowledgement":
                    continue
                if taken is not None:
                    assert self.publication.acknowledged(frame_id, int(not taken))
            if dies_before == "acknowledgement":
                return False
        self.kept = self.publication.sent_rows
        return True


def test_what_a_real_brain_asks_is_read() -> None:
    activated = Stream.read(VECTORS["activation"]["parameters"])
    assert (activated.owner, activated.source_scope) == (OWNER, source_scope(OWNER))
    asked = Mutation.read(VECTORS["mutation"]["parameters"])
    assert (asked.stream, asked.operation, asked.key) == (activated, "trigger", "nightly")
    assert asked.expected is not None
    assert asked.fits({**asked.expected, "total_runs": 7, "last_run_at": "later"})
    assert not asked.fits({**asked.expected, "expression": "1 1 1 1 1"})


def test_what_a_real_brain_took_is_taken_by_the_reader_that_a_dev_brain_has() -> None:
    page = SnapshotReader()
    page.activate(Stream.read(VECTORS["activation"]["parameters"]))
    assert [page.accept(event) for event in VECTORS["events"]] == [True] * len(VECTORS["events"])
    assert page.sequence == 2
    assert page.rows.keys() == {"nightly", "often"}
    # and the row that it sends back is the row that was sent
    asked = Mutation.read(VECTORS["mutation"]["parameters"])
    assert asked.fits(page.rows["nightly"])
    assert VECTORS["result"]["observed_configuration"] == configuration(page.rows["nightly"])


@pytest.mark.parametrize("change", ["schedule", "digest", "stream", "engine"])
def test_a_frame_that_was_changed_on_its_way_is_not_taken(change: str) -> None:
    page = SnapshotReader()
    page.activate(Stream.read(VECTORS["activation"]["parameters"]))
    event = json.loads(json.dumps(VECTORS["events"][0]))
    if change == "engine":
        event["engine"] = "another"
    elif change == "digest":
        event["data"]["frame_digest"] = "0" * 64
    elif change == "schedule":
        event["data"]["external_snapshot_frame"]["schedules"][0]["expression"] = "* * * * *"
    else:
        page.activate(stream(9))
    with contextlib.nullcontext() if change == "stream" else pytest.raises(ProtocolError):
        assert page.accept(event) is False
    assert not page.rows


_DEPLOYMENTS: Mapping[str, list[tuple[str, ...]]] = {
    "the same": [("a", "b"), ("a", "b")],
    "one goes": [("a", "b"), ("a",), ("a",)],
    "one comes": [("a",), ("a", "b")],
    "all go": [("a", "b"), (), ()],
    "one for another": [("a",), ("b",), ("c",)],
    "one goes and comes back": [("a", "b"), ("a",), ("a", "b"), ("a",)],
    "none at first": [(), ("a",), ()],
}


@pytest.mark.parametrize("deployments", _DEPLOYMENTS.values(), ids=_DEPLOYMENTS)
def test_the_page_is_true_after_each_deployment(deployments: list[tuple[str, ...]]) -> None:
    brain = Brain()
    for number, keys in enumerate(deployments):
        brain.activate()
        assert brain.publish(rows(*keys, runs=number))
        assert brain.page.rows == rows(*keys, runs=number)
        assert brain.kept.keys() == set(keys)
        assert not brain.page.is_frozen


@pytest.mark.parametrize("dies_before", ["sending", "acknowledgement"])
@pytest.mark.parametrize("deployments", _DEPLOYMENTS.values(), ids=_DEPLOYMENTS)
def test_a_process_may_die_at_any_point(deployments: list[tuple[str, ...]], dies_before: str) -> None:
    brain = Brain()
    for keys in deployments:
        for _ in range(2):
            brain.activate()
            assert not brain.publish(rows(*keys), dies_before=dies_before)
        brain.activate()
        assert brain.publish(rows(*keys))
        assert brain.page.rows == rows(*keys)


def test_without_what_was_kept_a_removed_schedule_freezes_the_page_and_that_is_said() -> None:
    brain = Brain()
    brain.activate()
    assert brain.publish(rows("a", "b"))
    brain.activate(lost=True)
    assert not brain.publish(rows("a"))
    assert brain.publication.is_rejected
    assert brain.publication.next(rows("a", "b"), "test", NOW) is None
    assert brain.page.rows == rows("a", "b")


def test_behind_a_gap_nothing_is_acknowledged_and_the_same_snapshot_is_sent_again() -> None:
    brain = Brain()
    brain.activate()
    assert brain.publish(rows("a"))
    pending = brain.publication.next(rows("a", runs=1), "test", NOW)
    assert pending is not None
    brain.page.sequence -= 1  # as if the brain had not got the one before
    assert [brain.page.accept(payload["events"][0]) for payload in pending.frames.values()] == [None, None]
    assert brain.publication.next(rows("a", runs=2), "test", NOW) is None
    assert brain.publication.pending is pending
    brain.page.sequence += 1
    assert brain.publish(rows("a", runs=2))
    assert brain.page.sequence == 3


def test_an_acknowledgement_of_something_else_changes_nothing() -> None:
    brain = Brain()
    brain.activate()
    pending = brain.publication.next(rows("a"), "test", NOW)
    assert pending is not None
    for frame_id in ("x", None, 7):
        assert not brain.publication.acknowledged(frame_id, 0)
    assert brain.publication.pending is pending


def test_many_schedules_leave_in_frames_that_any_brain_takes() -> None:
    brain = Brain()
    brain.activate()
    many = rows(*(f"job-{number:04}" for number in range(MAX_ROWS)))
    pending = brain.publication.next(many, "test", NOW)
    assert pending is not None
    sizes = [len(json.dumps(payload).encode()) for payload in pending.frames.values()]
    assert len(sizes) > 2
    assert max(sizes) < 14 * 1024
    assert brain.publish(many)
    assert brain.page.rows == many


def test_a_row_has_one_line_and_moments_in_utc() -> None:
    moment = datetime(2026, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=2)))
    row = Row("k\n", "arq", "n" * 999, "t", Kind.CRON, "e" * 999, last_run_at=moment).payload(OWNER)
    assert (row["source_key"], len(row["name"]), len(row["expression"])) == ("k", 200, 200)
    assert row["last_run_at"] == "2026-01-02T01:04:00.000000+00:00"


def test_an_owner_is_named_after_its_service_and_stays_unique_when_it_is_cut() -> None:
    assert owner_name("arq-cron", "mail") == OWNER
    long = [owner_name("arq-cron", f"{'x' * 60}{number}") for number in range(2)]
    assert [len(owner) for owner in long] == [MAX_OWNER, MAX_OWNER]
    assert long[0] != long[1]


def test_edits_are_not_offered() -> None:
    offered = {*capabilities(run_now=True)}
    assert "trigger_now" in offered
    assert not offered & {"create", "update", "delete", "enable", "disable"}
    assert "trigger_now" not in capabilities(run_now=False)


@pytest.mark.parametrize(
    ("field", "value"),
    [("owner", ""), ("owner", 7), ("stream_id", "a\nb"), ("epoch_number", 0), ("epoch_number", True)],
)
def test_what_is_not_an_activation_is_named_by_its_field(field: str, value: object) -> None:
    with pytest.raises(ProtocolError, match=field):
        Stream.read({**VECTORS["activation"]["parameters"], field: value})
