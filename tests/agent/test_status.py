"""The board: what its snapshots say as an agent lives, and that no one writes after the end."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import pytest

import z4j_fastapi
from z4j_fastapi.agent.status import AgentStatus, State, StatusBoard
from z4j_probes import Report


@dataclass
class Counts:
    """Stands where a buffer does, which other tests have for real."""

    depth: int = 0
    dropped: int = 0
    not_durable: int = 0


def report() -> Report:
    return Report(version="", started_at=datetime.now(UTC), duration_ms=1.0, config={}, results=())


def test_a_new_board_is_of_an_agent_that_was_not_entered() -> None:
    status = StatusBoard().snapshot()
    assert (status.state, status.code, status.reason, status.buffered) == (State.STOPPED, "", "", 0)


def test_counts_are_asked_for_at_each_look_and_frozen_at_the_end() -> None:
    board, counts = StatusBoard(missed=2), Counts()
    board.opened(counts, "/var/lib/z4j", "host.web.0")
    counts.depth, counts.dropped, counts.not_durable = 5, 1, 4
    assert (board.snapshot().buffered, board.snapshot().dropped) == (5, 3)
    assert board.snapshot().to_dict()["not_durable"] == 4
    board.close()
    counts.depth = 0
    assert (board.snapshot().buffered, board.snapshot().dropped) == (5, 3)
    board.missed += 1
    assert board.snapshot().dropped == 4


def test_a_failure_is_gone_once_it_is_online_and_the_report_stays() -> None:
    board, climbed = StatusBoard(), report()
    board.change(State.OFFLINE, "tcp.refused", "connection refused", report=climbed)
    board.change(State.OFFLINE, "signing.unexpected", "an error of ours")
    assert board.snapshot().report is climbed
    board.change(State.ONLINE, session_id="s-1")
    status = board.snapshot()
    assert (status.state, status.code, status.reason, status.session_id) == (State.ONLINE, "", "", "s-1")


@pytest.mark.parametrize("state", [State.ONLINE, State.OFFLINE, State.DISABLED])
def test_the_verdict_is_there_with_the_first_state_behind_the_start(state: State) -> None:
    board = StatusBoard()
    board.change(State.STARTING)
    assert not board.decided.done()
    board.change(state)
    assert board.decided.done()


def test_a_thread_that_outlives_its_agent_writes_nothing() -> None:
    board = StatusBoard()
    board.change(State.ONLINE)
    board.close()
    end = board.snapshot()
    board.change(State.OFFLINE, "session.lost", "too late")
    board.opened(Counts(depth=3), "/var/lib/z4j", "host.web.0")
    board.buffer_changed("buffer.disk_full", None)
    board.has_set_aside(1)
    board.renamed("host.web.1")
    assert board.snapshot() == end
    assert (end.state, end.code, board.state) == (State.STOPPED, "", State.STOPPED)


def test_what_switched_an_agent_off_is_still_told_after_the_end() -> None:
    board = StatusBoard()
    board.change(State.DISABLED, "config.missing", "no token")
    board.close()
    assert (board.snapshot().state, board.snapshot().code) == (State.DISABLED, "config.missing")


def test_a_child_process_and_a_dead_thread_are_told_without_being_written() -> None:
    board = StatusBoard()
    board.change(State.ONLINE, session_id="s-1")
    forked, dead = board.snapshot(is_forked=True), board.snapshot(is_dead=True)
    assert (forked.state, forked.reason) == (State.DISABLED, "this process was forked off")
    assert (dead.state, dead.session_id) == (State.OFFLINE, None)
    assert board.snapshot().state is State.ONLINE


def test_each_field_is_in_the_json() -> None:
    board = StatusBoard()
    document = board.snapshot().to_dict()
    assert set(document) == {field.name for field in fields(AgentStatus)}
    json.dumps(document)


def test_no_other_module_makes_a_status() -> None:
    root = Path(inspect.getfile(z4j_fastapi)).parent
    makers = [p.name for p in root.rglob("*.py") if "AgentStatus(" in p.read_text()]
    assert makers == ["status.py"]
