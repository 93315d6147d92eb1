"""Several processes on one token: one hello for all of them, and commands that reach the one that can act."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from tests.support.agents import until
from tests.support.engine import AsyncioEngine
from z4j_fastapi import Z4JAgent
from z4j_fastapi.commands import peer_socket, peers
from z4j_fastapi.commands.offer import Offer
from z4j_fastapi.commands.peer_socket import PeerLost, PeerSocket, ask
from z4j_fastapi.devbrain import Credentials, DevBrain

RUNS: list[Any] = []


async def note(*args: Any) -> None:
    RUNS.append(args)


async def forever() -> None:
    await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def _short_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of a socket has room for 108 bytes: relative ones fit, wherever tests are run."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def engine() -> AsyncioEngine:
    RUNS.clear()
    return AsyncioEngine({"note": note, "forever": forever})


@asynccontextmanager
async def process(
    brain: DevBrain, credentials: Credentials, home: Path, **more: Any
) -> AsyncIterator[Z4JAgent]:
    """An agent as another process of this host has it: only the socket connects it with the others here."""
    given: dict[str, Any] = {
        "brain_url": brain.url,
        "token": credentials.token,
        "hmac_secret": credentials.hmac_secret,
        "project_id": credentials.project,
        "agent_name": "web",
        "home": home,
        "preflight_budget_s": 30.0,
        "commands": "all",
        **more,
    }
    async with Z4JAgent(**given) as agent:
        yield agent


@pytest.mark.parametrize("web_first", [True, False])
@pytest.mark.parametrize("agent_name", ["web", "mail"])
async def test_a_web_process_on_the_workers_token_takes_nothing_from_it(
    tmp_path: Path, engine: AsyncioEngine, web_first: bool, agent_name: str
) -> None:
    async with DevBrain() as brain:
        one = brain.mint("web")
        web, worker = (
            process(brain, one, tmp_path, agent_name=agent_name),
            process(brain, one, tmp_path, engine=engine, role="task"),
        )
        async with web if web_first else worker as a, worker if web_first else web as b:
            web_id = (a if web_first else b).status.worker_id
            last = brain.seen.hellos[-1]  # what a brain shows of the agent
            assert last.engines == ("arq",)
            assert "cancel_task" in (last.capabilities or {})["arq"]
            # a brain sends to the session that connected first
            done = await brain.command(
                "submit_task", task_name="note", args=[1], engine="arq", worker_id=web_id
            )
            assert done["status"] == "success"
            await engine.settled()
            assert RUNS == [(1,)]
            running = await brain.command("submit_task", task_name="forever", engine="arq", worker_id=web_id)
            task_id = running["result"]["task_id"]
            answer = await brain.command("cancel_task", task_id=task_id, engine="arq", worker_id=web_id)
            assert answer["result"] == {"task_id": task_id, "aborted": True}
            (letter,) = await brain.dead_letters(engine="arq", worker_id=web_id)
            assert letter["task_id"] == task_id
            refused = await brain.command("submit_task", task_name="strange", engine="arq", worker_id=web_id)
            assert refused["error"].startswith("command.unknown_task")
            counts = (a if web_first else b).status.commands
            assert counts["passed_on"] >= 4
        assert not list((tmp_path / "peers").iterdir())


async def test_a_fire_that_was_passed_on_is_done_once_and_left_unanswered_where_it_can_not_run(
    tmp_path: Path, engine: AsyncioEngine
) -> None:
    async with DevBrain() as brain:
        one = brain.mint("web")
        async with (
            process(brain, one, tmp_path) as web,
            process(brain, one, tmp_path, engine=engine, role="task"),
        ):
            web_id = web.status.worker_id

            async def fire(task: str, fire_id: str) -> Any:
                return await brain.send_command(
                    "schedule.fire",
                    target={"type": "schedule", "id": "s", "engine": "arq"},
                    parameters={"task_name": task, "engine": "arq", "fire_id": fire_id},
                    worker_id=web_id,
                )

            due = await fire("note", "f-1")
            await brain.wait_for_result(due)
            await brain.send_again(due, worker_id=web_id)
            await brain.wait_for_result(await fire("note", "f-1"))
            strange = await fire("strange", "f-2")
            await until(lambda: web.status.commands.get("unanswered") == 1, "it was left unanswered")
            assert strange.result is None
            await engine.settled()
            assert len(RUNS) == 1


async def test_a_cancel_goes_to_the_worker_that_runs_the_task_and_a_restart_to_the_one_it_names(
    tmp_path: Path,
) -> None:
    engines = [AsyncioEngine({"forever": forever, name: note}) for name in ("a", "b")]
    async with DevBrain() as brain:
        one = brain.mint("web")
        async with (
            process(brain, one, tmp_path, engine=engines[0], role="task") as first,
            process(brain, one, tmp_path, engine=engines[1], role="task") as second,
        ):
            ids = [first.status.worker_id, second.status.worker_id]
            started = await brain.command("submit_task", task_name="forever", engine="arq", worker_id=ids[1])
            task_id = started["result"]["task_id"]
            answer = await brain.command("cancel_task", task_id=task_id, engine="arq", worker_id=ids[0])
            assert answer["status"] == "success"
            # what only the other one has registered
            done = await brain.command("submit_task", task_name="b", engine="arq", worker_id=ids[0])
            assert done["status"] == "success"
            assert [run.task.name for run in engines[1].runs.values()] == ["forever", "b"]


async def test_the_owner_of_the_worker_decides_not_that_of_the_web_process(
    tmp_path: Path, engine: AsyncioEngine
) -> None:
    async with DevBrain() as brain:
        one = brain.mint("web")
        async with (
            process(brain, one, tmp_path, commands="all") as web,
            process(brain, one, tmp_path, engine=engine, role="task", commands="dlq.list"),
        ):
            refused = await brain.command(
                "submit_task", task_name="note", engine="arq", worker_id=web.status.worker_id
            )
            assert refused["error"].startswith("command.not_allowed")
    assert not RUNS


async def test_another_token_of_the_same_directory_is_another_agent(
    tmp_path: Path, engine: AsyncioEngine
) -> None:
    async with (
        DevBrain() as brain,
        process(brain, brain.mint("web"), tmp_path, engine=engine, role="task"),
        process(brain, brain.mint("web"), tmp_path) as web,
    ):
        assert brain.seen.hellos[-1].engines == ()
        refused = await brain.command(
            "submit_task", task_name="note", engine="arq", worker_id=web.status.worker_id
        )
        assert refused["error"].startswith("command.no_worker_here")


async def test_a_worker_with_another_secret_acts_on_nothing(tmp_path: Path, engine: AsyncioEngine) -> None:
    """It is online with the old one; what is passed on is signed with the new one."""
    async with DevBrain() as brain:
        one = brain.mint("web")
        async with (
            process(brain, one, tmp_path) as web,
            process(brain, one, tmp_path, engine=engine, role="task") as worker,
        ):
            thread = worker._thread
            assert thread is not None
            assert thread._supervisor is not None
            thread._supervisor._peers.hmac_secret = type(thread.settings.hmac_secret)("A" * 43)  # type: ignore[misc]
            refused = await brain.command(
                "submit_task", task_name="note", engine="arq", worker_id=web.status.worker_id
            )
            assert refused["status"] == "failed"
    assert not RUNS


async def test_what_is_forged_replayed_or_no_command_is_refused(
    tmp_path: Path, engine: AsyncioEngine
) -> None:
    """By a program of the same user, which may connect."""
    async with DevBrain() as brain:
        one = brain.mint("web")
        async with process(brain, one, tmp_path, engine=engine, role="task"):
            (path,) = (tmp_path / "peers").iterdir()
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            session = [one.agent_id, one.project_id, "s"]
            frame = {
                "v": 2,
                "type": "command",
                "id": "c",
                "ts": "2026-01-01T00:00:00Z",
                "nonce": "n" * 22,
                "seq": 1,
                "hmac": "0" * 64,
                "payload": {},
            }
            for question in (
                {"command": frame, "session": session},
                {"command": {**frame, "hmac": None}, "session": session},
                {"command": [], "session": session},
                {"command": frame, "session": "abc"},
                {"command": frame, "session": [1, 2, 3]},
                {"command": frame},
                {"what": 1},
                {"runs": {"a": 1}},
            ):
                answer = await ask(Path(_short(path)), question, 5)
                assert answer is not None
                assert answer.get("refused") == "command.no_worker_here" or answer == {"runs": False}
            for raw in (b"\n", b"[]\n", b"nonsense\n", b'{"command":', b"\xff\n"):
                reader, writer = await asyncio.open_unix_connection(_short(path))
                writer.write(raw)
                writer.write_eof()
                assert await reader.read() == b""
                writer.close()
            assert (await brain.command("submit_task", task_name="note"))["status"] == "success"


def _short(path: Path) -> str:
    return os.path.relpath(path)


async def test_a_frame_is_taken_once(
    tmp_path: Path, engine: AsyncioEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    async def spying(path: Path, question: Any, within_s: float) -> Any:
        asked.append((path, question))
        return await ask(path, question, within_s)

    monkeypatch.setattr("z4j_fastapi.commands.peers.ask", spying)
    async with DevBrain() as brain:
        one = brain.mint("web")
        async with (
            process(brain, one, tmp_path) as web,
            process(brain, one, tmp_path, engine=engine, role="task"),
        ):
            done = await brain.command(
                "submit_task", task_name="note", engine="arq", worker_id=web.status.worker_id
            )
            assert done["status"] == "success"
            (path, question) = next(one for one in asked if "command" in one[1])
            again = await ask(path, question, 5)
            assert again is not None
            assert "nonce" in again["error"]
            await engine.settled()
    assert len(RUNS) == 1


async def test_equal_processes_do_not_ask_each_other_at_their_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 64 that start at once each would ask 63, twice."""
    asked: list[Path] = []

    async def spying(path: Path, question: Any, within_s: float) -> Any:
        asked.append(path)
        return await ask(path, question, within_s)

    monkeypatch.setattr("z4j_fastapi.commands.peers.ask", spying)
    async with DevBrain() as brain:
        one = brain.mint("web")
        engines = [AsyncioEngine({"note": note}) for _ in range(2)]
        async with (
            process(brain, one, tmp_path, engine=engines[0]),
            process(brain, one, tmp_path, engine=engines[1]),
        ):
            assert brain.seen.hellos[-1].engines == ("arq",)
            assert not asked
            left = tmp_path / "peers" / f"{2**22 + 1}-00000000-{_mark_of(tmp_path)}.sock"
            listening = socket.socket(socket.AF_UNIX)
            listening.bind(_short(left))
            listening.close()  # as a process leaves it that was killed
            async with process(brain, one, tmp_path, engine=AsyncioEngine({"note": note})):
                assert asked == [left]
                assert not left.exists()
            async with process(brain, one, tmp_path):  # it differs from the two that live
                assert len(set(asked)) == 3
                assert brain.seen.hellos[-1].engines == ("arq",)


def _mark_of(home: Path) -> str:
    (mark,) = {path.stem.rpartition("-")[2] for path in (home / "peers").iterdir()}
    return mark


def _listening(path: Path) -> Popen[bytes]:
    code = "import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()"
    return Popen([sys.executable, "-c", f"{code}; time.sleep(99)", _short(path)])


@pytest.mark.component
async def test_what_a_killed_process_left_is_removed_and_a_stopped_one_holds_up_no_start(
    tmp_path: Path, engine: AsyncioEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "ASKED_S", 3.0)  # for a busy machine
    (tmp_path / "peers").mkdir(mode=0o700)
    dead, stopped = (tmp_path / "peers" / f"{name}.sock" for name in ("dead", "stopped"))
    programs = [_listening(path) for path in (dead, stopped)]
    try:
        await until(lambda: dead.exists() and stopped.exists(), "they listen", 60)
        programs[0].kill()
        programs[0].wait()
        programs[1].send_signal(signal.SIGSTOP)
        async with DevBrain() as brain, process(brain, brain.mint("web"), tmp_path, engine=engine):
            assert brain.seen.hellos[-1].engines == ("arq",)
            assert not dead.exists()
            assert stopped.exists()
            assert (await brain.command("cancel_task", task_id="x"))["status"] == "failed"
    finally:
        for program in programs:
            program.kill()
            program.wait()


async def test_a_process_that_ends_while_it_acts_leaves_the_outcome_unknown(tmp_path: Path) -> None:
    listening = socket.socket(socket.AF_UNIX)
    path = tmp_path / "one.sock"
    listening.bind(_short(path))
    listening.listen()

    def hang_up() -> None:
        connection, _ = listening.accept()
        connection.recv(1)
        connection.close()

    with listening:
        taking = asyncio.create_task(asyncio.to_thread(hang_up))
        with pytest.raises(PeerLost):
            await ask(path, {"command": {}}, 10)
        await taking


async def test_a_directory_with_a_long_name_has_sockets_too(tmp_path: Path) -> None:
    home = tmp_path / ("x" * 120)
    home.mkdir()

    async def answer(question: Any) -> Any:
        return {"heard": question}

    async with PeerSocket(home, answer, mark="0" * 8) as own:
        assert await ask(own.path, {"a": 1}, 5) == {"heard": {"a": 1}}
    assert not own.path.exists()


async def test_a_socket_without_its_name_yet_is_left_alone(tmp_path: Path, engine: AsyncioEngine) -> None:
    """Its process has not begun to listen; to remove it would be the end of it."""
    (tmp_path / "peers").mkdir(mode=0o700)
    unnamed = tmp_path / "peers" / ".1-00000000-00000000.sock"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(_short(unnamed))
        async with DevBrain() as brain, process(brain, brain.mint("web"), tmp_path, engine=engine):
            assert unnamed.exists()


async def test_one_of_another_user_is_not_answered_and_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(question: Any) -> Any:
        return {}

    async with PeerSocket(tmp_path, answer, mark="0" * 8) as own:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        assert await ask(own.path, {"a": 1}, 5) is None
        reader, writer = await asyncio.open_unix_connection(_short(own.path))
        assert await reader.read() == b""
        writer.close()


async def test_where_no_socket_can_be_made_the_agent_goes_on(
    tmp_path: Path, engine: AsyncioEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "z4j")
    (tmp_path / "peers").write_text("")
    async with DevBrain() as brain, process(brain, brain.mint("web"), tmp_path, engine=engine):
        assert (await brain.command("submit_task", task_name="note"))["status"] == "success"
    assert "can't pass commands on" in caplog.text


def test_offers_are_joined_in_order_and_compared_as_sets() -> None:
    one = Offer(("arq",), (), {"arq": ("cancel_task",)})
    two = Offer(("taskiq", "arq"), ("s",), {"arq": ("retry_task", "cancel_task"), "taskiq": ()})
    both = one.joined([two])
    assert both == Offer(("arq", "taskiq"), ("s",), {"arq": ("cancel_task", "retry_task"), "taskiq": ()})
    assert both.has_all_of(one)
    assert both.has_all_of(two)
    assert not one.has_all_of(two)
    assert Offer.from_json(json.loads(json.dumps(both.to_json()))) == both
    for broken in ({}, {"engines": "arq", "schedulers": [], "capabilities": {}}, {"engines": [1]}):
        with pytest.raises((LookupError, TypeError, ValueError)):
            Offer.from_json(broken)


def test_a_system_without_credentials_has_no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    assert peer_socket.is_supported()
    monkeypatch.delattr(socket, "SO_PEERCRED")
    assert not peer_socket.is_supported()
