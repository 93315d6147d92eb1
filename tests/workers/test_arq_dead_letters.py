"""arq's dead letters: listed newest first and page by page, as long as their results are kept."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from arq import Retry, func

from tests.support.agents import until
from tests.support.task_events import last_event
from tests.workers.test_arq import Context
from tests.workers.test_arq_commands import QUEUE, AtWork, arq, arq_worker, note
from z4j_fastapi.devbrain import DevBrain

__all__ = ["arq"]

pytestmark = pytest.mark.component


async def always_again(ctx: Context) -> None:
    raise Retry


async def listed(brain: DevBrain, **how: Any) -> list[str]:
    return [letter["task_id"] for letter in await brain.dead_letters(**how)]


async def test_a_dead_letter_says_what_failed_where_when_and_why(brain: DevBrain, arq: AtWork) -> None:
    job_id = await arq.has_failed("no")
    await arq.asks("submit_task", task_name="note")
    (letter,) = await brain.dead_letters()
    assert letter.pop("failed_at")
    assert letter == {
        "task_id": job_id,
        "task_name": "fail",
        "queue": QUEUE,
        "error_excerpt": "ValueError: no",
        "attempts": 1,
    }
    assert await listed(brain, queue=QUEUE) == [job_id]
    assert "command.no_worker_here" in (await arq.asks("dlq.list", queue="other"))["error"]


async def test_pages_hold_each_of_them_once_newest_first(brain: DevBrain, arq: AtWork) -> None:
    failed = [await arq.has_failed(number) for number in range(25)]
    # several in one millisecond, as a busy worker has them
    await arq.pool.zadd(f"z4j:arq:dead:{QUEUE}", dict.fromkeys(failed[5:15], 1_000))
    newest_first = [*failed[:-11:-1], *failed[4::-1], *sorted(failed[5:15], reverse=True)]
    for limit in (1, 3, 7, 24, 25, 26, 200):
        assert await listed(brain, limit=limit) == newest_first
    answer = await arq.asks("dlq.list", limit=7)
    assert answer["result"]["total"] == 25


@pytest.mark.parametrize(
    "cursor", ["x", "1", "1.", "-1.0", "1.0.0", "inf.0", "nan.0", "٣.٣", "1" * 99 + ".1"]
)
async def test_a_cursor_that_was_never_given_is_invalid(brain: DevBrain, arq: AtWork, cursor: str) -> None:
    answer = await arq.asks("dlq.list", cursor=cursor)
    assert "invalid dead-letter cursor" in answer["error"]


async def test_those_from_before_the_agent_are_found_and_aborted_jobs_are_none(
    brain: DevBrain, redis_url: str
) -> None:
    async with arq_worker(brain, redis_url, allow_abort_jobs=True) as arq:
        older = [await arq.has_failed(number) for number in range(3)]
        await arq.pool.delete(f"z4j:arq:dead:{QUEUE}")
        aborted = await arq.begins("forever")
        assert (await arq.asks("cancel_task", task_id=aborted.job_id))["status"] == "success"
        assert await listed(brain) == older[::-1]


async def test_what_failed_before_it_began_is_listed_too(brain: DevBrain, redis_url: str) -> None:
    functions = [note, func(always_again, max_tries=2)]
    async with arq_worker(brain, redis_url, functions=functions) as arq:
        unknown, again = await arq.enqueue("nothing"), await arq.enqueue("always_again")
        for job in (unknown, again):
            await until(lambda job=job: job.job_id not in arq.worker.tasks, "it ended")  # type: ignore[misc]
        await last_event(brain, again.job_id, ends=3)
        await until(lambda: not arq.worker.tasks, "the worker was idle")
        letters = {letter["task_id"]: letter for letter in await brain.dead_letters()}
        assert "not found" in letters[unknown.job_id]["error_excerpt"]
        assert "max 2 retries" in letters[again.job_id]["error_excerpt"]


async def test_a_requeued_one_runs_once_as_a_new_job_and_is_listed_no_more(
    brain: DevBrain, arq: AtWork
) -> None:
    failed = await arq.has_failed("no")
    arq.worker.ctx["fails"] = False
    arq.runs.clear()
    first, second = await asyncio.gather(*(arq.asks("requeue_dead_letter", task_id=failed) for _ in range(2)))
    assert {first["status"], second["status"]} == {"success", "failed"}
    new = (first["result"] or second["result"])["task_id"]
    await last_event(brain, new)
    assert arq.runs == [(new, ("no",), {})]
    assert await listed(brain) == []
    await arq.is_refused("command.result_not_kept", "requeue_dead_letter", task_id=failed)
    await until(lambda: not arq.worker.tasks, "the worker was idle")
    assert (await arq.asks("requeue_dead_letter", task_id=new))["status"] == "failed"


async def test_a_requeued_one_whose_result_is_kept_for_good_stays_off_the_list_and_its_mark_expires(
    brain: DevBrain, redis_url: str
) -> None:
    async with arq_worker(brain, redis_url, keep_result_forever=True) as arq:
        failed = await arq.has_failed("no")
        arq.worker.ctx["fails"] = False
        await last_event(brain, (await arq.asks("requeue_dead_letter", task_id=failed))["result"]["task_id"])
        mark = f"z4j:arq:requeued:{failed}"
        assert await arq.pool.ttl(mark) > 29 * 24 * 3600
        await arq.pool.expire(mark, 60)
        assert await listed(brain) == []
        assert await arq.pool.ttl(mark) > 29 * 24 * 3600


async def test_one_whose_result_is_gone_is_gone(brain: DevBrain, arq: AtWork) -> None:
    failed = [await arq.has_failed(number) for number in range(3)]
    await arq.pool.delete(f"arq:result:{failed[1]}")
    assert await listed(brain) == [failed[2], failed[0]]
    assert (await arq.asks("dlq.list"))["result"]["total"] == 2
    await arq.is_refused("command.result_not_kept", "requeue_dead_letter", task_id=failed[1])


async def test_results_that_can_not_be_read_are_left_out(brain: DevBrain, arq: AtWork) -> None:
    failed = await arq.has_failed("no")
    await arq.pool.set("arq:result:foreign", b"\x00not a pickle")
    await arq.pool.set(b"arq:result:\xff\xfe", b"")
    assert await listed(brain) == [failed]
    assert (await arq.asks("retry_task", task_id="foreign"))["status"] == "failed"


async def test_a_job_ends_though_its_failure_can_not_be_listed(brain: DevBrain, arq: AtWork) -> None:
    await arq.pool.set(f"z4j:arq:dead:{QUEUE}", b"not a sorted set")
    failed = await arq.has_failed("no")
    assert await arq.keys_of(failed) == {b"arq:result:" + failed.encode()}
