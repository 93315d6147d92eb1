"""Every fault of the matrix, made for real: the doctor names the probe, the code, and why."""

from __future__ import annotations

import json
import re

import pytest

from tests.faults.doctor import Said, ask_doctor
from tests.faults.scenario import HEALTHY, SCENARIOS, Case, Healthy, Scenario
from tests.faults.scenarios import load
from tests.faults.stage import Stage
from tests.faults.table import DATA, record, record_sound
from tests.support.hints import says_what_to_do
from z4j_probes.codes import CATALOGUE
from z4j_probes.endpoint import parse_endpoint

load()
pytestmark = pytest.mark.faults

# Interpreters and shells on a machine that tests on every core; the probes have their own budget.
RUN_BUDGET_MS = 30_000


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=list(SCENARIOS))
async def test_the_doctor_names(scenario: Scenario, stage: Stage) -> None:
    case = await scenario.make(stage)
    said = await ask_doctor(stage, case, timeout_s=scenario.timeout_s)
    record(scenario, case, said, stage)
    row = said.probe(scenario.probe)
    assert row["code"] == scenario.code, said
    assert row["status"] == (scenario.status or CATALOGUE[scenario.code].status.value), said
    for word in (*scenario.words, *case.words):
        assert word in row["message"], f"{word!r} is missing in {row['message']!r}"
    for word in scenario.hint:
        assert word.lower() in row["hint"].lower(), f"{word!r} is missing in {row['hint']!r}"
    assert says_what_to_do(row["hint"]), row["hint"]
    assert row["duration_ms"] <= scenario.timeout_s * 1000 * 1.2 + 200
    failed = row["status"] == "fail"
    if scenario.alone:
        assert said.report["first_failure"] == (scenario.code if failed else None), said
        assert said.status == (1 if failed else 0), said
    _is_sound(said, case, stage, scenario.code)


@pytest.mark.parametrize("healthy", HEALTHY.values(), ids=list(HEALTHY))
async def test_all_is_green_with(healthy: Healthy, stage: Stage) -> None:
    case = await healthy.make(stage)
    said = await ask_doctor(stage, case, timeout_s=healthy.timeout_s)
    record_sound(healthy)
    not_green = [row["code"] for row in said.report["probes"] if row["status"] not in ("pass", "skip")]
    assert not not_green, said
    skipped = [code for code in said.codes if code.endswith(".skipped")]
    assert not skipped, said
    assert said.status == 0
    assert set(healthy.codes) <= set(said.codes), said
    _is_sound(said, case, stage)


def test_every_code_of_the_catalogue_has_a_scenario() -> None:
    made = {scenario.code for scenario in SCENARIOS.values()}
    made |= {code for healthy in HEALTHY.values() for code in healthy.codes}
    unmade = (".unexpected", ".skipped", ".slow")
    wanted = {code for code in CATALOGUE if not code.endswith(unmade)}
    # no check of the doctor's gives these, but for unit, which needs a systemd: tests/as_service
    wanted = {code for code in wanted if not code.startswith(("session.", "command.", "unit.", "worker."))}
    wanted.remove("signing.not_enforced")  # history: nothing gives it any more
    wanted.remove("signing.secret_missing")  # config says it first, but in a ladder that has another config
    assert sorted(wanted - made) == []


def test_no_scenario_is_for_a_code_that_the_catalogue_lacks() -> None:
    assert [s.name for s in SCENARIOS.values() if s.code not in CATALOGUE] == []


def test_what_was_said_is_recorded_for_every_scenario() -> None:
    said = json.loads(DATA.read_text())
    faults = {s.name: {"title": s.title, "how": s.how, "code": s.code} for s in SCENARIOS.values()}
    recorded = {
        name: {field: row[field] for field in ("title", "how", "code")}
        for name, row in said["faults"].items()
    }
    assert recorded == faults, "run `make fault-table`"
    sound = {h.name: {"title": h.title, "how": h.how} for h in HEALTHY.values()}
    assert said["sound"] == sound, "run `make fault-table`"
    titles = [s.title for s in SCENARIOS.values()] + [h.title for h in HEALTHY.values()]
    assert len(titles) == len(set(titles))


def test_there_are_many_ways_to_be_healthy() -> None:
    assert len(HEALTHY) >= 20


def _promises_nothing_in_vain(steps: list[dict[str, str]], case: Case) -> None:
    """No hint proposes what is set already, or a URL that the config check would refuse."""
    for step in steps:
        assignment = re.fullmatch(r"export (\w+)=(\S+)", step["command"])
        if assignment is None:
            continue
        name, value = assignment.groups()
        assert case.environ.get(name) != value, f"{step} proposes what is set"
        if name == "Z4J_BRAIN_URL":
            endpoint = parse_endpoint(value)
            assert endpoint.secure or endpoint.is_loopback, f"{step} would be refused"


def _is_sound(said: Said, case: Case, stage: Stage, expected: str = "") -> None:
    """What holds for every run, whatever was wrong."""
    for row in said.report["probes"]:
        _promises_nothing_in_vain(row["steps"], case)
    assert said.stderr == ""
    assert said.report["duration_ms"] < RUN_BUDGET_MS
    if not expected.endswith(".unexpected"):
        unexpected = [code for code in said.codes if code.endswith(".unexpected")]
        assert not unexpected, said
    for name in ("Z4J_TOKEN", "Z4J_HMAC_SECRET"):
        secret = case.environ.get(name, "").strip()
        if len(secret) > 8:
            assert secret not in said.stdout
