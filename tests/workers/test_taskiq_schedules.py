"""What a worker knows of taskiq's schedules, and running one now, with a broker in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from taskiq import InMemoryBroker, ScheduledTask, ScheduleSource

from z4j_fastapi.commands.engine import Refused
from z4j_fastapi.commands.schedule_source import Row
from z4j_fastapi.workers.taskiq.next_run import NextRuns
from z4j_fastapi.workers.taskiq.schedules import Schedules

RUNS: list[tuple[Any, ...]] = []
NIGHTLY: dict[str, Any] = {"cron": "30 3 * * *", "cron_offset": "Europe/Berlin", "kwargs": {"what": "n"}}


def broker_with(*schedules: Any) -> InMemoryBroker:
    RUNS.clear()
    broker = InMemoryBroker(await_inplace=True)

    @broker.task(task_name="note", schedule=list(schedules))
    async def note(*args: Any, **kwargs: Any) -> None:
        RUNS.append((args, kwargs))

    return broker


async def rows_of(schedules: Schedules) -> dict[str, Row]:
    return {row.key: row for row in await schedules.rows()}


async def test_a_schedule_in_a_label_is_known_by_what_it_says() -> None:
    first, second = (Schedules(broker_with(NIGHTLY), None) for _ in range(2))
    assert first.has_any
    ((key, row),) = (await rows_of(first)).items()
    assert (await rows_of(second)).keys() == {key}
    assert (row.kind, row.expression, row.timezone) == ("cron", "30 3 * * *", "Europe/Berlin")
    assert row.kwargs == {"what": "n"}
    assert row.next_run_at is not None
    assert row.next_run_at.astimezone(UTC).minute == 30


@pytest.mark.parametrize(
    ("given", "kind", "expression"),
    [
        ({"interval": 90}, "interval", "90s"),
        ({"interval": timedelta(minutes=2)}, "interval", "120s"),
        ({"time": datetime(2030, 1, 1, tzinfo=UTC)}, "clocked", "2030-01-01T00:00:00+00:00"),
        ({"cron": "* * * * *", "cron_offset": timedelta(hours=1)}, "cron", "* * * * * (shifted by 1:00:00)"),
        ({"cron": "not one"}, "cron", "not one"),
    ],
)
async def test_each_kind_has_its_expression(given: dict[str, Any], kind: str, expression: str) -> None:
    (row,) = await Schedules(broker_with(given), None).rows()
    assert (row.kind, row.expression) == (kind, expression)


@pytest.mark.parametrize("odd", [{}, {"every": 5}, "* * * * *", None, 7])
async def test_what_is_not_a_schedule_is_passed_over(odd: Any) -> None:
    assert len(await Schedules(broker_with(odd, NIGHTLY, odd), None).rows()) == 1


async def test_two_schedules_of_one_task_have_a_name_each() -> None:
    rows = await Schedules(broker_with(NIGHTLY, {"interval": 5}), None).rows()
    assert len({row.name for row in rows}) == 2
    assert all(row.name.startswith("note ") for row in rows)


async def test_one_is_run_with_its_own_arguments_and_never_with_its_label() -> None:
    schedules = Schedules(broker_with(NIGHTLY), None)
    (key,) = await rows_of(schedules)
    await schedules.run_now(key, "t-1")
    assert RUNS == [((), {"what": "n"})]
    with pytest.raises(Refused, match="no longer has this schedule"):
        await schedules.run_now("gone", "t-2")


class Listed(ScheduleSource):
    """A source of a host's own."""

    def __init__(self, *tasks: ScheduledTask) -> None:
        self._tasks = tasks

    async def get_schedules(self) -> list[ScheduledTask]:
        return list(self._tasks)


class ListRedisScheduleSource(Listed):
    """By its name: one that lists a moment only when that has come."""


def task(schedule_id: str, **when: Any) -> ScheduledTask:
    given: dict[str, Any] = {"labels": {}, "args": ["a"], "kwargs": {}, **when}
    return ScheduledTask(task_name="note", schedule_id=schedule_id, **given)


async def test_sources_are_shown_instead_of_labels_and_by_their_own_ids() -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    sources: Sequence[Any] = [
        Listed(task("s-1", cron="* * * * *"), task("s-2", time=moment)),
        ListRedisScheduleSource(task("s-3", interval=5), task("s-4", time=moment)),
    ]
    schedules = Schedules(broker_with(NIGHTLY), sources)
    assert (await rows_of(schedules)).keys() == {"s-1", "s-2", "s-3"}
    await schedules.run_now("s-1", "t-1")
    assert RUNS == [(("a",), {})]


async def test_a_source_that_fails_is_an_error_and_not_an_empty_page() -> None:
    class Broken(Listed):
        async def get_schedules(self) -> list[ScheduledTask]:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await Schedules(broker_with(), [Broken()]).rows()


async def test_a_next_run_is_the_next_minute_that_the_scheduler_would_take() -> None:
    runs = NextRuns()
    now = datetime.now(UTC)
    found = await runs.of("* * * * *", None)
    assert found is not None
    assert timedelta(0) < found - now <= timedelta(minutes=1)
    assert await runs.of("0 0 30 2 *", None) is None
    assert await runs.of("* * * * *", "No/Where") is None
    shifted = await runs.of("0 12 * * *", timedelta(hours=2))
    assert shifted is not None
    assert shifted.hour == 10
