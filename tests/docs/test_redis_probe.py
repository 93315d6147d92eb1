"""The example of a plug-in, installed as a package and run by the doctor against a real Redis."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.support import cli
from tests.support.ladders import SECRET, TOKEN
from tests.support.redis import running_redis

pytestmark = pytest.mark.component

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "redis_probe"


def installed(directory: Path) -> Path:
    """The example as pip would lay it out: the module, and its entry point."""
    site = directory / "site"
    info = site / "redis_probe-1.0.0.dist-info"
    info.mkdir(parents=True)
    shutil.copy(EXAMPLE / "redis_probe.py", site)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: redis-probe\nVersion: 1.0.0\n")
    (info / "entry_points.txt").write_text("[z4j_fastapi.probes]\nredis = redis_probe:PROBE\n")
    return site


def redis_row(directory: Path, url: str) -> dict[str, str]:
    env = {"PYTHONPATH": str(installed(directory)), "REDIS_URL": url, "Z4J_BRAIN_URL": "http://127.0.0.1:1"}
    env |= {"Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET}
    process = cli.run("doctor", "--json", "--only", "redis", home=directory, env=env)
    row: dict[str, str] = cli.document(process.stdout)["probes"][-1]
    assert row["name"] == "redis"
    return row


async def test_a_redis_that_answers_is_green(tmp_path: Path) -> None:
    async with running_redis(tmp_path) as url:
        row = await asyncio.to_thread(redis_row, tmp_path, url)
    assert row["code"] == "redis.ok"


def test_one_that_is_not_there_is_named(tmp_path: Path) -> None:
    row = redis_row(tmp_path, "redis://127.0.0.1:1")
    assert (row["status"], row["code"]) == ("fail", "redis.unreachable")
    assert "redis-cli ping" in row["hint"]
