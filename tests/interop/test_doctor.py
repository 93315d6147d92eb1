"""The doctor, as a process of its own, against the real brain."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import cli
from tests.support.agents import until
from tests.support.brain_api import BrainApi, Credentials
from z4j_fastapi import Z4JAgent

pytestmark = pytest.mark.interop


def settings(brain: BrainApi, credentials: Credentials, **changes: str) -> dict[str, str]:
    return {
        "Z4J_BRAIN_URL": brain.url,
        "Z4J_TOKEN": credentials.token,
        "Z4J_HMAC_SECRET": credentials.hmac_secret,
        "Z4J_AGENT_NAME": credentials.name,
        **changes,
    }


def diagnose(home: Path, env: dict[str, str]) -> tuple[int, dict[str, Any]]:
    process = cli.run("doctor", "--json", home=home, env=env)
    assert process.stderr == ""
    return process.returncode, cli.document(process.stdout)


def test_good_settings_are_green_to_the_last_rung(real_brain: BrainApi, tmp_path: Path) -> None:
    credentials = real_brain.mint()
    status, report = diagnose(tmp_path, settings(real_brain, credentials))
    assert (status, report["first_failure"]) == (0, None)
    codes = [probe["code"] for probe in report["probes"]]
    assert codes[-2:] == ["auth.ok", "signing.ok"]
    details = report["probes"][-2]["details"]
    assert details["agent_id"] == credentials.agent_id
    assert details["project_verified"] is False
    assert "not compared" in report["probes"][-2]["message"]


def test_a_project_that_is_configured_by_its_uuid_is_verified(real_brain: BrainApi, tmp_path: Path) -> None:
    credentials = real_brain.mint()
    env = settings(real_brain, credentials, Z4J_PROJECT_ID=credentials.project_id)
    status, report = diagnose(tmp_path, env)
    assert status == 0
    assert report["probes"][-2]["details"]["project_verified"] is True


def test_another_projects_uuid_is_a_mismatch(real_brain: BrainApi, tmp_path: Path) -> None:
    other = "11111111-2222-4333-8444-555555555555"
    env = settings(real_brain, real_brain.mint(), Z4J_PROJECT_ID=other)
    status, report = diagnose(tmp_path, env)
    assert (status, report["first_failure"]) == (1, "auth.project_mismatch")


def test_a_wrong_token_is_named(real_brain: BrainApi, tmp_path: Path) -> None:
    env = settings(real_brain, real_brain.mint(), Z4J_TOKEN="z4j_no-such-token-on-this-brain")
    status, report = diagnose(tmp_path, env)
    assert (status, report["first_failure"]) == (1, "auth.token_rejected")


def test_a_revoked_token_is_named(real_brain: BrainApi, tmp_path: Path) -> None:
    credentials = real_brain.mint()
    real_brain.revoke(credentials)
    status, report = diagnose(tmp_path, settings(real_brain, credentials))
    assert (status, report["first_failure"]) == (1, "auth.token_rejected")


def test_a_wrong_secret_is_named(real_brain: BrainApi, tmp_path: Path) -> None:
    wrong = base64.urlsafe_b64encode(b"w" * 32).decode()
    status, report = diagnose(tmp_path, settings(real_brain, real_brain.mint(), Z4J_HMAC_SECRET=wrong))
    assert (status, report["first_failure"]) == (1, "signing.secret_wrong")


def test_a_missing_secret_is_named(real_brain: BrainApi, tmp_path: Path) -> None:
    env = settings(real_brain, real_brain.mint())
    del env["Z4J_HMAC_SECRET"]
    status, report = diagnose(tmp_path, env)
    assert (status, report["first_failure"]) == (1, "config.missing")


@pytest.mark.parametrize("offset", ["+5m", "-5m"])
def test_a_clock_that_is_five_minutes_off_is_named(real_brain: BrainApi, tmp_path: Path, offset: str) -> None:
    if shutil.which("faketime") is None:
        pytest.fail("faketime is missing: run `make apt`") if os.environ.get("CI") else pytest.skip(
            "no faketime"
        )
    process = subprocess.run(
        ["faketime", "-f", offset, *cli.command("doctor", "--json")],
        # libfaketime would also shift the clock that budgets are measured by
        env=cli.environment(tmp_path, settings(real_brain, real_brain.mint())) | {"DONT_FAKE_MONOTONIC": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    report = cli.document(process.stdout)
    assert (process.returncode, report["first_failure"]) == (1, "signing.clock_skew")
    assert "300 s" in report["probes"][-1]["message"]
    assert ("ahead of" if offset[0] == "+" else "behind") in report["probes"][-1]["message"]


async def test_an_agent_stays_online_with_its_engines_while_doctors_come_and_go(
    real_brain: BrainApi, tmp_path: Path
) -> None:
    credentials = real_brain.mint()
    env = settings(real_brain, credentials)
    agent = Z4JAgent(
        brain_url=real_brain.url,
        token=credentials.token,
        hmac_secret=credentials.hmac_secret,
        agent_name=credentials.name,
        home=tmp_path / ".z4j",
        engines=("arq",),
    )
    async with agent:
        session = agent.status.session_id
        await until(lambda: real_brain.agent(credentials)["state"] == "online", "the brain shows it online")
        for _ in range(3):
            status, _report = diagnose(tmp_path, env)
            assert status == 0
            shown = real_brain.agent(credentials)
            assert shown["state"] == "online"
            assert [shown["engine_adapters"], agent.status.session_id] == [["arq"], session]
        # all the doctors of a machine are one row on the dashboard
        await until(lambda: len(real_brain.workers(credentials)) > 1, "the brain noted the doctor")
        workers = [worker["worker_id"] for worker in real_brain.workers(credentials)]
        assert len(workers) == 2
        assert sum(".doctor." in name for name in workers) == 1
