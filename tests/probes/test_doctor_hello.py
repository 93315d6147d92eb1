"""The doctor's hello changes nothing on the dashboard but its own one row."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from tests.support.ladders import settings_for
from z4j_probes.climb import Climb
from z4j_probes.doctor_hello import doctor_hello, second_doctor_hello
from z4j_probes.protocol import MAX_WORKER_ID_LENGTH, Hello
from z4j_probes.storage import LastHello, StateDirectory, identity, remember_hello

URL = "https://brain.example"


def climb_in(directory: Path | None, **more: str) -> Climb:
    climb = Climb(settings_for(URL, **more), doctor_hello)
    if directory is not None:
        climb.directory = StateDirectory(directory, directory)
    return climb


async def test_the_id_names_host_and_role_and_is_the_same_at_each_run(tmp_path: Path) -> None:
    first = await doctor_hello(climb_in(tmp_path))
    second = await doctor_hello(climb_in(tmp_path))
    assert first.worker_id == second.worker_id
    assert (first.worker_id or "").startswith(f"{socket.gethostname()}.doctor.")


async def test_services_of_one_machine_have_their_own_ids(tmp_path: Path) -> None:
    one = await doctor_hello(climb_in(tmp_path, agent_name="web"))
    other = await doctor_hello(climb_in(tmp_path, agent_name="tasks"))
    assert one.worker_id != other.worker_id


async def test_it_says_what_the_dashboard_does_not_record(tmp_path: Path) -> None:
    hello = await doctor_hello(climb_in(tmp_path, project_id="shop"))
    payload = hello.payload()
    assert payload["agent_version"] == "0.0.0"
    assert "host" not in payload
    assert payload["project"] == "shop"
    assert Hello.from_payload(payload).worker_role == "other"


async def test_it_repeats_what_the_agent_said_last(tmp_path: Path) -> None:
    said = LastHello("fastapi", ("arq",), ("arq-cron",), {"arq": ("cancel_task",)})
    remember_hello(tmp_path, identity(URL, "default", "web-1"), said)
    hello = await doctor_hello(climb_in(tmp_path))
    assert hello.engines == ("arq",)
    assert hello.schedulers == ("arq-cron",)
    assert hello.capabilities == {"arq": ("cancel_task",)}


async def test_without_a_state_directory_it_still_has_a_stable_id() -> None:
    first, second = await doctor_hello(climb_in(None)), await doctor_hello(climb_in(None))
    assert first.worker_id == second.worker_id


async def test_a_second_doctor_of_the_same_moment_appends_its_pid(tmp_path: Path) -> None:
    first = await doctor_hello(climb_in(tmp_path))
    second = await second_doctor_hello(climb_in(tmp_path))
    assert second.worker_id == f"{first.worker_id}.{os.getpid()}"
    assert len(second.worker_id or "") <= MAX_WORKER_ID_LENGTH
