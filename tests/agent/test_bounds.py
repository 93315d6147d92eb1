"""What a brain, or a relay on the path, can make the agent keep, write and believe: bounded."""

from __future__ import annotations

import asyncio
import logging
import resource
import time
from pathlib import Path

import pytest

from tests.support.agents import agent_of, status_with, until
from tests.support.hostile_relay import as_it_was, hostile_relay
from z4j_fastapi.agent.rejections import Rejections
from z4j_fastapi.agent.status import State
from z4j_fastapi.commands.dispatch import BURST, RATE_PER_S
from z4j_fastapi.devbrain import Close, DevBrain, Misbehaviour
from z4j_probes.bounded_connection import UNREAD_MAX_BYTES
from z4j_probes.redact import EXCERPT_LENGTH

HOSTILE = "go away\n2026-01-01 ERROR forged \x1b[31mline\x07" + "x" * 100_000
PING = b"\x89\x7d" + b"p" * 125


@pytest.mark.component
async def test_a_flood_of_pings_whose_answers_are_not_read_ends_the_session(tmp_path: Path) -> None:
    async with (
        DevBrain() as brain,
        hostile_relay(brain.url, as_it_was) as relay,
        agent_of(brain, tmp_path, brain_url=relay.url) as agent,
    ):
        await status_with(agent, State.ONLINE)
        before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        transport = relay.agents[-1].transport
        transport.pause_reading()
        sent = 0
        while agent.status.state is State.ONLINE and sent < 20 * UNREAD_MAX_BYTES:
            if transport.get_write_buffer_size() < 1024 * 1024:
                transport.write(PING * 1000)
                sent += len(PING) * 1000
            await asyncio.sleep(0)
        status = await status_with(agent, State.OFFLINE, "session.lost")
        assert "pings" in status.reason
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
        assert grown_kib * 1024 < 6 * UNREAD_MAX_BYTES
        transport.abort()
        await status_with(agent, State.ONLINE)


async def test_a_flood_of_commands_is_bounded_and_events_pass(tmp_path: Path) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        began_s = time.monotonic()
        flood = [await brain.send_command("task.retry", target={"task_id": str(n)}) for n in range(2 * BURST)]
        agent.emit("task.sent", task_id="1")
        await brain.wait_for_events(1)
        assert agent.status.state is State.ONLINE
        await until(lambda: sum(agent.status.commands.values()) > 0, "some were answered")
        answered = sum(command.result is not None for command in flood)
        assert answered <= BURST + RATE_PER_S * (time.monotonic() - began_s)


async def test_what_a_brain_says_is_one_short_line_wherever_it_appears(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "z4j.agent")
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        await brain.send_error("bad\n\x1b[0m", HOSTILE, fatal=True)
        await until(lambda: agent.status.code == "session.lost", "the session ended")
        assert_tame(agent.status.reason)
    assert any("go away" in record.getMessage() for record in caplog.records)
    for record in caplog.records:
        if record.name.startswith("z4j."):
            first, *more = record.getMessage().split("\n")  # all breaks are ours
            assert all(line.startswith("  ") for line in more)
            for line in (first, *more):
                assert_tame(line)


@pytest.mark.parametrize("name", ["agent_id", "session_id", "brain_version"])
async def test_an_id_of_the_unsigned_hello_ack_is_one_short_line(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "z4j.agent")
    hostile = Misbehaviour(hello_ack_changes={name: HOSTILE})
    async with DevBrain(misbehaviour=hostile) as brain, agent_of(brain, tmp_path) as agent:
        status = await status_with(agent, State.ONLINE)
        assert_tame(status.session_id or "")
        assert_tame(status.reason)
    for record in caplog.records:
        if record.name.startswith("z4j."):
            assert_tame(record.getMessage())


async def test_the_reason_of_a_close_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hostile = Misbehaviour(close_at_first_signed=Close(4000, HOSTILE))
    async with DevBrain(misbehaviour=hostile) as brain, agent_of(brain, tmp_path) as agent:
        status = await status_with(agent, State.OFFLINE, "signing.closed")
        assert_tame(status.reason)


@pytest.mark.parametrize("said", ["5\n" * 250_000, 2.5, True, None, [3], {"n": 1}, -4, 10**40])
def test_a_count_of_rejected_events_is_an_integer_between_none_and_all(said: object) -> None:
    rejections = Rejections()
    rejections.acknowledged(3, said, 0.0)
    assert type(rejections.count) is int
    assert 0 <= rejections.count <= 3


def assert_tame(text: str) -> None:
    assert text.isprintable()
    assert len(text) < 2 * EXCERPT_LENGTH + 200
