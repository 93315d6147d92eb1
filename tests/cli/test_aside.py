"""`aside`: what was set aside is listed without its data, sent again by a running agent, and deleted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import cli
from tests.support.agents import agent_of
from z4j_fastapi.buffer import SetAside
from z4j_fastapi.devbrain import DevBrain
from z4j_probes.storage import identity

pytestmark = pytest.mark.component

URL = "http://127.0.0.1:9"


def event(number: int) -> str:
    uuid = f"00000000-0000-4000-8000-{number:012}"
    return json.dumps(  # canonical, as everything in a buffer is
        {
            "id": uuid,
            "engine": "arq",
            "task_id": f"t-{number}",
            "kind": "task.failed",
            "occurred_at": "2026-11-23T20:00:00.000001Z",
            "data": {"task_name": "send", "args": ["private"]},
        },
        sort_keys=True,
        separators=(",", ":"),
    )


def asked(*words: str, home: Path, code: int = 0, url: str = URL) -> tuple[str, str]:
    env = {"Z4J_BRAIN_URL": url, "Z4J_AGENT_NAME": "web"}
    done = cli.run("aside", *words, home=home, env=env)
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def set_aside_in(home: Path, url: str = URL) -> SetAside:
    directory = home / ".z4j" / identity(url, "default", "web")
    directory.mkdir(parents=True, mode=0o700)
    found = SetAside(directory)
    found.add([event(1), event(2), event(3)], "session.event_set_aside")
    return found


def test_they_are_listed_without_their_data(tmp_path: Path) -> None:
    set_aside_in(tmp_path)
    table, _ = asked("list", home=tmp_path)
    assert "task.failed arq t-2" in table
    rows = [json.loads(line) for line in asked("list", "--json", home=tmp_path)[0].splitlines()]
    assert [(row["id"], row["task_id"]) for row in rows] == [(1, "t-1"), (2, "t-2"), (3, "t-3")]
    assert "private" not in table + json.dumps(rows)


def test_none_is_said_to_be_none(tmp_path: Path) -> None:
    assert "No events are set aside." in asked("list", home=tmp_path)[1]
    assert "No events are set aside." in asked("retry", home=tmp_path)[1]


def test_those_that_are_named_are_deleted(tmp_path: Path) -> None:
    found = set_aside_in(tmp_path)
    asked("delete", home=tmp_path, code=2)
    assert "with the id 9\n" in asked("delete", "9", home=tmp_path, code=2)[1]
    assert "with the ids 8, 9\n" in asked("delete", "9", "1", "8", home=tmp_path, code=2)[1]
    asked("delete", "1", "3", home=tmp_path)
    assert [event.id for event in found.list()] == [2]
    asked("delete", "--all", home=tmp_path)
    assert found.list() == []


async def test_a_retried_event_reaches_the_brain_once(tmp_path: Path) -> None:
    async with DevBrain() as brain:
        found = set_aside_in(tmp_path, brain.url)
        assert "2 events" in asked("retry", "1", "2", home=tmp_path, url=brain.url)[1]
        assert [event.id for event in found.list()] == [3]
        async with agent_of(brain, tmp_path, home=tmp_path / ".z4j"):
            await brain.wait_for_events(2)
        assert sorted(seen["task_id"] for seen in brain.seen.events.values()) == ["t-1", "t-2"]
