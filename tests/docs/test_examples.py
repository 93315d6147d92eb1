"""The code that the documentation shows: it is what the examples are, and it runs."""

from __future__ import annotations

import asyncio
import html
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support import cli
from tests.support.agents import agent_of
from tests.support.engine import AsyncioEngine
from tests.support.nginx import Nginx
from tests.support.pages import DOCS, ROOT, blocks, load, namespace
from tests.support.services import STAND_INS
from z4j_fastapi.devbrain import DevBrain

EXAMPLES = DOCS / "examples"
# Ten lines with something in them is what a newcomer is asked to paste.
TEN = 10


@pytest.mark.component
@pytest.mark.parametrize("number", range(3))
def test_each_example_of_the_readme_runs_as_written(number: int, tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    name, runner = re.findall(r"Save this as `(\w+)\.py`, and run `([^`]+)`", text)[number]
    block = blocks(ROOT / "README.md", "python")[number]
    (tmp_path / f"{name}.py").write_text(block)
    target = re.split(r"[ .:]", runner)[-1]
    assert f"{name}:{target}" in runner or f"{name}.{target}" in runner
    assert len([line for line in block.splitlines() if line]) <= TEN
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"import {name}; print({name}.{target})"],
        cwd=tmp_path,
        env={"PATH": os.defpath, "HOME": str(tmp_path), "PYTHONPATH": str(STAND_INS)},
        capture_output=True,
        text=True,
        timeout=cli.PATIENCE_S,
        check=False,
    )
    assert found.returncode == 0, found.stderr


def test_every_file_that_the_page_of_examples_names_is_there() -> None:
    named = set(re.findall(r"`(\w+\.(?:py|yml)|redis_probe)`", (DOCS / "examples.md").read_text()))
    there = {path.name for path in EXAMPLES.iterdir() if not path.name.startswith("_")}
    assert named == there


@pytest.mark.parametrize("number", range(len(blocks(DOCS / "agent.md", "python"))))
def test_each_block_of_the_agents_page_stands_alone(number: int) -> None:
    namespace(blocks(DOCS / "agent.md", "python")[number])


async def test_the_example_by_hand_delivers_its_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with DevBrain() as brain:
        for name, value in brain.environment(brain.mint("cron")).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("Z4J_HOME", str(tmp_path))
        await namespace(blocks(DOCS / "agent.md", "python")[-1])["main"]()
        await brain.wait_for_events(1)
    (event,) = brain.seen.events.values()
    assert event["data"]["task_name"] == "nightly"


async def test_the_example_of_a_test_passes(tmp_path: Path) -> None:
    example, misbehaviours, _ = blocks(DOCS / "testing.md", "python")
    namespace(misbehaviours)
    await namespace(example)["test_my_service_reports_its_work"](tmp_path)


async def test_the_example_of_a_command_works(tmp_path: Path) -> None:
    async def send_mail(to: str) -> None:
        assert to == "someone@example.com"

    *_, commands = blocks(DOCS / "testing.md", "python")
    async with DevBrain() as brain, agent_of(brain, tmp_path, engine=AsyncioEngine({"send_mail": send_mail})):
        await namespace(commands)["my_worker_runs_what_the_dashboard_submits"](brain)


async def test_the_health_routes_of_the_example_are_open_to_this_machine_alone() -> None:
    (block,) = blocks(DOCS / "operations.md", "python")
    app = namespace(block)["app"]
    # 503: no agent without a lifespan; None: a Unix socket
    clients = ((("127.0.0.1", 1), 503), (("192.0.2.7", 1), 403), (None, 403))
    for client, status in clients:
        transport = httpx.ASGITransport(app, client=client)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as http:
            assert (await http.get("/z4j/status")).status_code == status
            assert (await http.get("/z4j/ready")).status_code == 503


def test_the_page_of_plug_ins_shows_the_example_as_it_is() -> None:
    (block, *_) = blocks(DOCS / "plugins.md", "python")
    assert block == (EXAMPLES / "redis_probe" / "redis_probe.py").read_text()


@pytest.mark.component
@pytest.mark.faults
async def test_nginx_as_the_page_sets_it_up_passes_the_upgrade_on(tmp_path: Path) -> None:
    (block,) = blocks(DOCS / "proxies-and-tls.md", "nginx")
    nginx = Nginx(tmp_path / "nginx")
    async with DevBrain() as brain:
        assert "http://127.0.0.1:7700" in block
        await nginx.start(block.replace("127.0.0.1:7700", f"127.0.0.1:{brain.port}"))
        try:
            environ = brain.environment(brain.mint("dev")) | {
                "Z4J_BRAIN_URL": f"http://127.0.0.1:{nginx.port}"
            }
            done = await asyncio.to_thread(cli.run, "doctor", "--json", home=tmp_path, env=environ)
        finally:
            await nginx.stop()
    assert cli.document(done.stdout)["first_failure"] is None


@pytest.mark.waits
@pytest.mark.component
async def test_the_pictures_are_what_the_doctor_prints() -> None:
    for name, svg in (await load(DOCS / "pictures.py").pictures()).items():
        assert not re.search(r"url\(\s*[\"']?(?!#)|href|@import", svg), "it loads something from elsewhere"
        committed = (DOCS / "pictures" / f"{name}.svg").read_text()
        assert printed(committed) == printed(svg), "run `make pictures`"


def printed(svg: str) -> str:
    """A picture's text."""
    text = html.unescape("".join(re.findall(r"<text[^>]*>(.*?)</text>", svg, flags=re.DOTALL)))
    return re.sub(r"\s+", " ", text)
