"""supervisord runs the service of the page, and its agent is online."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from tests.support.agents import until
from tests.support.pages import DOCS
from tests.support.programs import Program, free_port, program
from tests.support.recipes import moved, recipe
from z4j_fastapi.devbrain import DevBrain

pytestmark = pytest.mark.component


async def test_a_program_of_supervisord_has_its_agent_online(tmp_path: Path) -> None:
    (section,) = recipe("supervisord", "ini")
    (tmp_path / "my-service").mkdir()
    async with DevBrain() as brain:
        minted = brain.mint("web")
        (tmp_path / "z4j-token").write_text(minted.token)
        (tmp_path / "z4j-hmac-secret").write_text(minted.hmac_secret)
        section = moved(
            section,
            ("/srv/my-service", DOCS / "examples"),
            ("user=my-service", f"user={getpass.getuser()}"),
            ("/var/lib/my-service", tmp_path / "my-service"),
            ("/etc/my-service", tmp_path),
            ("https://brain.example", brain.url),
            ("--port 8000", f"--port {free_port()}"),
        )
        log = tmp_path / "log"
        head = (
            f"[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={tmp_path}/pid\n"
        )
        (tmp_path / "supervisord.conf").write_text(
            f"{head}{section}redirect_stderr=true\nstdout_logfile={log}\n"
        )
        supervisor = await Program.start(
            tmp_path / "supervisord.log", program("supervisord"), "-c", str(tmp_path / "supervisord.conf")
        )
        try:
            await until(lambda: brain.seen.connections > 0, "the agent connected", timeout_s=60)
            await until(
                lambda: (tmp_path / "my-service" / "z4j").is_dir(), "its buffer was where it was sent"
            )
        finally:
            await supervisor.stop()
