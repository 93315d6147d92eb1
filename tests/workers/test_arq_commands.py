"""What a brain asks of an arq worker: each action done, or refused with what to do about it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.constants import abort_jobs_ss
from arq.jobs import Job
from arq.worker import Worker, func

from tests.support.agents import closed_port, until
from tests.support.task_events import events_of, kinds, last_event
from tests.workers.test_arq import WAIT_S, Context, at_work, enqueue, forever, stopped
from z4j_fastapi import State, Z4JAgent
from z4j_fastapi.devbrain import DevBrain
from z4j_fastapi.workers.arq import abort, z4j_worker
from z4j_fastapi.workers.arq.actions import MAX_TOLD, ArqEngine
from z4j_fastapi.workers.arq.queues import JobQueue
from z4j_fastapi.workers.engine import NewTask, Refused, Retry

pytestmark = pytest.mark.component

QUEUE = "jobs"
HOUR_S = 3600


async def note(ctx: Context, *args: Any, **kwargs: Any) -> None:
    ctx["runs"].append((ctx["job_id"], args, kwargs))


async def fail(ctx: Context, *args: Any) -> None:
    ctx["runs"].append((ctx["job_id"], args, {}))
    if ctx["fails"]:
        raise ValueError(*args)


class AtWork:
    """A worker with an agent, its queue seen by a client, and what its functions were called with."""

    def __init__(self, worker: Worker, pool: ArqRedis, brain: DevBrain) -> None:
        self.worker, self.pool, self.brain = worker, pool, brain
        self.runs: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = worker.ctx["runs"]

    @property
    def agent(self) -> Z4JAgent:
        agent: Z4JAgent = self.worker.ctx["z4j"]
        return agent

    async def asks(self, action: str, **asked: Any) -> Mapping[str, Any]:
        return await self.brain.command(action, **asked)

    async def is_refused(self, code: str, action: str, **asked: Any) -> str:
        answer = await self.asks(action, **asked)
        assert answer["status"] == "failed"
        assert answer["error"].startswith(f"{code}: ")
        return str(answer["error"])

    async def enqueue(self, name: str, *args: Any, **options: Any) -> Job:
        return await enqueue(self.pool, name, *args, _queue_name=QUEUE, **options)

    async def has_failed(self, *args: Any) -> str:
        job = await self.enqueue("fail", *args)
        await last_event(self.brain, job.job_id)
        await until(lambda: job.job_id not in self.worker.tasks, "its end was stored")
        return job.job_id

    async def begins(self, name: str) -> Job:
        self.worker.ctx["begun"].clear()
        job = await self.enqueue(name)
        await self.worker.ctx["begun"].wait()
        return job

    async def keys_of(self, job_id: str) -> set[bytes]:
        """Everything of arq's own that Redis holds of a job."""
        kept = {key async for key in self.pool.scan_iter("arq:*") if key.endswith(job_id.encode())}
        return kept | {key.encode() for key in (QUEUE, abort_jobs_ss) if await self.pool.zscore(key, job_id)}


@pytest.fixture(autouse=True)
def _everything_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("Z4J_COMMANDS", "all")


@asynccontextmanager
async def arq_worker(brain: DevBrain, redis_url: str, **settings: Any) -> AsyncIterator[AtWork]:
    given: dict[str, Any] = {
        "functions": [note, fail, forever],
        "queue_name": QUEUE,
        "redis_settings": RedisSettings.from_dsn(redis_url),
        "handle_signals": False,
        "poll_delay": 0.02,
        "ctx": {"begun": asyncio.Event(), "runs": [], "fails": True},
        **settings,
    }
    worker = Worker(**z4j_worker(given))
    async with at_work(worker) as pool:
        await until(lambda: "redis" in worker.ctx, "it was connected")
        await until(lambda: worker.ctx["z4j"].status.state is State.ONLINE, "its agent was online")
        async with asyncio.timeout(WAIT_S):
            while not await pool.exists(worker.health_check_key):  # noqa: ASYNC110 - its first look at its queue
                await asyncio.sleep(0.01)
        yield AtWork(worker, pool, brain)


@pytest.fixture
async def arq(brain: DevBrain, redis_url: str) -> AsyncIterator[AtWork]:
    async with arq_worker(brain, redis_url) as worker:
        yield worker


def as_json(data: dict[str, Any]) -> bytes:
    """Another serializer than pickle: an exception is its text."""
    return json.dumps(data, default=str).encode()


async def test_the_worker_announces_what_it_can_do(brain: DevBrain, arq: AtWork) -> None:
    (hello,) = brain.seen.hellos
    assert tuple(hello.engines) == ("arq",)
    assert set((hello.capabilities or {})["arq"]) == {
        "cancel_task",
        "retry_task",
        "bulk_retry",
        "retry_by_reference_v1",
        "list_dead_letters",
        "requeue_dead_letter",
    }


async def test_with_no_commands_no_engine_is_announced(
    brain: DevBrain, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("Z4J_COMMANDS", "none")
    async with arq_worker(brain, redis_url):
        (hello,) = brain.seen.hellos
        assert not hello.engines


async def test_a_worker_that_keeps_no_results_offers_no_retry_and_says_why(
    brain: DevBrain, redis_url: str
) -> None:
    async with arq_worker(brain, redis_url, keep_result=0) as arq:
        (hello,) = brain.seen.hellos
        assert set((hello.capabilities or {})["arq"]) == {"cancel_task"}
        assert "keep_result=0" in await arq.is_refused("command.unsupported", "retry_task", task_id="1")


async def test_a_submitted_task_runs_once_with_its_arguments_and_is_seen_waiting(
    brain: DevBrain, arq: AtWork
) -> None:
    given = {"args": [1], "kwargs": {"a": 2, "_queue_name": "other", "_job_id": "mine", "function": "fail"}}
    answer = await arq.asks("submit_task", task_name="note", **given)
    assert answer["status"] == "success"
    job_id = answer["result"]["task_id"]
    await last_event(brain, job_id)
    assert arq.runs == [(job_id, (1,), given["kwargs"])]
    assert kinds(brain, job_id)[:2] == ["sent", "received"]
    assert kinds(brain, job_id)[-1] == "succeeded"


async def test_a_fire_runs_once_though_it_is_delivered_to_two_workers(
    brain: DevBrain, arq: AtWork, redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("Z4J_HOME", str(tmp_path / "another-host"))
    async with arq_worker(brain, redis_url, ctx=arq.worker.ctx, functions=[note]):
        await brain.wait_for_workers(2)
        answers = [
            await arq.asks("schedule.fire", task_name="note", fire_id="f-1", worker_id=worker_id)
            for worker_id in brain.online_workers
        ]
        assert [answer["result"]["task_id"] for answer in answers] == ["z4j-f-1"] * 2
        await last_event(brain, "z4j-f-1")
    assert len(arq.runs) == 1


async def test_what_this_worker_has_no_function_for_is_refused_and_a_fire_of_it_unanswered(
    brain: DevBrain, arq: AtWork
) -> None:
    await arq.is_refused("command.unknown_task", "submit_task", task_name="os.system", args=["true"])
    with pytest.raises(TimeoutError):
        await arq.asks("schedule.fire", task_name="os.system", timeout_s=1)
    await arq.is_refused("command.no_worker_here", "submit_task", task_name="note", queue="arq:abort")
    assert not await arq.pool.exists("arq:abort")
    assert not arq.runs


async def test_a_job_deferred_by_an_hour_is_cancelled_and_never_runs(brain: DevBrain, arq: AtWork) -> None:
    job = await arq.enqueue("note", _defer_by=HOUR_S)
    answer = await arq.asks("cancel_task", task_id=job.job_id)
    assert answer["result"] == {"task_id": job.job_id, "aborted": True}
    assert await arq.keys_of(job.job_id) == set()
    assert (await last_event(brain, job.job_id))["kind"] == "task.revoked"
    assert (await last_event(brain, job.job_id))["task_name"] == "note"
    again = await arq.asks("cancel_task", task_id=job.job_id)
    assert again["status"] == "success"  # a brain sends it again where the answer was lost
    later = await arq.enqueue("note", _job_id=job.job_id)
    await last_event(brain, later.job_id, ends=2)
    assert [job_id for job_id, _, _ in arq.runs] == [job.job_id]


async def test_jobs_are_cancelled_while_a_worker_takes_them_and_each_either_runs_or_is_revoked(
    brain: DevBrain, redis_url: str
) -> None:
    async with arq_worker(brain, redis_url, max_jobs=3, poll_delay=0.005) as arq:
        jobs = [await arq.enqueue("note") for _ in range(60)]
        answers = await asyncio.gather(*(arq.asks("cancel_task", task_id=job.job_id) for job in jobs))
        await until(lambda: not arq.worker.tasks, "the worker was idle")
        ran = {job_id for job_id, _, _ in arq.runs}
        for job, answer in zip(jobs, answers, strict=True):
            ended = await last_event(brain, job.job_id)
            assert (answer["status"] == "success") == (ended["kind"] == "task.revoked")
            assert (job.job_id in ran) == (ended["kind"] == "task.succeeded")
            assert not {key for key in await arq.keys_of(job.job_id) if not key.startswith(b"arq:result:")}


async def test_a_running_job_is_refused_where_aborting_is_off_and_nothing_is_left_behind(
    brain: DevBrain, arq: AtWork
) -> None:
    job = await arq.begins("forever")
    error = await arq.is_refused("command.abort_not_allowed", "cancel_task", task_id=job.job_id)
    assert "allow_abort_jobs = True" in error
    assert not await arq.pool.exists(abort_jobs_ss)
    assert job.job_id in arq.worker.job_tasks


async def test_a_running_job_is_ended_where_aborting_is_on(brain: DevBrain, redis_url: str) -> None:
    async with arq_worker(brain, redis_url, allow_abort_jobs=True, poll_delay=0.5) as arq:
        job = await arq.begins("forever")
        assert (await arq.asks("cancel_task", task_id=job.job_id))["status"] == "success"
        assert (await last_event(brain, job.job_id))["kind"] == "task.revoked"
        assert not await arq.pool.exists(abort_jobs_ss)
        assert not arq.worker.aborting_tasks
        assert await arq.keys_of(job.job_id) == {b"arq:result:" + job.job_id.encode()}
        assert (await arq.asks("cancel_task", task_id=job.job_id))["status"] == "success"
        ended = await arq.enqueue("note")
        await last_event(brain, ended.job_id)
        await until(lambda: ended.job_id not in arq.worker.tasks, "its end was stored")
        assert (await arq.asks("cancel_task", task_id=ended.job_id))["error"] == "it has ended already"
        assert (await arq.asks("cancel_task", task_id="x"))["status"] == "failed"


async def test_a_job_that_another_worker_runs_is_ended_through_redis(brain: DevBrain, redis_url: str) -> None:
    async with arq_worker(brain, redis_url, allow_abort_jobs=True) as arq:
        job = await arq.begins("forever")
        shared = {"queue_name": QUEUE, "functions": [note], "allow_abort_jobs": True}
        async with arq_worker(brain, redis_url, **shared):
            await brain.wait_for_workers(2)
            (other,) = set(brain.online_workers) - {arq.agent.status.worker_id}
            answer = await arq.asks("cancel_task", task_id=job.job_id, worker_id=other)
        assert answer["status"] == "success"
        assert (await last_event(brain, job.job_id))["kind"] == "task.revoked"
        assert not await arq.pool.exists(abort_jobs_ss)


async def test_a_cancel_whose_time_is_over_leaves_nothing_that_ends_a_later_run(
    brain: DevBrain, redis_url: str
) -> None:
    release = asyncio.Event()

    async def stubborn(ctx: Context) -> None:
        ctx["begun"].set()
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()

    async with arq_worker(
        brain, redis_url, functions=[func(stubborn, name="stubborn")], allow_abort_jobs=True
    ) as arq:
        job = await arq.begins("stubborn")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await abort.abort(arq.worker, JobQueue(arq.worker), job.job_id)
        release.set()
        await until(lambda: job.job_id not in arq.worker.tasks, "it ended")
        assert not arq.worker.aborting_tasks


async def test_what_a_killed_worker_left_of_a_cancel_ends_no_later_run(
    brain: DevBrain, redis_url: str
) -> None:
    """Killed while another worker was to end the job; of another program's abort nothing is taken back."""
    pool = await create_pool(RedisSettings.from_dsn(redis_url))
    for job_id in ("mine", "theirs"):
        await abort._put(pool, job_id)
    long_ago = 1_000_000
    await pool.zadd(abort.ABORTING, {"mine": long_ago, "theirs": long_ago})
    await pool.zadd(abort_jobs_ss, {"mine": long_ago})
    for job_id in ("mine", "theirs"):
        await enqueue(pool, "note", _queue_name=QUEUE, _job_id=job_id)
    async with arq_worker(brain, redis_url, allow_abort_jobs=True) as arq:
        assert (await last_event(brain, "mine"))["kind"] == "task.succeeded"
        assert (await last_event(brain, "theirs"))["kind"] == "task.revoked"
        assert [job_id for job_id, _, _ in arq.runs] == ["mine"]
    assert not await pool.exists(abort_jobs_ss, abort.ABORTING)
    await pool.aclose()


async def test_arguments_may_have_any_name(brain: DevBrain, redis_url: str) -> None:
    async def named(context: Context, /, **given: Any) -> None:
        context["runs"].append((context["job_id"], (), given))

    named_so = func(named, name="named")  # type: ignore[arg-type]  # arq passes the context by position
    given = {"ctx": 1, "self": 2, "function": 3, "_queue_name": "4", "_job_id": "5"}
    async with arq_worker(brain, redis_url, functions=[named_so]) as arq:
        await arq.asks("submit_task", task_name="named", kwargs=given)
        await until(lambda: bool(arq.runs), "it ran")
        assert arq.runs[0][2] == given


async def test_a_job_whose_worker_was_killed_is_not_called_ended_and_nothing_is_left_behind(
    brain: DevBrain, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(abort, "ABORT_S", 0.3)
    async with arq_worker(brain, redis_url, allow_abort_jobs=True) as arq:
        job = await arq.enqueue("note", _defer_by=HOUR_S)
        await arq.pool.set(f"arq:in-progress:{job.job_id}", b"1")
        await arq.is_refused("command.abort_not_allowed", "cancel_task", task_id=job.job_id)
        assert not await arq.pool.exists(abort_jobs_ss)


async def test_a_retry_is_a_new_job_with_the_old_one_as_its_parent(brain: DevBrain, arq: AtWork) -> None:
    old = await arq.has_failed("no")
    arq.worker.ctx["fails"] = False
    answer = await arq.asks("retry_task", task_id=old)
    new = answer["result"]["task_id"]
    await last_event(brain, new)
    assert arq.runs[1:] == [(new, ("no",), {})]
    assert events_of(brain, new)[0]["data"]["parent_task_id"] == old
    changed = await arq.asks("retry_task", task_id=old, override_args=["yes"], override_kwargs={})
    await last_event(brain, changed["result"]["task_id"])
    assert arq.runs[-1][1] == ("yes",)
    later = await arq.asks("retry_task", task_id=old, eta_seconds=HOUR_S)
    score = await arq.pool.zscore(QUEUE, later["result"]["task_id"])
    assert score is not None
    assert score / 1000 > asyncio.get_running_loop().time()
    assert (await arq.asks("cancel_task", task_id=later["result"]["task_id"]))["status"] == "success"


async def test_a_job_without_a_kept_result_is_not_retried(brain: DevBrain, arq: AtWork) -> None:
    error = await arq.is_refused("command.result_not_kept", "retry_task", task_id="never")
    assert "raise the worker's keep_result" in error
    waiting = await arq.enqueue("note", _defer_by=HOUR_S)
    error = await arq.is_refused("command.result_not_kept", "retry_task", task_id=waiting.job_id)
    assert "it has not ended. Wait for its end" in error


async def test_fifty_failed_jobs_are_retried_in_bulk_once_each(brain: DevBrain, arq: AtWork) -> None:
    failed = [await arq.has_failed(number) for number in range(50)]
    arq.worker.ctx["fails"] = False
    arq.runs.clear()
    answer = await arq.asks("bulk_retry", task_ids=[*failed, "never"])
    assert (answer["result"]["retried"], answer["result"]["failed"]) == (50, 1)
    await until(lambda: len(arq.runs) == 50, "all ran")
    await until(lambda: not arq.worker.tasks, "the worker was idle")
    assert sorted(args[0] for _, args, _ in arq.runs) == list(range(50))
    assert len({job_id for job_id, _, _ in arq.runs}) == 50


async def test_the_running_workers_serializer_is_used_not_that_of_its_pool(
    brain: DevBrain, redis_url: str
) -> None:
    pool = await create_pool(RedisSettings.from_dsn(redis_url), default_queue_name="other")
    given: dict[str, Any] = {
        "functions": [note, fail],
        "queue_name": QUEUE,
        "redis_pool": pool,
        "job_serializer": as_json,
        "job_deserializer": json.loads,
        "handle_signals": False,
        "poll_delay": 0.02,
        "ctx": {"runs": [], "fails": True},
    }
    worker = Worker(**z4j_worker(given))
    running = asyncio.create_task(worker.async_run())
    try:
        await brain.wait_for_workers(1)
        failed = await brain.command("submit_task", task_name="fail", args=["no"])
        await last_event(brain, failed["result"]["task_id"])
        await until(lambda: not worker.tasks, "the worker was idle")
        (letter,) = await brain.dead_letters()
        assert (letter["task_id"], letter["error_excerpt"]) == (failed["result"]["task_id"], "no")
        retried = await brain.command("retry_task", task_id=letter["task_id"])
        await last_event(brain, retried["result"]["task_id"])
        assert [args for _, args, _ in worker.ctx["runs"]] == [("no",), ("no",)]
        await until(lambda: not worker.tasks, "the worker was idle")
    finally:
        await stopped(worker, running)


async def test_purging_takes_what_waits_and_what_is_deferred_and_leaves_what_runs(
    brain: DevBrain, redis_url: str
) -> None:
    """What a person confirms is the depth that is reported: what waits."""
    async with arq_worker(brain, redis_url, max_jobs=1) as arq:
        running = await arq.begins("forever")
        for _ in range(1_200):
            await arq.enqueue("note", _defer_by=HOUR_S)
        for _ in range(3):
            await arq.enqueue("note")
        for other in (0, 4, 1_203):
            await arq.is_refused("command.wrong_token", "purge_queue", queue=QUEUE, observed_depth=other)
        await arq.is_refused("command.wrong_token", "purge_queue", queue=QUEUE)
        await arq.is_refused("command.no_worker_here", "purge_queue", queue="other", force=True)
        answer = await arq.asks("purge_queue", queue=QUEUE, observed_depth=3)
        assert answer["result"] == {"purged": 1_203}
        assert await arq.pool.zrange(QUEUE, 0, -1) == [running.job_id.encode()]
        assert running.job_id in arq.worker.job_tasks
        jobs = [key async for key in arq.pool.scan_iter("arq:job:*")]
        assert jobs == [b"arq:job:" + running.job_id.encode()]
        told = brain.seen.events.values
        await until(
            lambda: sum(event["kind"] == "task.revoked" for event in told()) == MAX_TOLD, "so it was told"
        )


async def test_jobs_are_purged_while_a_worker_takes_them_and_none_expires(
    brain: DevBrain, redis_url: str
) -> None:
    async with arq_worker(brain, redis_url, max_jobs=3, poll_delay=0.005) as arq:
        jobs = [await arq.enqueue("note") for _ in range(200)]
        answer = await arq.asks("purge_queue", queue=QUEUE, force=True)
        await until(lambda: not arq.worker.tasks, "the worker was idle")
        ended = [(await last_event(brain, job.job_id))["kind"] for job in jobs]
        assert ended.count("task.revoked") == answer["result"]["purged"]
        assert ended.count("task.succeeded") == len(arq.runs)
        assert answer["result"]["purged"] + len(arq.runs) == 200


async def test_reconciling_says_what_redis_has_of_a_job(brain: DevBrain, arq: AtWork) -> None:
    async def state(task_id: str) -> tuple[str, str | None]:
        result = (await arq.asks("reconcile_task", task_id=task_id))["result"]
        assert (result["finished_at"] is not None) == (result["engine_state"] in {"success", "failure"})
        return result["engine_state"], result["exception"]

    succeeded = await arq.enqueue("note")
    await last_event(brain, succeeded.job_id)
    await until(lambda: succeeded.job_id not in arq.worker.tasks, "its end was stored")
    assert await state(succeeded.job_id) == ("success", None)
    assert await state(await arq.has_failed("no")) == ("failure", "ValueError: no")
    assert await state((await arq.enqueue("note", _defer_by=HOUR_S)).job_id) == ("pending", None)
    assert await state((await arq.begins("forever")).job_id) == ("started", None)
    assert await state("never") == ("unknown", None)


@pytest.mark.parametrize("task_id", ["*", "../x", "a:b", "arq:queue", "'; DEL *", "{x}", "ä" * 200, "%s\\"])
async def test_ids_from_a_brain_are_no_more_than_the_end_of_a_key(
    brain: DevBrain, arq: AtWork, task_id: str
) -> None:
    other = await arq.enqueue("note", _defer_by=HOUR_S)
    before = {key async for key in arq.pool.scan_iter("*")}
    for action in ("cancel_task", "retry_task", "requeue_dead_letter"):
        assert (await arq.asks(action, task_id=task_id))["status"] == "failed"
    found = await arq.asks("reconcile_task", task_id=task_id)
    assert found["result"]["engine_state"] == "unknown"
    assert {key async for key in arq.pool.scan_iter("*")} == before
    mine = await arq.enqueue("note", _defer_by=HOUR_S, _job_id=task_id)
    assert (await arq.asks("cancel_task", task_id=mine.job_id))["status"] == "success"
    assert await arq.pool.zrange(QUEUE, 0, -1) == [other.job_id.encode()]


async def test_a_worker_that_nothing_starts_again_is_not_ended(brain: DevBrain, arq: AtWork) -> None:
    name = arq.agent.status.worker_id
    assert "Restart=always" in await arq.is_refused("command.unsupported", "restart_worker", worker_name=name)


async def test_where_redis_permits_no_keys_of_ours_nothing_is_done_and_that_is_said(
    brain: DevBrain, arq: AtWork
) -> None:
    await arq.pool.execute_command("ACL", "SETUSER", "default", "resetkeys", "~arq:*", f"~{QUEUE}*")  # type: ignore[no-untyped-call]
    error = await arq.is_refused("command.no_worker_here", "submit_task", task_name="note")
    assert "NoPermission" in error
    assert not arq.runs
    failed = await arq.has_failed("no")
    assert await arq.keys_of(failed) == {b"arq:result:" + failed.encode()}


async def test_where_redis_does_not_answer_nothing_was_done_and_that_is_said() -> None:
    with closed_port() as port:
        nowhere = ArqRedis(host="127.0.0.1", port=port)
        engine = ArqEngine(Worker([note], redis_pool=nowhere, handle_signals=False))
        for asked in (
            engine.submit(NewTask("1", "note")),
            engine.cancel("1"),
            engine.retry(Retry("1", "2")),
            engine.dead_letters(None, 1, None),
            engine.depth("arq:queue"),
            engine.reconcile("1"),
        ):
            with pytest.raises(Refused, match="can't use its Redis") as refused:
                await asked
            assert refused.value.code == "command.no_worker_here"
        await nowhere.aclose()


async def test_a_job_that_waits_in_the_queue_of_another_worker_of_this_token_is_cancelled(
    brain: DevBrain, redis_url: str
) -> None:
    async with arq_worker(brain, redis_url) as first, arq_worker(brain, redis_url, queue_name="other"):
        job = await enqueue(first.pool, "note", _queue_name="other", _defer_by=HOUR_S)
        for worker_id in brain.online_workers:
            answer = await brain.command("cancel_task", task_id=job.job_id, worker_id=worker_id)
            assert answer["status"] == "success", answer["error"]
            assert not await first.pool.exists("other")
        error = await first.is_refused("command.no_worker_here", "cancel_task", task_id="never")
        assert "there is no such job in the queue" in error


async def test_two_workers_of_two_queues_are_one_agent_to_a_brain(brain: DevBrain, redis_url: str) -> None:
    """Their dead letters are one list, and a bulk retry is for the jobs of both."""
    async with (
        arq_worker(brain, redis_url) as jobs,
        arq_worker(brain, redis_url, queue_name="mail") as mail,
    ):
        lost = await jobs.has_failed("a"), (await enqueue(mail.pool, "fail", "b", _queue_name="mail")).job_id
        await last_event(brain, lost[1])
        await until(lambda: lost[1] not in mail.worker.tasks, "its end was stored")
        for one in (jobs, mail):
            worker_id = one.agent.status.worker_id
            for limit in (1, 10):
                letters = await brain.dead_letters(limit=limit, worker_id=worker_id)
                assert {(letter["task_id"], letter["queue"]) for letter in letters} == {
                    (lost[0], QUEUE),
                    (lost[1], "mail"),
                }
            (letter,) = await brain.dead_letters(queue="mail", worker_id=worker_id)
            assert letter["task_id"] == lost[1]
            found = await jobs.asks("reconcile_task", task_id=lost[1], worker_id=worker_id)
            assert found["result"]["engine_state"] == "failure"
        for one in (jobs, mail):
            one.worker.ctx["fails"] = False
        answer = await jobs.asks("bulk_retry", task_ids=lost, worker_id=jobs.agent.status.worker_id)
        assert answer["result"] == {"retried": 2, "failed": 0, "errors": {}}
        await until(lambda: len(jobs.runs) == len(mail.runs) == 2, "each worker ran its own again")
