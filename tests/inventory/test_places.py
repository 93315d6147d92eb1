"""Places, read while the processes that named them come and go."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.agents import closed_port, until
from tests.support.programs import program, unavailable
from z4j_fastapi import Z4JAgent
from z4j_fastapi.inventory.places import Place, Reading, read_place
from z4j_fastapi.inventory.processes import Process

pytestmark = pytest.mark.component


def process(pid: int) -> Process:
    return Process(
        pid=pid, inside=pid, uid=0, parent=1, age_s=0.0, program=None, environ={}, unit="", world="there"
    )


def ended() -> Process:
    child = subprocess.Popen([program("true")])
    child.wait()
    return process(child.pid)


async def test_a_process_that_has_just_ended_hides_no_agent_of_the_others(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        unavailable("looking as another process needs root")
    with closed_port() as port:
        url, token, secret = f"http://127.0.0.1:{port}", "t" * 40, "A" * 43
        async with Z4JAgent(brain_url=url, token=token, hmac_secret=secret, home=tmp_path):
            await until(lambda: bool(list(tmp_path.rglob("status-0.json"))), "it was written")
            seen = read_place(Place(0, (ended(), process(os.getpid())), (str(tmp_path),)))
            nobody = read_place(Place(0, (ended(),), (str(tmp_path),)))
    assert [slot for _, _, slot, _ in seen.found] == [0]
    assert seen.unreadable == ()
    assert nobody == Reading()
