"""The simulation is worth what its model is: repeatable, and right where arithmetic knows the answer."""

from __future__ import annotations

import pytest

from tests.bench.reconnect_simulation import POLICIES, Outage, simulate

FLEET = Outage(down_s=10, agents=2000, addresses=2000)


@pytest.mark.parametrize("name", POLICIES)
def test_the_same_seed_gives_the_same_recovery(name: str) -> None:
    assert simulate(POLICIES[name], FLEET, seed=7) == simulate(POLICIES[name], FLEET, seed=7)


def test_another_seed_gives_another_recovery_of_the_same_size() -> None:
    one, other = (simulate(POLICIES["ours"], FLEET, seed=seed) for seed in (1, 2))
    assert one != other
    assert one.peak_per_s == pytest.approx(other.peak_per_s, rel=0.25)


def test_without_limits_every_agent_needs_one_attempt() -> None:
    assert simulate(POLICIES["ours"], FLEET).attempts == FLEET.agents


def test_all_agents_of_a_schedule_without_spread_come_within_its_jitter() -> None:
    # the second attempt of all is 1 to 1.3 s and another 2 to 2.6 s after the loss
    assert simulate(POLICIES["upstream"], Outage(down_s=2, agents=2000)).most_s == pytest.approx(1.8, abs=0.2)


def test_ours_spreads_a_cut_that_is_over_at_once() -> None:
    cut = Outage(down_s=0, agents=2000)
    ours, upstream = (simulate(POLICIES[name], cut).peak_per_s for name in ("ours", "upstream"))
    assert upstream == cut.agents
    assert ours < cut.agents / 4


def test_one_address_gets_back_no_faster_than_the_limit_lets_it() -> None:
    recovery = simulate(POLICIES["ours"], Outage(down_s=60, agents=1500, addresses=1))
    assert recovery.most_s is not None
    assert recovery.most_s >= 120


def test_a_brain_that_is_slow_is_what_bounds_the_recovery() -> None:
    recovery = simulate(POLICIES["ours"], Outage(down_s=10, agents=2000, connects_per_second=50))
    assert recovery.most_s is not None
    assert 2000 * 0.99 / 50 <= recovery.most_s <= 60
