"""When an agent climbs again."""

from __future__ import annotations

import pytest

from z4j_fastapi.agent.reconnect import LIMITED, QUICK, SLOW, STABLE_S, UPGRADE, Backoff, schedule_for
from z4j_probes.codes import CATALOGUE


def longest(low: float, high: float) -> float:
    assert low == 0.0
    return high


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("tcp.refused", [5, 10, 20, 30, 30]),
        ("websocket.closed", [5, 10, 20, 30, 30]),
        ("auth.token_rejected", [10, 20, 40, 80, 160, 320, 600, 600]),
        ("auth.address_refused", [10, 20, 40, 80, 160, 320, 600, 600]),
        ("auth.rate_limited", [10, 20, 40, 80, 120, 120]),
        ("auth.version_skew", [120, 240, 480, 960, 1920, 3600, 3600]),
        ("auth.protocol_unsupported", [120, 240, 480, 960, 1920, 3600, 3600]),
    ],
)
def test_delays_double_up_to_the_cap_of_their_kind(code: str, expected: list[float]) -> None:
    backoff = Backoff(longest)
    assert [backoff.next_s(code) for _ in expected] == expected


def test_every_delay_is_drawn_from_nothing_to_its_ceiling() -> None:
    asked: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        asked.append((low, high))
        return low

    backoff = Backoff(draw)
    assert backoff.next_s("tcp.refused") == 0.0
    assert asked == [(0.0, 5.0)]


def test_a_stable_session_forgets_the_failures_before_it() -> None:
    backoff = Backoff(longest)
    backoff.next_s("tcp.refused")
    backoff.next_s("tcp.refused")
    backoff.session_lasted(STABLE_S)
    assert backoff.next_s("websocket.closed") == 5


def test_failures_of_another_kind_begin_another_schedule() -> None:
    backoff = Backoff(longest)
    for _ in range(12):
        backoff.next_s("tcp.refused")
    assert backoff.next_s("auth.version_skew") == 120
    assert backoff.next_s("auth.token_rejected") == 10
    assert backoff.next_s("auth.address_refused") == 20


def test_failures_that_alternate_are_counted_all_the_same() -> None:
    backoff = Backoff(longest)
    waited = [backoff.next_s(code) for _ in range(4) for code in ("tcp.refused", "auth.rate_limited")]
    assert waited == [5, 10, 10, 20, 20, 40, 30, 80]


def test_a_session_that_flaps_does_not() -> None:
    backoff = Backoff(longest)
    backoff.next_s("tcp.refused")
    backoff.session_lasted(STABLE_S / 2)
    assert backoff.next_s("websocket.closed") == 10


def test_a_thousand_failures_in_a_row_are_no_overflow() -> None:
    backoff = Backoff(longest)
    assert [backoff.next_s("tcp.refused") for _ in range(5000)][-1] == QUICK.cap_s


def test_each_code_with_a_schedule_of_its_own_is_in_the_catalogue() -> None:
    special = {code for code in CATALOGUE if schedule_for(code) is not QUICK}
    assert {"auth.token_rejected", "signing.secret_wrong"} <= special
    assert {schedule_for(code) for code in special} == {LIMITED, SLOW, UPGRADE}
