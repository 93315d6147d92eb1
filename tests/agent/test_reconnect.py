"""When an agent climbs again."""

from __future__ import annotations

import pytest

from z4j_fastapi.agent.reconnect import QUICK, STABLE_S, Backoff, healing_of, names_a_buffer
from z4j_probes.codes import CATALOGUE, Code, Heals, lookup, outcome


def longest(low: float, high: float) -> float:
    assert low == 0.0
    return high


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("tcp.refused", [5, 10, 20, 30, 30]),
        ("session.lost", [5, 10, 20, 30, 30]),
        ("auth.token_rejected", [10, 20, 40, 80, 160, 320, 600, 600]),
        ("auth.address_refused", [10, 20, 40, 80, 160, 320, 600, 600]),
        ("auth.rate_limited", [10, 20, 40, 80, 120, 120]),
        ("auth.version_skew", [120, 240, 480, 960, 1920, 3600, 3600]),
        ("auth.protocol_unsupported", [120, 240, 480, 960, 1920, 3600, 3600]),
    ],
)
def test_delays_double_up_to_the_cap_of_their_kind(code: str, expected: list[float]) -> None:
    backoff = Backoff(longest)
    assert [backoff.next_s(lookup(code).heals) for _ in expected] == expected


def test_every_delay_is_drawn_from_nothing_to_its_ceiling() -> None:
    asked: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        asked.append((low, high))
        return low

    backoff = Backoff(draw)
    assert backoff.next_s(lookup("tcp.refused").heals) == 0.0
    assert asked == [(0.0, 5.0)]


def test_a_stable_session_forgets_the_failures_before_it() -> None:
    backoff = Backoff(longest)
    backoff.next_s(lookup("tcp.refused").heals)
    backoff.next_s(lookup("tcp.refused").heals)
    backoff.session_lasted(STABLE_S)
    assert backoff.next_s(lookup("session.lost").heals) == 5


def test_failures_of_another_kind_begin_another_schedule() -> None:
    backoff = Backoff(longest)
    for _ in range(12):
        backoff.next_s(lookup("tcp.refused").heals)
    assert backoff.next_s(lookup("auth.version_skew").heals) == 120
    assert backoff.next_s(lookup("auth.token_rejected").heals) == 10
    assert backoff.next_s(lookup("auth.address_refused").heals) == 20


def test_failures_that_alternate_are_counted_all_the_same() -> None:
    backoff = Backoff(longest)
    waited = [
        backoff.next_s(lookup(code).heals) for _ in range(4) for code in ("tcp.refused", "auth.rate_limited")
    ]
    assert waited == [5, 10, 10, 20, 20, 40, 30, 80]


def test_a_session_that_flaps_does_not() -> None:
    backoff = Backoff(longest)
    backoff.next_s(lookup("tcp.refused").heals)
    backoff.session_lasted(STABLE_S / 2)
    assert backoff.next_s(lookup("session.lost").heals) == 10


def test_a_thousand_failures_in_a_row_are_no_overflow() -> None:
    backoff = Backoff(longest)
    assert [backoff.next_s(lookup("tcp.refused").heals) for _ in range(5000)][-1] == QUICK.cap_s


@pytest.mark.parametrize("heals", [h for h in Heals if h is not Heals.NOT_IN_THIS_PROCESS])
def test_whatever_heals_has_a_schedule(heals: Heals) -> None:
    assert Backoff(longest).next_s(heals) > 0


def test_how_the_codes_heal() -> None:
    by_kind = {kind: {code for code, row in CATALOGUE.items() if row.heals is kind} for kind in Heals}
    assert {"tcp.refused", "tls.expired", "config.ca_unreadable"} <= by_kind[Heals.BY_ITSELF]
    assert {"auth.token_rejected", "signing.secret_wrong"} <= by_kind[Heals.BY_A_PERSON]
    assert by_kind[Heals.BY_WAITING] == {"auth.rate_limited", "websocket.rate_limited"}
    assert by_kind[Heals.BY_AN_UPGRADE] == {"auth.protocol_unsupported", "auth.version_skew"}
    assert {lookup(code).probe for code in by_kind[Heals.NOT_IN_THIS_PROCESS]} == {"config"}


def test_the_code_of_a_plug_in_that_says_nothing_heals_by_itself() -> None:
    assert Code("plugged.broken", "it is broken").heals is Heals.BY_ITSELF


ITSELF, NEVER = Heals.BY_ITSELF, Heals.NOT_IN_THIS_PROCESS


@pytest.mark.parametrize(
    ("problems", "heals", "is_named"),
    [
        ([("config.ca_unreadable", "ca_file")], ITSELF, True),
        ([("config.secret_unreadable", "token")], ITSELF, True),
        ([("config.secret_unreadable", "hmac_secret")], NEVER, True),  # not a file's name, but the secret
        ([("config.token_malformed", "token"), ("config.unknown_variable", "hmac_secret")], ITSELF, True),
        ([("config.secret_malformed", "hmac_secret")], NEVER, True),
        ([("config.ca_unreadable", "ca_file"), ("config.invalid_url", "brain_url")], NEVER, False),
        ([("config.invalid_value", "proxy")], NEVER, True),
        ([("config.missing", "brain_url")], NEVER, False),
        # no thread or descriptor for the look at the settings, a mount that does not answer
        ([], ITSELF, True),
    ],
)
def test_what_is_wrong_in_a_file_heals_and_what_an_argument_says_does_not(
    problems: list[tuple[str, str]], heals: Heals, is_named: bool
) -> None:
    listed = [{"code": code, "setting": setting} for code, setting in problems]
    failure = outcome(
        "config.unexpected" if not listed else listed[0]["code"], "", details={"problems": listed}
    )
    assert healing_of(failure, {"token"}) is heals
    assert names_a_buffer(failure) is is_named


def test_any_other_failure_heals_as_its_code_says() -> None:
    assert healing_of(outcome("auth.token_rejected", ""), {"token"}) is Heals.BY_A_PERSON
    assert healing_of(outcome("tls.expired", ""), ()) is Heals.BY_ITSELF
