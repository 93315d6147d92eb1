"""Docker Compose: the service of the page has what it needs, and its health check says what it means."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.ladders import SECRET, TOKEN
from tests.support.programs import Program, free_port
from tests.support.recipes import document, recipe

BRAIN_AWAY = {"Z4J_BRAIN_URL": "http://127.0.0.1:1", "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET}
APP = """
from fastapi import FastAPI

from z4j_fastapi import z4j_lifespan
from z4j_fastapi.health import health_app

app = FastAPI(lifespan=z4j_lifespan())
app.mount("/z4j", health_app(lambda: app.state.z4j))
"""


def test_what_the_service_names_is_declared_and_its_image_has_the_place() -> None:
    compose, (dockerfile,) = (
        document("Docker and Docker Compose"),
        recipe("Docker and Docker Compose", "dockerfile"),
    )
    web = compose["services"]["web"]
    assert set(web["secrets"]) == compose["secrets"].keys()
    for variable in ("Z4J_TOKEN_FILE", "Z4J_HMAC_SECRET_FILE"):
        assert Path(web["environment"][variable]).name in compose["secrets"]
    (volume,) = web["volumes"]
    name, place = volume.split(":")
    assert name in compose["volumes"]
    assert f"-o 4242 {place}\n" in dockerfile
    assert f"Z4J_HOME={place}\n" in dockerfile


@pytest.mark.component
async def test_a_container_is_healthy_while_its_brain_is_away(tmp_path: Path) -> None:
    kind, *command = document("Docker and Docker Compose")["services"]["web"]["healthcheck"]["test"]
    assert (kind, command[0]) == ("CMD", "python")
    port = free_port()
    command = [word.replace("127.0.0.1:8000", f"127.0.0.1:{port}") for word in command[1:]]

    async def is_healthy() -> bool:
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, *command], capture_output=True, check=False
        )
        return done.returncode == 0

    assert not await is_healthy()
    (tmp_path / "app.py").write_text(APP)
    environ = BRAIN_AWAY | {"Z4J_HOME": str(tmp_path / "z4j"), "PATH": "/usr/bin:/bin"}
    arguments = ("--app-dir", str(tmp_path), "--port", str(port), "app:app")
    server = await Program.start(
        tmp_path / "log", sys.executable, "-m", "uvicorn", *arguments, environ=environ
    )
    try:
        await server.until_it_accepts("127.0.0.1", port)
        assert await is_healthy()
    finally:
        await server.stop()
