"""What a brain does not take: counted always, told only where it takes nothing for long."""

from __future__ import annotations

import pytest

from z4j_fastapi.agent.rejections import SUSPICIOUS_BATCHES, SUSPICIOUS_S, Rejections


def told(
    rejections: Rejections, batches: int, *, every_s: float, sent: int = 3, rejected: object = 3
) -> list[int]:
    """After which of the batches it was time to tell."""
    return [n for n in range(batches) if rejections.acknowledged(sent, rejected, n * every_s)]


def test_a_task_that_is_retried_at_once_is_no_fault() -> None:
    rejections = Rejections()
    assert told(rejections, 100, every_s=0.05, rejected=2) == []
    assert rejections.count == 200


def test_what_was_sent_twice_after_a_lost_connection_is_no_fault() -> None:
    assert told(Rejections(), SUSPICIOUS_BATCHES - 1, every_s=60.0) == []


def test_batches_of_duplicates_within_a_moment_are_no_fault() -> None:
    assert told(Rejections(), 50, every_s=SUSPICIOUS_S / 51) == []


def test_a_brain_that_takes_nothing_is_told_of_once() -> None:
    rejections = Rejections()
    assert told(rejections, 50, every_s=SUSPICIOUS_S / 10) == [10]
    assert rejections.acknowledged(3, 0, 100.0) is False
    assert told(rejections, 50, every_s=SUSPICIOUS_S / 10) == [10]


@pytest.mark.parametrize("said", [None, "3", -1, True, 2.5, {}, [3]])
def test_a_count_that_is_none_counts_nothing(said: object) -> None:
    rejections = Rejections()
    assert told(rejections, 50, every_s=60.0, rejected=said) == []
    assert rejections.count == 0


def test_a_brain_can_not_reject_more_than_it_was_sent() -> None:
    rejections = Rejections()
    rejections.acknowledged(3, 10**30, 0.0)
    assert rejections.count == 3
