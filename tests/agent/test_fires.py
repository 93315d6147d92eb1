"""What the log says about fires that are not answered: enough, and not more."""

from __future__ import annotations

import uuid

import pytest

from tests.support.agents import errors
from z4j_fastapi.agent.fires import SAME_SCHEDULE_EVERY_S, UnansweredFires


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_schedule_is_told_of_at_once_and_then_once_an_hour(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    fires, schedule = UnansweredFires(clock), str(uuid.uuid4())
    while clock.now_s < 2 * SAME_SCHEDULE_EVERY_S:
        fires.note(schedule)
        clock.now_s += 15
    first, second = errors(caplog)
    assert schedule in first
    assert "(1 so far)" in first
    assert f"({1 + SAME_SCHEDULE_EVERY_S / 15:.0f} so far)" in second


def test_each_schedule_is_told_of(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    fires, schedules = UnansweredFires(clock), [str(uuid.uuid4()) for _ in range(3)]
    for schedule in schedules:
        fires.note(schedule)
        clock.now_s += 2
    assert [schedule in said for schedule, said in zip(schedules, errors(caplog), strict=True)] == [True] * 3


def test_a_flood_is_one_record_a_second(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    fires = UnansweredFires(clock)
    for _ in range(1000):
        fires.note(str(uuid.uuid4()))
        clock.now_s += 0.01
    assert len(errors(caplog)) <= 11
    assert fires.count == 1000


@pytest.mark.parametrize("target_id", [None, 1, ["x"], "a\nERROR forged", "x" * 1_000_000])
def test_an_id_that_is_none_is_not_repeated(target_id: object, caplog: pytest.LogCaptureFixture) -> None:
    UnansweredFires().note(target_id)
    (said,) = errors(caplog)
    assert "so schedule (without an id) does" in said
