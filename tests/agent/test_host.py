"""Processes that an agent can't live in, or that make it trouble: it says so, in one line."""

from __future__ import annotations

import asyncio
import json
import logging.config
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.agents import agent_of, warnings
from tests.support.uvicorn import Uvicorn
from z4j_fastapi.agent.host import reloader_that_watches
from z4j_fastapi.devbrain import DevBrain


@pytest.mark.component
@pytest.mark.parametrize("how", [{}, {"thread": False}], ids=["patch_all()", "patch_all(thread=False)"])
def test_a_process_that_gevent_has_patched_is_told_so_in_one_line(
    tmp_path: Path, how: dict[str, Any]
) -> None:
    environ = os.environ | {
        "Z4J_BRAIN_URL": "http://127.0.0.1:9",
        "Z4J_TOKEN": "t" * 32,
        "Z4J_HMAC_SECRET": "A" * 44,
        "Z4J_HOME": str(tmp_path),
    }
    command = [sys.executable, "-m", "tests.support.patched_host", json.dumps(how)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=True)
    answer = json.loads(done.stdout)
    assert (answer["state"], answer["kept"]) == ("disabled", False)
    assert "gevent has monkey-patched" in answer["reason"]
    lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    assert len(lines) == 1
    assert "not supported" in lines[0]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "is_watched"),
    [
        ("uvicorn app:app --reload", True),
        ("uvicorn app:app --reload --reload-dir src", False),
        ("uvicorn app:app --reload --reload-dir src --reload-dir .", True),
        ("uvicorn app:app --reload-dir=. --reload", True),
        ("uvicorn app:app --reload --reload-exclude state/*", False),
        ("uvicorn app:app", False),
        ("/venv/bin/fastapi dev app.py", True),
        ("/venv/bin/fastapi dev --no-reload app.py", False),
        ("/venv/bin/fastapi run app.py", False),
        ("arq jobs.WorkerSettings --watch .", True),
        ("arq jobs.WorkerSettings --watch src", False),
        ("taskiq worker -r jobs:broker", True),
        ("gunicorn --reload app:app", True),
        ("granian --reload --reload-paths=src app:app", False),
        ("", False),
    ],
)
def test_a_reloader_is_known_by_its_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, is_watched: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = str(tmp_path.resolve()) if is_watched else ""
    assert reloader_that_watches(tmp_path / "state" / "z4j", command.split()) == expected
    assert reloader_that_watches(tmp_path.parent / "elsewhere", command.split()) == ""


@pytest.mark.component
async def test_a_reloader_that_watches_the_buffer_is_warned_of(tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    log.write_text(
        json.dumps(LOG_TO_A_FILE | {"handlers": {"file": FILE | {"filename": str(tmp_path / "log")}}})
    )
    async with DevBrain() as brain:
        settings = brain.environment(brain.mint("web"))
        async with Uvicorn(settings, tmp_path, "--reload", "--log-config", str(log)):
            await brain.wait_for_workers(1)
        async with Uvicorn(settings, tmp_path, "--log-config", str(log)):
            await brain.wait_for_workers(1)
    records = re.split(r"\n(?=[A-Z]+ )", (tmp_path / "log").read_text())
    told = [record for record in records if "reloader watches" in record]
    assert len(told) == 1
    assert told[0].startswith("WARNING")
    assert str(tmp_path / "z4j") in told[0]


FILE = {"class": "logging.FileHandler", "formatter": "plain"}
LOG_TO_A_FILE: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(levelname)s %(message)s"}},
    "root": {"level": "INFO", "handlers": ["file"]},
}


async def test_a_log_that_is_switched_off_is_told_in_the_status(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("z4j.agent")
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        assert agent.status.log_fault == ""
        in_use = [logging.getLogger(name) for name in logging.root.manager.loggerDict]
        in_use = [other for other in in_use if not other.disabled]
        try:
            logging.config.dictConfig({"version": 1, "loggers": {"": {}}})
            assert "disable_existing_loggers" in agent.status.log_fault
            assert agent.status.to_dict()["log_fault"] == agent.status.log_fault
            logger.disabled = False
            logging.disable(logging.CRITICAL)
            assert "above ERROR" in agent.status.log_fault
        finally:
            logging.disable(logging.NOTSET)
            for other in in_use:
                other.disabled = False
        assert agent.status.log_fault == ""
        await asyncio.sleep(0)
    assert warnings(caplog) == []
