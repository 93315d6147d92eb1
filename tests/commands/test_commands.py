"""What a brain asks and an agent does, over a real socket, with an engine that really runs tasks."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.agents import agent_of, until
from tests.support.engine import AsyncioEngine
from z4j_fastapi import State
from z4j_fastapi.commands.record import LINES_PER_S
from z4j_fastapi.devbrain import NEVER, Command, DevBrain, Misbehaviour
from z4j_fastapi.workers.engine import Action, EngineState, Failed

RUNS: list[Any] = []


async def note(*args: Any, **kwargs: Any) -> None:
    RUNS.append((args, kwargs))


async def fail(*args: Any) -> None:
    raise ValueError(*args)


async def forever() -> None:
    await asyncio.Event().wait()


@pytest.fixture
def engine() -> AsyncioEngine:
    RUNS.clear()
    return AsyncioEngine({"note": note, "fail": fail, "forever": forever})


async def fire(brain: DevBrain, task_name: str = "note", **parameters: Any) -> Command:
    """Send a schedule's command, as a brain does when it is due, and wait for nothing."""
    return await brain.send_command(
        "schedule.fire",
        target={"type": "schedule", "id": "s", "engine": "arq"},
        parameters={"task_name": task_name, "engine": "arq", "fire_id": "f-1", **parameters},
    )


async def test_every_action_is_done_by_the_engine(tmp_path: Path, engine: AsyncioEngine) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path, engine=engine, commands="all"):
        sent = await brain.command("submit_task", task_name="note", args=[1], kwargs={"a": 2})
        assert sent["result"]["engine"] == "arq"
        task_id = sent["result"]["task_id"]
        await engine.settled()
        assert RUNS == [((1,), {"a": 2})]
        known = await brain.command("reconcile_task", task_id=task_id)
        assert known["result"]["engine_state"] == "success"
        assert known["result"]["finished_at"].endswith("Z")

        retried = await brain.command("retry_task", task_id=task_id, override_args=[3])
        await engine.settled()
        assert RUNS[-1] == ((3,), {"a": 2})
        assert engine.runs[retried["result"]["task_id"]].parent == task_id

        await brain.command("schedule.fire", task_name="fail", args=["no"])
        await engine.settled()
        (dead,) = await brain.dead_letters()
        assert (dead["task_name"], dead["error_excerpt"]) == ("fail", "ValueError: no")
        again = await brain.command("bulk_retry", task_ids=[dead["task_id"], "gone"])
        assert again["status"] == "success"
        assert (again["result"]["retried"], again["result"]["failed"]) == (1, 1)
        requeued = await brain.command("requeue_dead_letter", task_id=dead["task_id"])
        assert requeued["result"]["task_id"] in engine.runs

        await brain.command("submit_task", task_name="forever")
        running = next(run for run in engine.runs.values() if run.task.name == "forever")
        cancelled = await brain.command("cancel_task", task_id=running.task.task_id)
        assert cancelled["result"] == {"task_id": running.task.task_id, "aborted": True}
        await engine.settled()
        assert running.handle is not None
        assert running.handle.cancelled()

        assert (await brain.command("restart_worker", worker_name="w"))["status"] == "success"
        assert engine.restarted == ["w"]


async def test_a_queue_is_purged_only_at_the_depth_that_was_seen(
    tmp_path: Path, engine: AsyncioEngine
) -> None:
    engine.holds = True
    async with DevBrain() as brain, agent_of(brain, tmp_path, engine=engine, commands="all"):
        for _ in range(3):
            await brain.command("submit_task", task_name="note")
        for depth in (2, None):
            refused = await brain.command("purge_queue", queue="jobs", observed_depth=depth)
            assert refused["status"] == "failed"
            assert "command.wrong_token" in refused["error"]
        assert (await brain.command("purge_queue", queue="jobs", observed_depth=3))["result"] == {"purged": 3}
        assert (await brain.command("purge_queue", queue="jobs", force=True))["result"] == {"purged": 0}


async def test_what_a_task_says_is_answered_as_its_events_are(tmp_path: Path) -> None:
    async def fail(*args: Any) -> None:
        # an undecodable file name, what no database keeps as text, and a secret
        raise ValueError("'\udcff\x00' of https://reader:hunter22@db.example/ and CARD-4711")

    engine = AsyncioEngine({"fail": fail})
    async with (
        DevBrain() as brain,
        agent_of(brain, tmp_path, engine=engine, redact_patterns=[r"CARD-\d+"]),
    ):
        sent = await brain.command("submit_task", task_name="fail")
        await engine.settled()
        known = await brain.command("reconcile_task", task_id=sent["result"]["task_id"])
        (dead,) = await brain.dead_letters()
    for text in (known["result"]["exception"], dead["error_excerpt"]):
        assert text.startswith("ValueError: '")
        assert not {"\udcff", "\x00"} & set(text)
        assert "hunter22" not in text
        assert "CARD" not in text


@pytest.mark.parametrize(
    ("action", "arguments", "code", "remedy"),
    [
        ("rate_limit", {}, "command.unsupported", "has no rate limits."),
        ("pool_grow", {}, "command.unsupported", "Make the change where the worker is configured"),
        ("no_such_thing", {}, "command.unsupported", "Upgrade the agent if a newer version has it"),
        (
            "purge_queue",
            {"queue": "jobs", "force": True},
            "command.not_allowed",
            "add purge_queue to Z4J_COMMANDS",
        ),
        ("restart_worker", {"worker_name": "w"}, "command.not_allowed", "add restart_worker to Z4J_COMMANDS"),
        (
            "submit_task",
            {"task_name": "unknown"},
            "command.unknown_task",
            "Add the task to this worker's functions",
        ),
        ("retry_task", {"task_id": "gone"}, "command.result_not_kept", "keep_failed of Z4JMiddleware"),
        ("cancel_task", {"task_id": "1", "engine": "rq"}, "command.no_worker_here", "Use a separate token"),
        ("cancel_task", {"task_id": "1\r\n2"}, "command.unsupported", "Correct it, and send it again"),
        ("cancel_task", {"task_id": "x" * 201}, "command.unsupported", "Correct it, and send it again"),
        ("cancel_task", {"task_id": {"a": 1}}, "command.unsupported", "Correct it, and send it again"),
        (
            "bulk_retry",
            {"task_ids": ["gone", "too"]},
            "command.result_not_kept",
            "keep_failed of Z4JMiddleware",
        ),
        ("dlq.list", {"cursor": "not mine"}, "invalid dead-letter cursor", "Load the list again"),
    ],
)
async def test_a_refusal_says_why_and_what_to_do(
    tmp_path: Path, engine: AsyncioEngine, action: str, arguments: dict[str, Any], code: str, remedy: str
) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path, engine=engine) as agent:
        refused = await brain.command(action, **arguments)
        assert refused["status"] == "failed"
        assert code in refused["error"]
        assert remedy in refused["error"]
        # the general advice of a code is not given where it does not help
        assert ("where the worker is configured" in refused["error"]) is (action == "pool_grow")
        assert agent.status.commands["refused"] == 1
        assert RUNS == []


async def test_an_owner_who_allows_nothing_is_not_advised_to_allow_a_purge(
    tmp_path: Path, engine: AsyncioEngine
) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path, engine=engine, commands="none"):
        refused = await brain.command("dlq.list", engine="arq")
        assert "add dlq.list to Z4J_COMMANDS" in refused["error"]
        assert "purge_queue" not in refused["error"]


async def test_without_a_worker_a_command_is_refused(tmp_path: Path) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path, engines=["arq"]):
        refused = await brain.command("cancel_task", task_id="1")
        assert "command.no_worker_here" in refused["error"]


@pytest.mark.parametrize(
    ("commands", "engines", "capabilities"),
    [
        (None, ("arq",), {"cancel_task", "retry_task", "retry_by_reference_v1", "bulk_retry"}),
        ("all", ("arq",), {"restart_worker", "cancel_task"}),
        ("cancel_task", ("arq",), {"cancel_task"}),
        (["reconcile_task"], ("arq",), set()),
        ("none", (), set()),
        ([], (), set()),
    ],
)
async def test_the_hello_offers_what_the_owner_allows(
    tmp_path: Path, engine: AsyncioEngine, commands: Any, engines: tuple[str, ...], capabilities: set[str]
) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path, engine=engine, commands=commands):
        (hello,) = brain.seen.hellos
        assert hello.engines == engines
        offered = set((hello.capabilities or {}).get("arq", ()))
        assert capabilities <= offered
        assert offered <= capabilities or commands in (None, "all")
        assert ("restart_worker" in offered) is (commands == "all")


async def test_a_schedule_that_can_not_run_here_is_left_unanswered_and_is_an_error(
    tmp_path: Path, engine: AsyncioEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path, engine=engine) as agent:
        command = await fire(brain, "unknown")
        await until(lambda: agent.status.commands.get("unanswered") == 1, "it was counted")
        await until(lambda: any(r.levelno == logging.ERROR for r in caplog.records), "it was logged")
        (said,) = [r for r in caplog.records if r.levelno == logging.ERROR]
        assert "command.unknown_task" in said.getMessage()
        engine.functions = {**engine.functions, "unknown": note}
        await brain.send_again(command)
        assert (await brain.wait_for_result(command))["status"] == "success"
        await engine.settled()
        assert len(RUNS) == 1


async def test_a_flood_hides_no_schedule_that_did_not_run(
    tmp_path: Path, engine: AsyncioEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "z4j_fastapi")
    async with DevBrain() as brain, agent_of(brain, tmp_path, engine=engine) as agent:
        for _ in range(LINES_PER_S + 1):  # not one of them an error, more than are told one by one
            await brain.command("reconcile_task", task_id="1")
        await fire(brain, "unknown")
        await until(lambda: agent.status.commands.get("unanswered") == 1, "it was counted")
        await until(lambda: any(r.levelno == logging.ERROR for r in caplog.records), "it was told")
        errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
        assert len(errors) == 1
        assert "schedule.fire" in errors[0]
        assert "the worker has no task of this name. Add the task" in " ".join(errors[0].split())
        await until(lambda: "1 more command within a second: 1 done" in caplog.text, "the rest was counted")


async def test_a_command_that_comes_again_is_answered_from_memory(
    tmp_path: Path, engine: AsyncioEngine
) -> None:
    async with DevBrain() as brain:
        credentials = brain.mint("web")
        async with agent_of(brain, tmp_path, credentials, engine=engine):
            command = await fire(brain)
            first = await brain.wait_for_result(command)
        for is_same_id in (True, False):
            async with agent_of(brain, tmp_path, credentials, engine=engine) as agent:
                command.result = None
                if is_same_id:
                    await brain.send_again(command)
                else:
                    command = await fire(brain)
                again = await brain.wait_for_result(command)
                assert again["result"] == first["result"]
                assert agent.status.commands == {"again": 1}
        await engine.settled()
        assert len(RUNS) == 1


@pytest.mark.parametrize("can_tell", [True, False])
async def test_one_that_was_cut_off_is_asked_of_the_engine_or_left_unanswered(
    tmp_path: Path, engine: AsyncioEngine, can_tell: bool, caplog: pytest.LogCaptureFixture
) -> None:
    lost = asyncio.Event()

    async def submit_and_break(task: Any) -> None:
        await AsyncioEngine.submit(engine, task)
        lost.set()
        raise ConnectionError("Redis went away in the middle")

    breaking = AsyncioEngine(engine.functions)
    breaking.submit = submit_and_break  # type: ignore[method-assign]
    engine.can_tell = can_tell
    async with DevBrain() as brain:
        credentials = brain.mint("web")
        async with agent_of(brain, tmp_path, credentials, engine=breaking) as agent:
            command = await fire(brain)
            await until(lambda: agent.status.commands.get("unanswered") == 1, "it was counted")
        async with agent_of(brain, tmp_path, credentials, engine=engine) as agent:
            await brain.send_again(command)
            if can_tell:
                assert (await brain.wait_for_result(command))["status"] == "success"
            else:
                await until(lambda: agent.status.commands.get("unanswered") == 1, "it was counted")
                assert command.result is None
                assert "command.outcome_unknown" in caplog.text
        await engine.settled()
        assert len(RUNS) == 1


async def test_a_fire_that_comes_again_by_other_ids_has_one_outcome(
    tmp_path: Path, engine: AsyncioEngine
) -> None:
    raised: list[Exception] = [
        ConnectionError("gone"),
        Failed("it can't be sent"),
        AssertionError("once more"),
    ]

    async def submit(task: Any) -> None:
        raise raised.pop(0)

    engine.submit = submit  # type: ignore[method-assign]
    async with DevBrain() as brain, agent_of(brain, tmp_path, engine=engine) as agent:
        await fire(brain)
        await until(lambda: agent.status.commands.get("unanswered") == 1, "it was cut off")
        for _ in range(2):
            answer = await brain.wait_for_result(await fire(brain))
            assert (answer["status"], answer["error"]) == ("failed", "it can't be sent")
    assert len(raised) == 1


async def test_without_a_disk_only_what_may_be_done_twice_is_done(
    tmp_path: Path, engine: AsyncioEngine
) -> None:
    home = tmp_path / "file"
    home.write_text("")
    async with DevBrain() as brain, agent_of(brain, tmp_path, engine=engine, home=home):
        refused = await brain.command("submit_task", task_name="note")
        assert "buffer." in refused["error"]
        assert (await brain.command("reconcile_task", task_id="1"))["status"] == "success"


async def test_an_answer_that_finds_its_session_gone_is_sent_by_the_next(
    tmp_path: Path, engine: AsyncioEngine
) -> None:
    release = asyncio.Event()
    cancel = engine.cancel

    async def slow(task_id: str) -> None:
        await release.wait()
        await cancel(task_id)

    engine.functions = {**engine.functions}
    engine_slow = AsyncioEngine(engine.functions, runs=engine.runs)
    engine_slow.cancel = slow  # type: ignore[method-assign]
    async with DevBrain() as brain, agent_of(brain, tmp_path, engine=engine_slow):
        submitted = await brain.command("submit_task", task_name="forever")
        command = await brain.send_command(
            "cancel_task",
            target={"type": "task", "id": "arq:1", "engine": "arq"},
            parameters={"task_id": submitted["result"]["task_id"], "engine": "arq"},
        )
        await brain.seen.until(lambda: command.acknowledged, "the command was acknowledged")
        brain.drop_connections()
        release.set()
        assert (await brain.wait_for_result(command))["status"] == "success"


async def test_a_worker_that_is_restarted_leaves_when_the_brain_has_its_answer(
    tmp_path: Path, engine: AsyncioEngine
) -> None:
    """A brain that is busy comes to a frame later, and has lost what it had not come to when we close."""
    arguments: dict[str, Any] = {"engine": engine, "commands": "all", "shutdown_budget_s": 30.0}
    async with DevBrain() as brain:
        async with agent_of(brain, tmp_path, **arguments) as agent:
            await until(lambda: agent.status.buffered == 0, "its first event was delivered")
            brain.misbehaviour = Misbehaviour(busy_s=0.6)
            command = await brain.send_command(
                "restart_worker",
                target={"type": "worker", "id": "web", "engine": "arq"},
                parameters={"worker_name": "web", "engine": "arq"},
            )
            await until(lambda: engine.restarted == ["web"], "it was to end")
        assert command.result is not None
        assert command.result["status"] == "success"


async def test_leaving_waits_for_no_brain_beyond_the_budget(tmp_path: Path, engine: AsyncioEngine) -> None:
    async with DevBrain() as brain:
        async with agent_of(brain, tmp_path, engine=engine, commands="all", shutdown_budget_s=0.5) as agent:
            await until(lambda: agent.status.buffered == 0, "its first event was delivered")
            await brain.command("submit_task", task_name="note")
            brain.misbehaviour = Misbehaviour(drop_acks=NEVER)
            left_s = time.monotonic()
        assert 0.4 < time.monotonic() - left_s < 5.0


async def test_what_runs_longer_than_its_time_is_cancelled(tmp_path: Path, engine: AsyncioEngine) -> None:
    cancelled = asyncio.Event()

    async def endless(task_id: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    engine_slow = AsyncioEngine(engine.functions)
    engine_slow.cancel = endless  # type: ignore[method-assign]
    async with DevBrain() as brain, agent_of(brain, tmp_path, engine=engine_slow) as agent:
        await brain.send_command(
            "cancel_task",
            target={"type": "task", "id": "arq:1", "engine": "arq"},
            parameters={"task_id": "1", "engine": "arq"},
            timeout_seconds=1,
        )
        await asyncio.wait_for(cancelled.wait(), 15)
        await until(lambda: agent.status.commands.get("late") == 1, "it was counted")


async def test_eight_run_at_once_and_of_what_does_not_fit_the_rest_is_refused(
    tmp_path: Path, engine: AsyncioEngine
) -> None:
    release, running = asyncio.Event(), 0
    most = 0

    async def slow(task_id: str) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await release.wait()
        running -= 1

    engine_slow = AsyncioEngine(engine.functions)
    engine_slow.cancel = slow  # type: ignore[method-assign]
    async with DevBrain() as brain, agent_of(brain, tmp_path, engine=engine_slow) as agent:
        commands = [
            await brain.send_command(
                "cancel_task",
                target={"type": "task", "id": "arq:1", "engine": "arq"},
                parameters={"task_id": str(number), "engine": "arq"},
            )
            for number in range(300)
        ]
        await until(lambda: agent.status.commands.get("command.busy", 0) >= 30, "some were refused")
        await until(lambda: most == 8, "eight run")
        release.set()
        for command in commands:
            await brain.wait_for_result(command, timeout_s=30)
        assert most == 8
        assert agent.status.commands["done"] + agent.status.commands["refused"] == 300


async def test_no_value_of_a_command_is_in_the_log_and_a_flood_is_a_line_a_second(
    tmp_path: Path, engine: AsyncioEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "z4j")
    async with DevBrain() as brain, agent_of(brain, tmp_path, engine=engine):
        for _ in range(40):
            await brain.command("submit_task", task_name="note", args=["hunter2"], kwargs={"k": "hunter3"})
        said = [r.getMessage() for r in caplog.records if "command submit_task" in r.getMessage()]
        assert 1 <= len(said) < 40
        assert "command submit_task from dev-brain: done in" in said[0]
        assert "hunter" not in caplog.text


async def test_two_workers_of_one_identity_share_what_they_remember(
    tmp_path: Path, engine: AsyncioEngine
) -> None:
    async with DevBrain() as brain:
        credentials = brain.mint("web")
        async with (
            agent_of(brain, tmp_path, credentials, engine=engine) as one,
            agent_of(brain, tmp_path, credentials, engine=engine) as two,
        ):
            command = await brain.send_command(
                "schedule.fire",
                target={"type": "schedule", "id": "s", "engine": "arq"},
                parameters={"task_name": "note", "engine": "arq", "fire_id": "f-1"},
                worker_id=one.status.worker_id,
            )
            await brain.wait_for_result(command)
            command.result = None
            await brain.send_again(command, worker_id=two.status.worker_id)
            await brain.wait_for_result(command)
            assert two.status.commands == {"again": 1}
        await engine.settled()
        assert len(RUNS) == 1


@pytest.mark.parametrize("odd", [False, 5, [1], ["cancel_task", None]])
async def test_a_choice_that_names_nothing_is_reported_and_allows_nothing(
    tmp_path: Path, engine: AsyncioEngine, odd: Any
) -> None:
    async with DevBrain() as brain, agent_of(brain, tmp_path, engine=engine, commands=odd) as agent:
        assert agent.status.state is State.DISABLED
        assert "is not a command" in (agent.status.reason or "")
        assert not brain.seen.hellos


def test_the_engine_offers_only_what_it_says_it_can() -> None:
    assert AsyncioEngine({}).actions == frozenset(Action)
    assert {state.value for state in EngineState} == {"pending", "started", "success", "failure", "unknown"}
