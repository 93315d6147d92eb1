"""How arq's cron jobs say when they are due, held against arq's own idea of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pycron  # type: ignore[import-untyped,unused-ignore]
import pytest
from arq import cron
from hypothesis import given
from hypothesis import strategies as st

from z4j_fastapi.workers.arq.cron import expression, zone_name

START = datetime(2026, 1, 1, tzinfo=UTC)


async def job(ctx: dict[str, Any]) -> None:
    """Never runs."""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"hour": 3, "minute": 30}, "30 3 * * *"),
        ({"hour": 3}, "* 3 * * *"),
        ({}, "* * * * *"),
        ({"second": None}, "* * * * * *"),
        ({"second": {0, 30}}, "0,30 * * * * *"),
        ({"minute": set(range(0, 60, 5))}, "*/5 * * * *"),
        ({"minute": {1, 2, 3, 10}}, "1-3,10 * * * *"),
        ({"minute": list(range(60))}, "* * * * *"),
        ({"weekday": "mon", "minute": 0}, "0 * * * 1"),
        ({"weekday": 6, "minute": 0}, "0 * * * 0"),
        ({"weekday": {0, 1, 2, 3, 4}, "hour": 9, "minute": 0}, "0 9 * * 1-5"),
        ({"month": {1, 7}, "day": 1, "hour": 0, "minute": 0}, "0 0 1 1,7 *"),
        ({"day": 1, "weekday": "mon", "hour": 0, "minute": 0}, "0 0 1 * 1 (both day and weekday)"),
        ({"minute": set()}, "never"),
        ({"hour": 25}, "never"),
    ],
)
def test_a_cron_job_is_an_expression(given: dict[str, Any], expected: str) -> None:
    assert expression(cron(job, **given)) == expected


_field = st.none() | st.integers(0, 23) | st.sets(st.integers(0, 23), min_size=1, max_size=5)


@given(minute=_field, hour=_field, weekday=st.none() | st.integers(0, 6) | st.sampled_from(["sun", "sat"]))
def test_an_expression_is_due_when_arq_runs_the_job(minute: Any, hour: Any, weekday: Any) -> None:
    made = cron(job, minute=minute, hour=hour, weekday=weekday, microsecond=0)
    made.calculate_next(START)
    assert made.next_run is not None
    said = expression(made)
    assert pycron.is_now(said, made.next_run)
    before = made.next_run - timedelta(minutes=1)
    assert before <= START or not pycron.is_now(said, before)


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        (UTC, "UTC"),
        (ZoneInfo("Europe/Berlin"), "Europe/Berlin"),
        (timezone(timedelta(hours=-5, minutes=-30)), "UTC-05:30"),
        (timezone(timedelta(hours=2), "CEST"), "UTC+02:00"),
        (None, "UTC"),
    ],
)
def test_a_zone_has_a_name_or_an_offset(zone: Any, expected: str) -> None:
    assert zone_name(zone) == expected
