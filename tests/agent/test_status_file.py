"""The status file of an agent that lives, and what becomes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.agents import agent_of, closed_port, status_with, until
from z4j_fastapi.agent.agent import Z4JAgent
from z4j_fastapi.agent.status import State
from z4j_fastapi.devbrain import DevBrain
from z4j_probes.storage.status_files import identities, read_status_files


def said(home: Path) -> list[dict[str, Any]]:
    if not home.exists():
        return []
    return [dict(found.document) for directory in identities(home) for found in read_status_files(directory)]


async def until_it_says(home: Path, **wanted: object) -> dict[str, Any]:
    """The file's content once it has these values."""
    await until(
        lambda: any(all(one[name] == value for name, value in wanted.items()) for one in said(home)),
        f"the status file said {wanted}",
    )
    return said(home)[0]


async def test_it_follows_the_agent_and_goes_with_it(tmp_path: Path) -> None:
    home = tmp_path / "z4j"
    async with DevBrain() as brain:
        credentials = brain.mint("web")
        async with agent_of(brain, tmp_path, credentials, role="task") as agent:
            found = await until_it_says(home, state="online")
            assert (found["role"], found["agent_name"], found["brain_url"]) == ("task", "web", brain.url)
            assert found["worker_id"] == agent.status.worker_id
            assert found["brain_version"]
            await brain.stop()
            found = await until_it_says(home, state="offline")
            assert found["code"]
            assert agent.emit("task.sent", task_id="1")
            await until_it_says(home, buffered=1)
            await brain.start()
            found = await until_it_says(home, state="online", buffered=0, acknowledged=1)
            assert found["last_acknowledged_at"]
            assert sum(found["latency"]["counts"]) > 0
            assert sum(found["reconnects"].values()) >= 1
            assert credentials.token not in json.dumps(found)
        assert said(home) == []
        assert [path.name for path in home.rglob("status-*")] == []


async def test_two_agents_of_one_service_have_a_file_each(tmp_path: Path) -> None:
    async with DevBrain() as brain:
        credentials = brain.mint("web")
        async with agent_of(brain, tmp_path, credentials), agent_of(brain, tmp_path, credentials):
            await until(lambda: len(said(tmp_path / "z4j")) == 2, "both were there")
        assert said(tmp_path / "z4j") == []


async def test_it_is_written_again_where_it_was_deleted(tmp_path: Path) -> None:
    home = tmp_path / "z4j"
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        await until_it_says(home, state="online")
        for path in home.rglob("status-*"):
            path.unlink()
        agent.emit("task.sent", task_id="1")
        await until_it_says(home, state="online")


async def test_a_disabled_agent_that_keeps_events_says_so_and_one_that_keeps_none_has_no_file(
    tmp_path: Path,
) -> None:
    home = tmp_path / "z4j"
    with closed_port() as port:
        url = f"http://127.0.0.1:{port}"
        async with Z4JAgent(brain_url=url, token="t" * 20, agent_name="web", home=home) as agent:
            await status_with(agent, State.DISABLED, "config.missing")
            assert (await until_it_says(home, state="disabled"))["code"] == "config.missing"
    async with Z4JAgent(brain_url="htps://x", token="t" * 20, agent_name="web", home=home) as agent:
        assert agent.status.state is State.DISABLED
        await until(lambda: said(home) == [], "it had no file")
