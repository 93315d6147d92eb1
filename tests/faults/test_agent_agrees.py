"""The agent climbs the same ladder: its log line and its status carry the code that the doctor gives."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.faults.doctor import ask_doctor, environ_of
from tests.faults.scenario import HEALTHY, SCENARIOS, Case
from tests.faults.scenarios import load
from tests.faults.stage import Stage

load()
pytestmark = pytest.mark.faults

ONE_OF_EACH_KIND = (
    "the_token_ends_with_a_newline",
    "the_token_file_is_not_there",
    "the_name_does_not_exist",
    "dnssec_does_not_validate",
    "nothing_listens",
    "a_firewall_drops",
    "the_proxys_password_is_wrong",
    "the_certificate_has_expired",
    "the_root_is_not_installed",
    "this_clock_is_fast",
    "nginx_drops_the_upgrade",
    "a_login_stands_in_front",
    "the_upgrade_is_not_answered",
    "the_token_is_unknown",
    "hello_is_not_answered",
    "the_secret_is_another_brains",
    "this_clock_is_five_minutes_fast",
    "the_frame_is_not_acknowledged",
    "a_relay_removes_signatures",
    "the_hosts_file_is_stale",
    "the_search_list_has_a_wildcard",
    "a_filter_answers_with_this_machine",
    "localhost_is_another_machine",
    "a_machine_with_ipv6_only",
    "the_middle_answers_464",
    "a_proxy_drops_authorization",
    "the_answer_is_too_large",
)
# What a doctor warns of, an agent does: it comes online.
ONLINE = (
    "a_public_name_is_this_machine",
    "the_hosts_file_differs_and_works",
    "tls_works_over_one_family_only",
)
# The buffer is the agent's own affair: it goes on in memory, says so, and may well be online.
BUFFER_FAULTS = ("nothing_can_be_written", "the_state_directory_is_a_file", "the_disk_is_full")
# Above a probe's own limit, on a busy machine too: only a fault that hangs uses it up.
BUDGET_S = 20.0


@pytest.mark.parametrize("name", ONE_OF_EACH_KIND)
async def test_the_agent_gives_the_doctors_code(name: str, stage: Stage) -> None:
    scenario = SCENARIOS[name]
    case = await scenario.make(stage)
    doctor = await ask_doctor(stage, case, timeout_s=scenario.timeout_s)
    agent = await run_agent(stage, case)
    assert doctor.report["first_failure"] == scenario.code, doctor
    assert agent["status"]["code"] == scenario.code, agent
    state = agent["status"]["state"]
    assert state == ("disabled" if scenario.probe == "config" else "offline")
    said = [line for line in agent["log"] if line.startswith(f"ERROR z4j: {state} ({scenario.code}): ")]
    assert len(said) == 1, agent["log"]
    for word in scenario.words:
        if "within" not in word:  # budgets differ
            assert word in said[0]
    assert case.environ.get("Z4J_TOKEN", "no token").strip() not in said[0]


@pytest.mark.parametrize("name", BUFFER_FAULTS)
async def test_the_agent_names_a_buffer_that_is_of_no_use_and_comes_online(name: str, stage: Stage) -> None:
    scenario = SCENARIOS[name]
    case = await scenario.make(stage)
    agent = await run_agent(stage, case)
    assert agent["status"]["state"] == "online", agent
    assert any(scenario.code in line and "memory" in line for line in agent["log"]), agent["log"]


@pytest.mark.parametrize("name", ONLINE)
async def test_the_agent_is_online_where_the_doctor_warns(name: str, stage: Stage) -> None:
    scenario = SCENARIOS[name]
    case = await scenario.make(stage)
    doctor = await ask_doctor(stage, case, timeout_s=scenario.timeout_s)
    assert doctor.status == 0, doctor
    agent = await run_agent(stage, case)
    assert agent["status"]["state"] == "online", agent


async def test_a_slow_resolver_keeps_neither_offline(stage: Stage) -> None:
    case = await SCENARIOS["an_answer_is_lost_at_each_look_up"].make(stage)
    doctor, agent = await asyncio.gather(ask_doctor(stage, case, timeout_s=12.0), run_agent(stage, case))
    assert doctor.status == 0, doctor
    assert agent["status"]["state"] == "online", agent


async def test_an_agent_that_is_in_order_says_nothing(stage: Stage) -> None:
    agent = await run_agent(stage, await HEALTHY["plain_http_on_loopback"].make(stage))
    assert agent["status"]["state"] == "online", agent
    assert agent["log"] == []


async def run_agent(stage: Stage, case: Case) -> dict[str, Any]:
    """Enter an agent in this case, and leave it."""
    process = await asyncio.create_subprocess_exec(
        *case.run("tests.support.agent_once", f"{BUDGET_S:g}"),
        env=environ_of(stage, case),
        cwd=stage.directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        stdout, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode()
    found: dict[str, Any] = json.loads(stdout)
    return found
