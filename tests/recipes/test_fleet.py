"""The playbook of docs/examples collects the reports of hosts: namespaces with names of their own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support import cli
from tests.support.pages import DOCS
from tests.support.programs import program, unavailable
from tests.support.recipes import OURS, recipe, script
from z4j_fastapi.devbrain import DevBrain

pytestmark = [pytest.mark.component, pytest.mark.slow]


@asynccontextmanager
async def host(name: str, directory: Path, settings: Mapping[str, str]) -> AsyncIterator[str]:
    """The program of the service on a host of that name: it runs in there."""
    if os.geteuid() != 0:
        unavailable("a host name of its own needs root")
    process = await asyncio.create_subprocess_exec(
        *(program("unshare"), "--uts", "sh", "-c", f"hostname {name} && echo ready && exec sleep 600"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    env_file, run = directory / f"{name}.env", directory / name
    env_file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    enter = f"{program('nsenter')} --target {process.pid} --uts --"
    run.write_text(f'#!/bin/sh\nexec {enter} {OURS}z4j-fastapi "$@" --env-file {env_file}\n')
    run.chmod(0o755)
    try:
        yield str(run)
    finally:
        process.kill()
        await process.wait()


async def play(directory: Path, inventory: Mapping[str, str]) -> tuple[int, str]:
    """Run the page's command over these hosts and their programs."""
    (command,) = recipe("A fleet", "sh")
    words = command.split()
    assert words[0] == "ansible-playbook"
    lines = [
        f"{name} ansible_connection=local ansible_python_interpreter={sys.executable} z4j_program={path}"
        for name, path in inventory.items()
    ]
    (directory / "inventory").write_text("\n".join([*lines, ""]))
    given = {
        "z4j_reports": str(directory / "reports"),
        "z4j_whose": ["--label", "service=my-service"],
        "z4j_become": False,
        "z4j_merge": f"{OURS}z4j-fastapi",
    }
    process = await asyncio.create_subprocess_exec(
        *(script(words[0]), "-i", str(directory / "inventory"), str(DOCS.parent / words[3]), *words[4:]),
        *("-e", json.dumps(given)),
        env=cli.environment(directory, {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "0"}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 240)
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_a_fleet_is_one_table_with_the_one_that_fails_first(tmp_path: Path) -> None:
    async with DevBrain() as brain:
        good = brain.environment(brain.mint("web")) | {"Z4J_HOME": str(tmp_path / "z4j")}
        bad = good | {"Z4J_TOKEN": "rejected-by-every-brain-0123456789"}
        async with host("web-1", tmp_path, good) as one, host("web-2", tmp_path, bad) as two:
            status, said = await play(tmp_path, {"first": one, "second": two})
            assert (tmp_path / "reports").is_dir(), said
            reports = {path.name: json.loads(path.read_text()) for path in (tmp_path / "reports").iterdir()}
            mended, _ = await play(tmp_path, {"first": one})

    assert status != 0, said
    assert "A service can't connect" in said, said
    assert {name: report["host"] for name, report in reports.items()} == {
        "first.json": "web-1",
        "second.json": "web-2",
    }
    rows = [line.strip(' ",') for line in said.splitlines()]
    assert rows.index("✗ auth.token_rejected (1)") < rows.index("✓ ok (1)")
    assert "web-1 (service=my-service)" in rows
    assert "2 reports of 2 hosts: 1 failed, 1 passed" in rows
    assert mended == 0
