"""`doctor --pid` of a process whose files have changed since it read them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.cli import run
from tests.support.namespaces import python_environ
from tests.support.own_machine import agent_command
from z4j_fastapi.devbrain import DevBrain

pytestmark = pytest.mark.component


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as a process")
async def test_a_process_with_an_older_token_is_warned_of_until_it_has_read_it(tmp_path: Path) -> None:
    token = tmp_path / "token"
    async with DevBrain() as brain:
        good = brain.mint("web")
        token.write_text(good.token)
        given = brain.environment(good) | {"HOME": str(tmp_path), "Z4J_TOKEN_FILE": str(token)}
        del given["Z4J_TOKEN"]
        process = await asyncio.create_subprocess_exec(
            *agent_command("web"),
            env=python_environ(given),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"online\n"

            async def rows() -> dict[str, dict[str, object]]:
                arguments = ("doctor", "--pid", str(process.pid), "--json")
                done = await asyncio.to_thread(run, *arguments, home=tmp_path)
                assert done.returncode == 0, done.stdout + done.stderr
                return {row["name"]: row for row in json.loads(done.stdout)["probes"]}

            assert "unit" not in await rows()
            os.replace(_written(tmp_path / "new", good.token), token)
            row = (await rows())["unit"]
            assert (row["code"], row["status"]) == ("unit.older_secret", "warn")
            assert str(token) in str(row["message"])
            assert good.token not in json.dumps(row)
        finally:
            process.kill()
            await process.wait()


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
