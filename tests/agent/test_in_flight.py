"""Batches on their way: pace, room, acknowledgements in any order, and how long a brain may take."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from z4j_fastapi.agent.in_flight import (
    ACK_TIMEOUT_S,
    LEAST_EVENTS,
    MAX_BATCHES,
    MAX_EVENTS,
    START_EVENTS,
    TARGET_S,
    InFlight,
    Pace,
)


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


def test_a_batch_has_as_many_events_as_fit_into_the_target() -> None:
    assert served(Pace(), 0.008, 6)[1:] == [62] * 5


def test_batches_get_no_smaller_than_saves_a_brain_anything() -> None:
    assert served(Pace(), 10.0, 4) == [50, 25, LEAST_EVENTS, LEAST_EVENTS]


@pytest.mark.parametrize("events", [1, 20, START_EVENTS])
def test_one_moment_in_which_a_machine_stood_still_is_not_taken_for_the_brains_pace(events: int) -> None:
    pace = Pace()
    pace.acknowledged(events, 30.0)
    assert pace.events == START_EVENTS // 2
    assert served(pace, 0.008, 3)[1:] == [50, 62]


def test_small_batches_say_nothing_about_what_a_brain_can_bear() -> None:
    pace = Pace()
    for _ in range(10):
        pace.acknowledged(3, 0.001)
    assert pace.events == START_EVENTS


def test_a_brain_that_recovers_is_asked_for_more_again() -> None:
    pace = Pace()
    served(pace, 1.0, 2)
    assert served(pace, 0.0001, 12)[-1] == MAX_EVENTS


@dataclass(frozen=True)
class Sent:
    """A batch of 10 events leaves in the frame with this id."""

    at_s: float
    id: str


@dataclass(frozen=True)
class Acked:
    """The brain acknowledges that id."""

    at_s: float
    id: object


@pytest.mark.parametrize(
    ("what", "waited_s"),
    [
        ([], 0),
        ([Sent(90, "a")], 10),
        ([Sent(90, "a"), Acked(95, "a")], 0),
        ([Sent(90, "a"), Sent(91, "b")], 10),
        ([Sent(90, "a"), Sent(91, "b"), Acked(97, "a")], 3),  # its turn came at 97
        ([Sent(90, "a"), Acked(92, "a"), Sent(95, "b")], 5),
        ([Sent(90, "a"), Sent(91, "b"), Acked(97, "b")], 10),  # passed over
        ([Sent(90, "a"), Sent(91, "b"), Sent(92, "c"), Acked(97, "c"), Acked(98, "a")], 9),
        ([Sent(90, "a"), Sent(91, "b"), Acked(97, "b"), Acked(98, "a")], 0),
        ([Sent(90, "a"), Acked(95, "x"), Acked(96, None), Acked(97, ["a"])], 10),
        ([Sent(90, "a"), Acked(95, "a"), Sent(96, "b"), Acked(97, "a")], 4),  # acknowledged twice
    ],
)
def test_how_long_the_brain_has_been_at_it(what: list[Sent | Acked], waited_s: float) -> None:
    flight = InFlight[str]()
    for step in what:
        if isinstance(step, Sent):
            flight.sent(step.id, "ten events", step.at_s)
        else:
            flight.acknowledged(step.id, step.at_s)
    assert flight.waited_s(100) == waited_s
    limit_s = 100 - waited_s + ACK_TIMEOUT_S
    assert not flight.is_overdue(limit_s)
    assert flight.is_overdue(limit_s + 0.1) is (waited_s > 0)


def test_an_acknowledgement_gives_its_batch_once() -> None:
    flight = InFlight[str]()
    flight.sent("a", "batch", 1.0)
    assert flight.acknowledged("b", 2.0) is None
    assert flight.acknowledged("a", 2.0) == "batch"
    assert flight.acknowledged("a", 2.0) is None


def test_a_batch_is_timed_from_the_moment_of_its_turn() -> None:
    """Else what waits behind a slow batch would make the brain look slow twice."""
    flight = InFlight[range]()
    flight.sent("a", range(START_EVENTS), 0.0)
    flight.sent("b", range(START_EVENTS), 0.0)
    flight.acknowledged("a", TARGET_S)
    flight.acknowledged("b", 1.5 * TARGET_S)  # half of that is its own: quick
    assert flight.wanted_events == 2 * START_EVENTS


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["send", "acknowledge", "acknowledge nothing", "wait"]), st.integers(0, 9)),
    max_size=60,
)


@given(OPERATIONS)
def test_nothing_is_lost_doubled_or_above_the_bounds(operations: list[tuple[str, int]]) -> None:
    flight = InFlight[range]()
    on_their_way: dict[str, range] = {}
    now_s = 0.0
    for n, (operation, argument) in enumerate(operations):
        if operation == "send" and flight.has_room:
            batch = range(n * 1000, n * 1000 + min(argument + 1, flight.wanted_events))
            flight.sent(f"f{n}", batch, now_s)
            on_their_way[f"f{n}"] = batch
        elif operation == "acknowledge" and on_their_way:
            frame_id = list(on_their_way)[argument % len(on_their_way)]
            assert flight.acknowledged(frame_id, now_s) is on_their_way.pop(frame_id)
        elif operation == "acknowledge nothing":
            assert flight.acknowledged(f"g{argument}", now_s) is None
        else:
            now_s += argument * 7.0
        assert len(flight) == len(on_their_way) <= MAX_BATCHES
        assert flight.has_room == (len(on_their_way) < MAX_BATCHES)
        assert LEAST_EVENTS <= flight.wanted_events <= MAX_EVENTS
        assert 0.0 <= flight.waited_s(now_s) <= now_s
        assert (flight.waited_s(now_s) > 0) <= bool(on_their_way)
    assert flight.release() == list(on_their_way.values())
    assert len(flight) == 0
    assert not flight.is_overdue(now_s + 1e6)
