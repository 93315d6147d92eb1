"""An examination: the doctor's climb, and the second one where another doctor cut the first one off."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from z4j_fastapi.devbrain import Close, DevBrain, Misbehaviour
from z4j_probes import Ladder, ProbeResult, Report, Settings, default_registry
from z4j_probes.codes import outcome
from z4j_probes.doctor import Examination, MakeHello, examine, was_replaced

REPLACED = Misbehaviour(close_at_first_signed=Close(4002, "replaced by a newer connection"))


@pytest.fixture
async def brain() -> AsyncIterator[DevBrain]:
    async with DevBrain() as running:
        yield running


@pytest.fixture
def settings(brain: DevBrain, tmp_path: Path) -> Settings:
    agent = brain.mint("web-1")
    return Settings.load(environ={**brain.environment(agent), "Z4J_HOME": str(tmp_path / "state")})


class Watching:
    """Notes what it sees; the other doctor is gone when the second climb begins."""

    def __init__(self, brain: DevBrain) -> None:
        self.brain = brain
        self.seen: list[str] = []

    def head(self, report: Report) -> None:
        if self.seen:
            self.brain.misbehaviour = Misbehaviour()
        self.seen.append("head")

    def running(self, name: str, waits_for: str, budget_s: float) -> None:
        self.seen.append(f"{name}?")

    def row(self, result: ProbeResult) -> None:
        self.seen.append(result.name)


async def test_one_climb_is_all_where_nothing_comes_between(brain: DevBrain, settings: Settings) -> None:
    report = await examine(default_registry(), settings)
    assert report.ok
    assert brain.seen.connections == 1


async def test_a_doctor_that_is_replaced_climbs_again_with_an_id_of_its_own(
    brain: DevBrain, settings: Settings
) -> None:
    registry, watching = default_registry(), Watching(brain)
    brain.misbehaviour = REPLACED

    def make_ladder(*, make_hello: MakeHello) -> Ladder:
        return Ladder(registry, settings, make_hello=make_hello)

    report = await Examination(make_ladder, watching).run()
    assert report.ok
    assert brain.seen.connections == 2
    auth = next(result for result in report.results if result.name == "auth")
    assert auth.details["worker_id"].endswith(f".{os.getpid()}")
    second = watching.seen.index("head", 1)
    assert watching.seen[:second][-1] == "signing?", "that the first one was cut off is no finding"
    assert watching.seen[second:] == ["head", *(w for n in registry.names for w in (f"{n}?", n))]


async def test_a_second_doctor_that_is_replaced_too_says_so(brain: DevBrain, settings: Settings) -> None:
    brain.misbehaviour = REPLACED
    report = await examine(default_registry(), settings)
    assert report.first_failure is not None
    assert report.first_failure.code == "signing.closed"
    assert brain.seen.connections == 2


def test_an_interrupted_examination_reports_what_is_known(settings: Settings) -> None:
    def make_ladder(*, make_hello: MakeHello) -> Ladder:
        return Ladder(default_registry(), settings, make_hello=make_hello)

    report = Examination(make_ladder).report(interrupted=True)
    assert report.exit_code == 130
    assert {result.message for result in report.results} == {"not run: interrupted"}


def test_a_doctor_that_was_replaced_is_told_by_the_close_code() -> None:
    replaced = outcome("auth.closed", "closed", details={"close_code": 4002})
    other = outcome("signing.closed", "closed", details={"close_code": 1011})
    assert was_replaced([replaced])
    assert not was_replaced([other, outcome("dns.ok", "fine")])
