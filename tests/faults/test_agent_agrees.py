"""The agent climbs the same ladder: its log line and its status carry the code that the doctor gives."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.faults.doctor import ask_doctor, environ_of, run_in
from tests.faults.scenario import HEALTHY, SCENARIOS, Case
from tests.faults.scenarios import load
from tests.faults.stage import BRAIN_HOST, BRAIN_IP, Stage
from tests.support.certificates import issue

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
            assert word in " ".join(said[0].split())
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


@pytest.mark.waits
async def test_large_packets_that_are_lost_hold_up_no_small_event(stage: Stage) -> None:
    """The doctor names the path; the agent says that nothing is acknowledged, and sends small batches."""
    lab = await stage.lab(f"{BRAIN_IP}/24")
    brain = await stage.tls_brain(issue(stage.root, BRAIN_HOST))
    await lab.forward(BRAIN_IP, 443, brain.port)
    await lab.file("/etc/hosts", f"127.0.0.1 localhost\n{BRAIN_IP} {BRAIN_HOST}\n")
    await lab.firewall("tcp dport 443 meta length > 1400 drop")
    environ = stage.settings(brain, f"https://{BRAIN_HOST}", Z4J_CA_FILE=stage.ca_file)
    case = Case(environ, prefix=lab.prefix)
    doctor = await ask_doctor(stage, case, timeout_s=2.5)
    assert doctor.report["first_failure"] == "signing.large_frame_lost", doctor
    async with agent_over_time(stage, case, "100,100,100,100,20000,100,100,100,100") as statuses:
        status = await first(statuses, lambda s: s["code"] == "session.unacknowledged")
        assert status["state"] == "online", status
        await brain.wait_for_events(8, timeout_s=60.0)
        await first(statuses, lambda s: s["buffered"] == 1)  # the large one waits
        await lab.run("nft", "flush", "ruleset")
        await brain.wait_for_events(9, timeout_s=60.0)
        status = await first(statuses, lambda s: s["buffered"] == 0 and not s["code"])
        assert (status["state"], status["set_aside"]) == ("online", 0), status


@pytest.mark.waits
async def test_a_relay_that_cuts_sessions_after_the_same_time_is_named(stage: Stage) -> None:
    """Each cut alone would be a network that was away for a moment, and the doctor is green about it."""
    brain = await stage.brain()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", brain.port)
        flows = [asyncio.create_task(pump(*flow)) for flow in ((reader, up_writer), (up_reader, writer))]
        await asyncio.wait(flows, timeout=2.0)
        for one in (writer, up_writer):
            one.transport.abort()
        await asyncio.wait(flows)

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        case = Case(stage.settings(brain, url))
        doctor = await ask_doctor(stage, case)
        assert doctor.status == 0, doctor
        async with agent_over_time(stage, case, "") as statuses:
            status = await first(statuses, lambda s: s["code"] == "session.cut")
            assert status["reason"].startswith("cut after 2 s, 3 times in a row"), status


@asynccontextmanager
async def agent_over_time(
    stage: Stage, case: Case, sizes: str
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """An agent with events of these sizes, and what its status becomes."""
    process = await asyncio.create_subprocess_exec(
        *case.run("tests.support.agent_over_time", sizes),
        env=environ_of(stage, case),
        cwd=stage.directory,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    lines = process.stdout

    async def statuses() -> AsyncIterator[dict[str, Any]]:
        async for line in lines:
            yield json.loads(line)

    try:
        yield statuses()
    finally:
        process.stdin.close()
        async with asyncio.timeout(30):
            while await lines.read(65536):
                pass
            await process.wait()


async def first(
    statuses: AsyncIterator[dict[str, Any]], wanted: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """The next status that is wanted."""
    seen: dict[str, Any] = {}
    try:
        async with asyncio.timeout(60):
            while not wanted(seen := await anext(statuses)):
                pass
    except TimeoutError:
        pytest.fail(f"it never came; last: {seen}")
    return seen


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


async def run_agent(stage: Stage, case: Case) -> dict[str, Any]:
    """Enter an agent in this case, and leave it."""
    process = await run_in(stage, case, "tests.support.agent_once", f"{BUDGET_S:g}")
    assert process.returncode == 0, process.stderr
    found: dict[str, Any] = json.loads(process.stdout)
    return found
