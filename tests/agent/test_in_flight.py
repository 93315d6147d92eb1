"""How the size of batches follows the brain."""

from __future__ import annotations

from z4j_fastapi.agent.in_flight import MAX_EVENTS, START_EVENTS, TARGET_S, Pace


def served(pace: Pace, per_event_s: float, batches: int) -> list[int]:
    sizes = []
    for _ in range(batches):
        sizes.append(pace.events)
        pace.acknowledged(pace.events, pace.events * per_event_s)
    return sizes


def test_a_fast_brain_soon_gets_the_largest_batches() -> None:
    assert served(Pace(), 0.00001, 6) == [50, 100, 200, 400, 500, 500]


def test_a_slow_brain_is_never_busy_for_longer_than_the_target_for_long() -> None:
    sizes = served(Pace(), 0.02, 6)
    assert sizes[0] == START_EVENTS
    assert all(size * 0.02 <= TARGET_S for size in sizes[1:])


def test_a_batch_that_takes_ages_still_leaves_one_event_a_batch() -> None:
    assert served(Pace(), 10.0, 3)[-1] == 1


def test_small_batches_say_nothing_about_what_a_brain_can_bear() -> None:
    pace = Pace()
    for _ in range(10):
        pace.acknowledged(3, 0.001)
    assert pace.events == START_EVENTS


def test_a_brain_that_recovers_is_asked_for_more_again() -> None:
    pace = Pace()
    served(pace, 1.0, 2)
    assert served(pace, 0.0001, 12)[-1] == MAX_EVENTS
