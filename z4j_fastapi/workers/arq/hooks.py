"""WorkerHooks: the agent of one running arq worker, and its jobs as events.

arq's job hooks know neither a job's function nor its arguments or outcome, and keyword arguments replace
them. So this stands around the methods of the one worker: `main` and `close` bound the agent's life,
`run_job` a job's. Each function is watched, which shows what it was given and what became of it, and so is
the serializer of results, which shows what never got as far: a job that expired, has no function, was
aborted in the queue or has used up its tries. Only arq itself knows why it cancelled a job (its timeout, an
abort, a shutdown after which it runs again): the outcome it stores says so, or else whether it keeps the job.
A failure that is stored is listed as a dead letter.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import functools
import pickle
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from z4j_fastapi.agent.agent import Z4JAgent
from z4j_fastapi.workers.arq.run import ENGINE, current_run
from z4j_fastapi.workers.task_run import TaskRun

if TYPE_CHECKING:
    from arq.worker import Worker

    from z4j_fastapi.workers.arq.actions import ArqEngine


@dataclasses.dataclass(slots=True)
class _Cancelled:
    """A job that was cancelled, until it is known why. `outcome` is what arq stores of it, if it does."""

    run: TaskRun
    exc: asyncio.CancelledError
    timeout_s: float | None
    is_aborted: bool
    at_s: float = dataclasses.field(default_factory=time.monotonic)
    outcome: object = None


class WorkerHooks:
    """Around one worker, for as long as that exists; the agent is there while it runs.

    `make_engine` is what acts on a brain's commands.
    """

    def __init__(
        self, worker: Worker, agent_arguments: Mapping[str, Any], make_engine: Callable[[Worker], ArqEngine]
    ) -> None:
        self._worker = worker
        self._agent_arguments = {"role": "task", **agent_arguments}
        self._make_engine = make_engine
        self._engine: ArqEngine | None = None
        self._main: Callable[[], Awaitable[None]] = worker.main
        self._close: Callable[[], Awaitable[None]] = worker.close
        self._run_job: Callable[[str, int], Awaitable[None]] = worker.run_job
        self._store: dict[str, Callable[..., Awaitable[None]]] = {
            "finish_job": worker.finish_job,
            "finish_failed_job": worker.finish_failed_job,
        }
        self._serialize: Callable[[Any], bytes] = pickle.dumps
        self._agent: Z4JAgent | None = None
        self._running: set[str] = set()
        self._cancelled: dict[str, _Cancelled] = {}
        self._watched: dict[str, tuple[Any, Any]] = {}
        self._ready: asyncio.Task[None] | None = None

    def install(self) -> None:
        """Stand around the worker's methods."""
        for name, method in (("main", self.main), ("close", self.close), ("run_job", self.run_job)):
            setattr(self._worker, name, method)
        for name, store in self._store.items():
            setattr(self._worker, name, functools.partial(self.finish, store))

    async def main(self) -> None:
        """Start the agent, then the worker; the agent of a worker that is run again stays."""
        if self._agent is None:
            self._engine = self._make_engine(self._worker)
            agent = Z4JAgent(**{"engine": self._engine, **self._agent_arguments})
            self._engine.agent = agent
            self._agent = await agent.__aenter__()
        # two workers of one settings class may share this dict: see `_watch`
        self._worker.ctx["z4j"] = self._agent
        self._stand_around_jobs()
        await self._main()

    async def close(self) -> None:
        """Close the worker, then stop the agent."""
        if self._engine is not None:
            self._engine.close()
        if self._agent is not None:
            self._worker.ctx["z4j"] = self._agent
        try:
            await self._close()
        finally:
            agent, self._agent = self._agent, None
            if agent is not None:
                await agent.__aexit__()

    async def run_job(self, job_id: str, score: int) -> None:
        """Run one job, and tell why it was cancelled if it was."""
        await self._until_ready()
        began_s = time.monotonic()  # before arq's own clock for this job starts
        try:
            await self._run_job(job_id, score)
        finally:
            self._running.discard(job_id)
            cancelled = self._cancelled.pop(job_id, None)
            if cancelled is not None:
                await self._tell_why(cancelled, cancelled.at_s - began_s)

    async def finish(
        self, store: Callable[..., Awaitable[None]], job_id: str, *args: Any, **kwargs: Any
    ) -> None:
        """Store what became of a job; where that is a failure, list it as a dead letter."""
        await store(job_id, *args, **kwargs)
        if self._engine is not None:
            await self._engine.dead.stored(job_id)

    def serialize(self, data: dict[str, Any]) -> bytes:
        """Takes part in storing a result; arq serializes new jobs here, too, which have no `r`."""
        with contextlib.suppress(Exception):  # an arq that stores something else is no reason to fail
            if self._agent is not None and "r" in data:
                self._see_result(self._agent, data)
        return self._serialize(data)

    async def _until_ready(self) -> None:
        """Before the first job: what a killed worker left in `arq:abort` would end a later run of it."""
        if self._engine is not None and self._ready is None:
            self._ready = asyncio.create_task(self._engine.take_back_what_was_left(), name="z4j take back")
        if self._ready is not None and not self._ready.done():
            await asyncio.wait({self._ready})

    def _stand_around_jobs(self) -> None:
        """As late as possible: a host may change both of a worker that it has made."""
        worker = self._worker
        if not isinstance(worker.functions, _Watched):
            worker.functions = _Watched(worker.functions, self._watch)
        if worker.job_serializer != self.serialize:
            self._serialize = worker.job_serializer or pickle.dumps
            worker.job_serializer = self.serialize

    def _see_result(self, agent: Z4JAgent, data: dict[str, Any]) -> None:
        job_id, outcome = data["id"], data["r"]
        if self._engine is not None and not data["s"]:
            self._engine.dead.saw(data)
        if job_id in self._cancelled:
            # arq tries again, with a text, when an outcome can't be serialized
            self._cancelled[job_id].outcome = self._cancelled[job_id].outcome or outcome
        elif job_id not in self._running and isinstance(outcome, BaseException):
            name = data["f"] if data["f"] != "<unknown>" else None
            run = TaskRun(agent, ENGINE, job_id, name, self._worker.queue_name, max(data["t"] - 1, 0))
            if isinstance(outcome, asyncio.CancelledError):
                run.revoked(outcome)
            else:
                run.failed(outcome)

    async def _tell_why(self, cancelled: _Cancelled, after_s: float) -> None:
        run, exc, outcome, timeout_s = cancelled.run, cancelled.exc, cancelled.outcome, cancelled.timeout_s
        this_task = asyncio.current_task()
        # a shutdown cancels arq's task for the job, an abort and the timeout only the job's own
        is_called_off = cancelled.is_aborted or (this_task is not None and this_task.cancelling() > 0)
        if isinstance(outcome, asyncio.CancelledError):
            run.revoked(exc)
        elif isinstance(outcome, BaseException):
            run.failed(outcome, cause=exc)
        elif await self._will_run_again(run.task_id):
            run.retried(exc)
        elif timeout_s is not None and after_s >= timeout_s and not is_called_off:
            run.failed(TimeoutError(f"ran for more than {timeout_s:g} s"), cause=exc)
        else:
            run.revoked(exc)

    async def _will_run_again(self, job_id: str) -> bool:
        from arq.constants import job_key_prefix

        with contextlib.suppress(Exception):  # without Redis the worker has other worries
            # A task of its own: redis-py uses a timeout, which before Python 3.11.3 ends as one more
            # cancellation in a task that is being cancelled, as this one is.
            asking = asyncio.ensure_future(self._worker.pool.exists(job_key_prefix + job_id))
            return bool(await asking)
        return True

    def _watch(self, name: str, function: Any) -> Any:
        """The function as arq is to call it: a copy whose coroutine tells what happens."""
        known = self._watched.get(name)
        if known is None or known[0] is not function:
            watched = copy.copy(function)  # a CronJob has all that is needed of a Function
            watched.coroutine = self._watched_coroutine(function)
            known = self._watched[name] = (function, watched)
        return known[1]

    def _watched_coroutine(self, function: Any) -> Callable[..., Awaitable[Any]]:
        from arq.worker import Retry, RetryJob

        coroutine, worker = function.coroutine, self._worker

        @functools.wraps(coroutine)
        async def watched(ctx: dict[Any, Any], /, *args: Any, **kwargs: Any) -> Any:
            agent, job_id = self._agent, ctx["job_id"]
            if agent is None:  # the worker has been closed
                return await coroutine(ctx, *args, **kwargs)
            ctx["z4j"] = agent
            run = TaskRun(agent, ENGINE, job_id, function.name, worker.queue_name, ctx["job_try"] - 1)
            run.started(args, kwargs)
            if self._engine is not None:
                self._engine.cron_jobs.ran(function)
            self._running.add(job_id)
            engine = self._engine
            if engine is not None:
                engine.running[job_id] = run
                engine.counts[function.name] += 1
            current_run.set(run)  # arq has made a task for this job
            try:
                result = await coroutine(ctx, *args, **kwargs)
            except asyncio.CancelledError as exc:
                timeout_s = worker.job_timeout_s if function.timeout_s is None else function.timeout_s
                is_aborted = job_id in worker.aborting_tasks
                self._cancelled[job_id] = _Cancelled(run, exc, timeout_s, is_aborted)
                raise
            except Exception as exc:
                if worker.retry_jobs and isinstance(exc, Retry | RetryJob):
                    run.retried(exc)
                else:
                    run.failed(exc)
                raise
            except BaseException as exc:  # sys.exit, say: the worker ends, the next one runs it again
                run.retried(exc)
                raise
            finally:
                if engine is not None:
                    engine.running.pop(job_id, None)
            run.succeeded(result)
            return result

        return watched


class _Watched(dict[str, Any]):
    """A worker's functions. arq looks one up to run it and gets it watched; all else sees it as it is."""

    def __init__(self, functions: Mapping[str, Any], watch: Callable[[str, Any], Any]) -> None:
        super().__init__(functions)
        self._watch = watch

    def __getitem__(self, name: str) -> Any:
        return self._watch(name, super().__getitem__(name))
