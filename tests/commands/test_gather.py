"""What several workers of one token have together: lists of dead letters, bulk retries, lost tasks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.commands.test_peers import process
from tests.support.engine import AsyncioEngine, Run
from z4j_fastapi import Z4JAgent
from z4j_fastapi.commands import gather
from z4j_fastapi.commands.gather import list_key
from z4j_fastapi.devbrain import Credentials, DevBrain
from z4j_fastapi.workers.engine import EngineState, NewTask
from z4j_probes.protocol.actions import Action

RUNS: list[Any] = []


async def note(*args: Any) -> None:
    RUNS.append(args)


@dataclass(slots=True)
class Worker(AsyncioEngine):
    """With dead letters of its own, or those of another one."""

    functions: Any = field(default_factory=lambda: {"note": note})
    queue: str = "jobs"

    @property
    def dead_letter_list(self) -> str:
        return self.queue


def worker(queue: str, dead: int, **more: Any) -> Worker:
    """A worker in whose queue so many tasks have failed."""
    engine = Worker(queue=queue, **more)
    for number in range(dead):
        task = NewTask(f"{queue}-{number}", "note", (queue, number))
        engine.runs[task.task_id] = Run(task, EngineState.FAILURE, error="ValueError: no")
    return engine


@dataclass
class Service:
    """Its processes, in the order in which they connected: a brain sends to the first."""

    brain: DevBrain
    agents: list[Z4JAgent]

    async def ask(self, action: str, of: int = 0, **asked: Any) -> Any:
        return await self.brain.command(
            action, engine="arq", worker_id=self.agents[of].status.worker_id, **asked
        )

    async def pages(self, limit: int, of: int = 0) -> list[list[str]]:
        pages, cursor = [], None
        while True:
            answer = await self.ask("dlq.list", of, limit=limit, cursor=cursor)
            assert answer["status"] == "success", answer
            pages.append([entry["task_id"] for entry in answer["result"]["entries"]])
            cursor = answer["result"]["next_cursor"]
            if cursor is None:
                return pages


@asynccontextmanager
async def service(home: Path, *workers: Worker | None, **more: Sequence[Any]) -> AsyncIterator[Service]:
    async with DevBrain() as brain, AsyncExitStack() as stack:
        token: Credentials = brain.mint("web")
        agents = []
        for number, engine in enumerate(workers):
            given = {name: values[number] for name, values in more.items()}
            agent = process(brain, token, home, engine=engine, role="task" if engine else "web", **given)
            agents.append(await stack.enter_async_context(agent))
        yield Service(brain, agents)


def in_order(*workers: Worker) -> list[str]:
    """What is dead, as it is listed: list by list, in the order of their keys."""
    return [task_id for one in sorted(workers, key=list_key) for task_id in one.runs]


@pytest.mark.parametrize("of", [0, 1, 2], ids=["", "sent to the second", "sent to a web process"])
async def test_dead_letters_are_those_of_every_worker_once_and_in_one_order(tmp_path: Path, of: int) -> None:
    mail, shop = worker("mail", 3), worker("shop", 2)
    async with service(tmp_path, mail, shop, None) as running:
        for limit in (1, 2, 3, 4, 5, 6, 200):
            pages = await running.pages(limit, of)
            assert [task_id for page in pages for task_id in page] == in_order(mail, shop)
            assert all(len(page) <= limit for page in pages)
        answer = await running.ask("dlq.list", of, limit=200)
        assert answer["result"]["total"] == 5


async def test_a_list_can_be_read_on_by_another_process_than_it_was_begun_by(tmp_path: Path) -> None:
    mail, shop = worker("mail", 2), worker("shop", 2)
    async with service(tmp_path, mail, shop) as running:
        first = await running.ask("dlq.list", 0, limit=3)
        second = await running.ask("dlq.list", 1, limit=3, cursor=first["result"]["next_cursor"])
        seen = [entry["task_id"] for page in (first, second) for entry in page["result"]["entries"]]
        assert seen == in_order(mail, shop)


async def test_workers_that_share_a_list_are_asked_for_it_once(tmp_path: Path) -> None:
    runs: dict[str, Run] = {}
    first, second = worker("mail", 0, runs=runs), worker("mail", 0, runs=runs)
    runs.update(worker("mail", 3).runs)
    async with service(tmp_path, first, second) as running:
        assert await running.pages(2) == [["mail-0", "mail-1"], ["mail-2"]]


async def test_a_worker_whose_owner_does_not_allow_it_is_left_out(tmp_path: Path) -> None:
    mail, shop = worker("mail", 1), worker("shop", 1)
    async with service(tmp_path, mail, shop, commands=["all", "cancel_task"]) as running:
        assert await running.pages(10) == await running.pages(10, of=1) == [["mail-0"]]
    async with service(tmp_path, mail, shop, commands=["cancel_task"] * 2) as running:
        refused = await running.ask("dlq.list")
        assert refused["error"].startswith("command.not_allowed")


@pytest.mark.parametrize("cursor", ["nonsense", "0123abcd:", "0123abcd:1", f"{'x' * 200}"])
async def test_a_cursor_that_no_worker_gave_is_invalid(tmp_path: Path, cursor: str) -> None:
    async with service(tmp_path, worker("mail", 1), worker("shop", 1)) as running:
        answer = await running.ask("dlq.list", cursor=cursor)
        assert "invalid dead-letter cursor" in answer["error"]  # a brain looks for these words


async def test_a_list_goes_on_where_one_of_two_workers_has_ended_since(tmp_path: Path) -> None:
    mail, shop = worker("mail", 3), worker("shop", 3)
    first = min((mail, shop), key=list_key)
    async with service(tmp_path, first, mail if first is shop else shop) as running:
        answer = await running.ask("dlq.list", limit=2)
        cursor = answer["result"]["next_cursor"]
        await running.agents[1].__aexit__(None, None, None)
        answer = await running.ask("dlq.list", limit=2, cursor=cursor)
        assert [entry["task_id"] for entry in answer["result"]["entries"]] == list(first.runs)[2:]


async def test_a_worker_that_does_not_answer_costs_its_own_letters_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Silent(Worker):
        async def dead_letters(self, *_: Any) -> Any:
            raise ConnectionError

    monkeypatch.setattr(gather, "PART_S", 1.0)
    async with service(tmp_path, worker("mail", 2), Silent(queue="shop")) as running:
        for of in (0, 1):
            answer = await running.ask("dlq.list", of)
            assert [entry["task_id"] for entry in answer["result"]["entries"]] == ["mail-0", "mail-1"]
            assert answer["result"]["total"] is None
    assert "lacks those of a worker" in caplog.text


async def test_a_page_is_within_a_frame(tmp_path: Path) -> None:
    mail, shop = worker("mail", 100), worker("shop", 100)
    for one in (mail, shop):
        for run in one.runs.values():
            run.error = "\u20ac" * 500
    async with service(tmp_path, mail, shop) as running:
        for agent in running.agents:
            thread = agent._thread
            assert thread is not None
            assert thread._supervisor is not None
            thread._supervisor._commands.executor.max_frame_bytes = 200_000
        pages = await running.pages(200)
        assert [task_id for page in pages for task_id in page] == in_order(mail, shop)


async def test_a_bulk_retry_reaches_the_tasks_of_every_worker_once(tmp_path: Path) -> None:
    RUNS.clear()
    workers = [worker("mail", 3), worker("shop", 2), worker("tax", 1)]
    wanted = [task_id for one in workers for task_id in one.runs]
    async with service(tmp_path, None, *workers) as running:
        for of in (0, 1):
            answer = await running.ask("bulk_retry", of, task_ids=[*wanted, "unheard-of"])
            assert answer["status"] == "success", answer
            result = answer["result"]
            assert (result["retried"], result["failed"]) == (6, 1)
            assert set(result["errors"]) == {"unheard-of"}
            for one in workers:
                await one.settled()
            assert sorted(RUNS) == [
                *(("mail", number) for number in range(3)),
                *(("shop", number) for number in range(2)),
                ("tax", 0),
            ]
            RUNS.clear()
        answer = await running.ask("bulk_retry", task_ids=["a", "b"])
        assert answer["error"].startswith("command.result_not_kept")
    assert not RUNS


async def test_a_brain_is_told_some_of_the_tasks_that_were_not_retried(tmp_path: Path) -> None:
    lost = [f"lost-{number}" for number in range(50)]
    async with service(tmp_path, worker("mail", 0), worker("shop", 1)) as running:
        result = (await running.ask("bulk_retry", task_ids=[*lost, "shop-0"]))["result"]
        assert (result["retried"], result["failed"], len(result["errors"])) == (1, 50, 20)
        assert len(json.dumps(result)) < 10_000


@pytest.mark.parametrize("action", [Action.RETRY_TASK, Action.REQUEUE_DEAD_LETTER])
async def test_a_task_that_one_worker_has_not_kept_is_retried_by_the_one_that_has(
    tmp_path: Path, action: Action
) -> None:
    RUNS.clear()
    mail, shop = worker("mail", 1), worker("shop", 1)
    async with service(tmp_path, mail, shop) as running:
        answer = await running.ask(action, task_id="shop-0")
        assert answer["status"] == "success", answer
        await shop.settled()
        assert RUNS == [("shop", 0)]
        refused = await running.ask(action, task_id="unheard-of")
        assert refused["error"].startswith("command.result_not_kept")


async def test_what_became_of_a_task_is_said_by_the_worker_that_knows(tmp_path: Path) -> None:
    mail, shop = worker("mail", 1), worker("shop", 1)
    async with service(tmp_path, mail, shop, None) as running:
        for of in (0, 1, 2):
            found = await running.ask("reconcile_task", of, task_id="shop-0")
            assert found["result"]["engine_state"] == "failure"
            found = await running.ask("reconcile_task", of, task_id="unheard-of")
            assert found["result"]["engine_state"] == "unknown"
