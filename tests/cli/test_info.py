"""`info`: what may be pasted into a bug report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import schemas
from tests.support.cli import run
from tests.support.ladders import SECRET

pytestmark = pytest.mark.component

TOKEN = "z4j_agent_token_for_tests_0123456789abcdef"


def test_settings_are_shown_with_their_sources_and_without_secrets(tmp_path: Path) -> None:
    file = tmp_path / "web.env"
    file.write_text(f"Z4J_TOKEN={TOKEN}\nZ4J_HOME={tmp_path}/state\n")
    env = {"Z4J_HMAC_SECRET": SECRET, "Z4J_BRAIN_URL": f"https://user:{TOKEN}@brain.example"}
    done = run("info", "--env-file", str(file), home=tmp_path, env=env)

    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stdout
    assert SECRET not in done.stdout
    assert f"set  (file {file} Z4J_TOKEN)" in done.stdout
    assert f"{tmp_path}/state" in done.stdout
    assert "does not exist yet" in done.stdout
    assert "OpenSSL" in done.stdout
    assert not (tmp_path / "state").exists()


def test_json_keeps_to_its_schema(tmp_path: Path) -> None:
    (tmp_path / ".z4j").mkdir(mode=0o700)
    done = run(
        "info", "--json", home=tmp_path, env={"Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET_FILE": "/nonexistent"}
    )

    document = json.loads(done.stdout)
    schemas.check(document, "z4j.info")
    assert document["settings"]["Z4J_TOKEN"] == {"value": "set", "source": "env Z4J_TOKEN"}
    assert document["state_directory"]["mode"] == "0700"
    assert "/nonexistent (Z4J_HMAC_SECRET_FILE)" in document["unreadable"][0]
    assert TOKEN not in done.stdout
