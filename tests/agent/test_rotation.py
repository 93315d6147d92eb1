"""Secrets that are rotated in their files: an agent that is offline notices, and is back with one attempt."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.support.agents import agent_of, status_with, until
from z4j_fastapi.agent import files
from z4j_fastapi.agent.files import SettingsFiles
from z4j_fastapi.agent.reconnect import Backoff
from z4j_fastapi.agent.status import State
from z4j_fastapi.devbrain import DevBrain
from z4j_probes import Settings


class Volume:
    """A secret's volume as the kubelet makes it: links to `..data`, itself a link that is exchanged."""

    def __init__(self, directory: Path, **contents: str) -> None:
        self.directory = directory
        directory.mkdir()
        self._version = 0
        self.swap(**contents)
        for name in contents:
            (directory / name).symlink_to(Path("..data", name))

    def swap(self, **contents: str) -> None:
        """Put another version in the place of this one, in one step."""
        self._version += 1
        version = self.directory / f"..2026_{self._version}"
        version.mkdir()
        for name, content in contents.items():
            (version / name).write_text(content)
        (self.directory / "..data_tmp").symlink_to(version.name)
        os.rename(self.directory / "..data_tmp", self.directory / "..data")


@pytest.fixture
def slow_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a change in a file, the next attempt is minutes away."""
    monkeypatch.setattr(Backoff, "next_s", lambda self, heals: 600.0)
    monkeypatch.setattr(files, "LOOK_EVERY_S", 0.05)


@pytest.mark.usefixtures("slow_schedule")
async def test_a_rotated_token_brings_the_agent_back_with_one_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with DevBrain() as brain:
        good = brain.mint("web")
        volume = Volume(tmp_path / "secrets", token="a-token-that-was-revoked", hmac=good.hmac_secret)
        monkeypatch.setenv("Z4J_TOKEN_FILE", str(volume.directory / "token"))
        monkeypatch.setenv("Z4J_HMAC_SECRET_FILE", str(volume.directory / "hmac"))
        async with agent_of(brain, tmp_path, good, token=None, hmac_secret=None) as agent:
            status = await status_with(agent, State.OFFLINE, "auth.token_rejected")
            assert status.next_attempt_at is not None
            before = brain.seen.connections
            await asyncio.sleep(0.3)  # looks at files that have not changed
            assert brain.seen.connections == before
            volume.swap(token=good.token, hmac=good.hmac_secret)
            await status_with(agent, State.ONLINE)
            assert brain.seen.connections == before + 1
            read = agent.describe()["files"]
            inode = (volume.directory / "token").stat().st_ino
            assert [file["inode"] for file in read if file["setting"] == "token"] == [inode]


@pytest.mark.usefixtures("slow_schedule")
async def test_a_file_that_was_away_and_a_ca_file_that_changes_are_noticed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with DevBrain() as brain:
        good = brain.mint("web")
        token, ca_file = tmp_path / "token", tmp_path / "ca.pem"
        monkeypatch.setenv("Z4J_TOKEN_FILE", str(token))
        ca_file.write_text("not a certificate")
        async with agent_of(brain, tmp_path, good, token=None, ca_file=ca_file) as agent:
            await status_with(agent, State.OFFLINE, "config.secret_unreadable")
            token.write_text(good.token)
            await status_with(agent, State.OFFLINE, "config.ca_unreadable")
            import certifi

            ca_file.write_text(certifi.contents())
            await status_with(agent, State.ONLINE)


async def test_a_file_that_changes_all_the_time_is_not_a_reason_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LOOK_EVERY_S", 0.05)
    token = tmp_path / "token"
    token.write_text("a")
    settings = Settings.load(environ={"Z4J_TOKEN_FILE": str(token)})
    watch = SettingsFiles()
    await watch.reread(settings)
    changes, woken = 0, 0
    loop = asyncio.get_running_loop()
    end_s = loop.time() + 1.5

    async def touch() -> None:
        nonlocal changes
        while loop.time() < end_s:
            changes += 1
            token.write_text("a" * (changes % 50 + 1))
            await asyncio.sleep(0.01)

    touching = asyncio.create_task(touch())
    while loop.time() < end_s:
        woken += await watch.sleep(settings, end_s - loop.time())
    await touching
    assert 2 <= woken <= 6


async def test_files_that_do_not_answer_leave_one_thread_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LOOK_EVERY_S", 0.02)
    looks = []
    stuck = asyncio.Event()

    async def never(call: object) -> object:
        looks.append(call)
        await stuck.wait()
        return {}

    monkeypatch.setattr(files, "in_daemon_thread", never)
    settings = Settings.load(environ={"Z4J_TOKEN_FILE": str(tmp_path / "token")}, read_files=False)
    watch = SettingsFiles()
    assert not await watch.sleep(settings, 0.3)
    assert len(looks) == 1
    stuck.set()
    await until(lambda: not watch._look or watch._look.done(), "it ended")
