"""Rows from documents of any kind: another user, or another version, may have written them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import parser as classic
from prometheus_client.openmetrics import parser as openmetrics

from z4j_fastapi.cli.status_table import lines
from z4j_fastapi.inventory.metrics import render
from z4j_fastapi.inventory.processes import Program, Unwired
from z4j_fastapi.inventory.rows import MAX_TEXT, AgentRow
from z4j_fastapi.inventory.survey import Survey
from z4j_fastapi.reports.table import plain
from z4j_probes import Status, Step

SAID: dict[str, Any] = {"format": "z4j.agent/1", "pid": 4711, "state": "online"}


def row(**fields: Any) -> AgentRow:
    made = AgentRow.parse(SAID | fields, 0)
    assert made is not None
    return made


def surveyed(*rows: AgentRow, unwired: tuple[Unwired, ...] = ()) -> Survey:
    return Survey(datetime.now(UTC), "host", "root", rows, unwired)


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({}, Status.PASS),
        ({"state": "starting"}, Status.WARN),
        ({"set_aside": 1}, Status.WARN),
        ({"code": "session.unacknowledged", "unacknowledged_s": 31}, Status.WARN),
        ({"code": "session.unacknowledged", "unacknowledged_s": 61}, Status.FAIL),
        ({"buffer_fault": "buffer.disk_full"}, Status.FAIL),
        ({"state": "offline", "code": "tcp.refused"}, Status.FAIL),
        ({"state": "disabled"}, Status.FAIL),
        ({"dropped": 9, "rejected": 9}, Status.PASS),  # of earlier days; of a brain that knows them
    ],
)
def test_the_verdict_is_whether_it_delivers(fields: dict[str, Any], verdict: Status) -> None:
    assert row(**fields).verdict is verdict
    assert surveyed(row(**fields)).ok is (verdict is not Status.FAIL)


@pytest.mark.parametrize("document", [{}, {"format": "other/1"}, SAID | {"pid": "x"}, SAID | {"state": 1}])
def test_what_no_agent_has_written_is_no_row(document: dict[str, Any]) -> None:
    assert AgentRow.parse(document, 0) is None


ODD = ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2026-01-01", 10**400, -1, 1e308]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.sampled_from(ODD)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
NAMES = [
    "since",
    "next_attempt_at",
    "last_acknowledged_at",
    "buffered",
    "code",
    "reason",
    "agent_name",
    "commands",
    "reconnects",
    "latency",
    "files",
    "brain_url",
    "unacknowledged_s",
    "role",
    "buffer_fault",
    "dropped",
]


LATENCY = st.fixed_dictionaries(
    {"bounds": st.lists(LEAVES, max_size=2), "counts": st.lists(LEAVES, max_size=3), "sum_s": LEAVES}
)
COUNTS = st.dictionaries(st.text('a\n\r\x85"\\', max_size=2), LEAVES, max_size=4)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES), LATENCY, COUNTS)
def test_whatever_a_file_says_the_table_and_both_kinds_of_metrics_can_be_read(
    fields: dict[str, Any], latency: dict[str, Any], counts: dict[str, Any]
) -> None:
    rows = [row(**{"latency": latency, "reconnects": counts, **fields})]
    found = surveyed(*rows)
    table = plain(lines(found, width=80, encoding="utf-8"))
    assert all(character.isprintable() or character == "\n" for character in table)
    assert max(map(len, table.splitlines())) <= 110
    json.dumps(found.to_dict())
    list(openmetrics.text_string_to_metric_families(render(rows)))  # type: ignore[no-untyped-call]
    list(classic.text_string_to_metric_families(render(rows, openmetrics=False)))
    series = [line.rpartition(" ")[0] for line in render(rows).splitlines() if not line.startswith("#")]
    assert len(series) == len(set(series))  # or a collector refuses all of it


def test_a_long_text_is_cut() -> None:
    assert len(row(reason="x" * 100_000).reason) == MAX_TEXT


def test_what_is_wrong_stands_below_its_row_with_the_next_attempt() -> None:
    later = datetime.now(UTC).replace(year=datetime.now(UTC).year + 1).isoformat()
    failed = row(state="offline", code="tcp.refused", reason="connection refused", next_attempt_at=later)
    full = row(pid=4712, buffer_fault="buffer.disk_full", buffered=4_000_000)
    table = plain(lines(surveyed(failed, full), width=80, encoding="utf-8"))
    assert "      tcp.refused: connection refused; next attempt in 36" in table
    assert "      buffer.disk_full: events are kept only in memory" in table
    assert " 4 M " in table
    assert table.endswith("2 agents: 1 offline, 1 online.\n")


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_the_table_fits_from_narrow_to_wide(width: int) -> None:
    step = Step("Add the decorator to the class shop.mail.WorkerSettings", "@z4j_worker")
    unwired = Unwired(99, 0, Program("arq", "shop.mail.WorkerSettings"), "mail.service", (step,))
    long = row(agent_name="a-long-name" * 9, brain_url="https://brain.example/" + "x" * 99)
    found = surveyed(long, unwired=(unwired,))
    assert plain(lines(found, width=width, encoding="ascii")).isascii()
    table = plain(lines(found, width=width, encoding="utf-8"))
    shown = [line for line in table.splitlines() if "more" not in line]
    longest_command = 72
    assert max(map(len, shown)) <= max(width, longest_command)
    assert "DROPPED" in table or width < 60
