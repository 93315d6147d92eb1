"""z4j_worker: an arq worker with an agent, and its jobs as events.

arq's job hooks know neither a job's function nor its arguments or outcome. So each function is wrapped, which
shows what it was given and what became of it, and so is the serializer of results, which shows what never
got as far: a job that expired, has no function, was aborted in the queue or has used up its tries. Only
arq itself knows why it cancelled a job (its timeout, an abort, a shutdown after which it runs again):
the outcome it stores says so, or else whether it keeps the job.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import pickle
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, overload

from z4j_fastapi.agent.agent import Z4JAgent
from z4j_fastapi.workers.task_run import TaskRun

ENGINE = "arq"

Hook = Callable[[dict[Any, Any]], Awaitable[None]]
Settings = TypeVar("Settings", bound="type | dict[str, Any]")


@overload
def z4j_worker(settings: Settings) -> Settings: ...
@overload
def z4j_worker(**agent_arguments: Any) -> Callable[[Settings], Settings]: ...
def z4j_worker(settings: Any = None, **agent_arguments: Any) -> Any:
    """Give an arq worker an agent: decorate its settings class, or pass a dict of Worker's arguments.

        @z4j_worker                                  Worker(**z4j_worker({"functions": [send_mail]}))
        class WorkerSettings:
            functions = [send_mail]

    Jobs find the agent as `ctx["z4j"]`; hooks that are there already keep working. Arguments are those of
    Z4JAgent, and otherwise `Z4J_*`. A class is changed in place, a dict is copied.
    """
    if settings is None:
        return functools.partial(_instrument, agent_arguments=agent_arguments)
    return _instrument(settings, agent_arguments)


def _instrument(settings: Any, agent_arguments: dict[str, Any]) -> Any:
    # what a settings class inherits means nothing to arq, so it means nothing here
    given = settings if isinstance(settings, dict) else vars(settings)
    changed = _Reporter(given, agent_arguments).settings()
    if isinstance(settings, dict):
        return {**settings, **changed}
    for name, value in changed.items():
        setattr(settings, name, value)
    return settings


@dataclasses.dataclass(slots=True)
class _Cancelled:
    """A job that was cancelled, until it is known why. `outcome` is what arq stores of it, if it does."""

    run: TaskRun
    exc: asyncio.CancelledError
    timeout_s: float
    outcome: object = None


class _Reporter:
    """The agent of one worker, and the jobs that run in it."""

    def __init__(self, given: Any, agent_arguments: dict[str, Any]) -> None:
        self._agent_arguments = {"role": "task", "engines": [ENGINE], **agent_arguments}
        self._functions: Sequence[Any] = given.get("functions") or ()
        self._cron_jobs: Sequence[Any] | None = given.get("cron_jobs")
        self._on_startup: Hook | None = given.get("on_startup")
        self._on_shutdown: Hook | None = given.get("on_shutdown")
        self._after_job_end: Hook | None = given.get("after_job_end")
        self._serialize: Callable[[Any], bytes] = given.get("job_serializer") or pickle.dumps
        self._queue: str = given.get("queue_name") or "arq:queue"
        self._retry_jobs: bool = given.get("retry_jobs", True)
        self._job_timeout: Any = given.get("job_timeout", 300)
        self._agent: Z4JAgent | None = None
        self._running: set[str] = set()
        self._cancelled: dict[str, _Cancelled] = {}

    def settings(self) -> dict[str, Any]:
        """What has to be changed in the worker's settings."""
        changed: dict[str, Any] = {
            "functions": _Wrapped(self._functions, self._wrap),
            "on_startup": self.on_startup,
            "on_shutdown": self.on_shutdown,
            "after_job_end": self.after_job_end,
            "job_serializer": self.serialize,
        }
        if self._cron_jobs is not None:
            changed["cron_jobs"] = [self._wrap(job) for job in self._cron_jobs]
        return changed

    async def on_startup(self, ctx: dict[Any, Any]) -> None:
        self._agent = ctx["z4j"] = await Z4JAgent(**self._agent_arguments).__aenter__()
        if self._on_startup:
            await self._on_startup(ctx)

    async def on_shutdown(self, ctx: dict[Any, Any]) -> None:
        agent, self._agent = self._agent, None
        if agent is None:  # a strict preflight: the worker's own start-up code did not run either
            return
        try:
            if self._on_shutdown:
                await self._on_shutdown(ctx)
        finally:
            await agent.__aexit__()

    async def after_job_end(self, ctx: dict[Any, Any]) -> None:
        self._running.discard(ctx["job_id"])
        cancelled = self._cancelled.pop(ctx["job_id"], None)
        if cancelled is not None:
            await self._tell_why(cancelled, ctx)
        if self._after_job_end:
            await self._after_job_end(ctx)

    def serialize(self, data: dict[str, Any]) -> bytes:
        """Takes part in storing a result; arq serializes new jobs here, too, which have no `r`."""
        if self._agent is not None and "r" in data:
            with contextlib.suppress(Exception):  # an arq that stores something else is no reason to fail
                self._see_result(self._agent, data)
        return self._serialize(data)

    def _see_result(self, agent: Z4JAgent, data: dict[str, Any]) -> None:
        job_id, outcome = data["id"], data["r"]
        if job_id in self._cancelled:
            # arq tries again, with a text, when an outcome can't be serialized
            self._cancelled[job_id].outcome = self._cancelled[job_id].outcome or outcome
        elif job_id not in self._running and isinstance(outcome, BaseException):
            name = data["f"] if data["f"] != "<unknown>" else None
            run = TaskRun(agent, ENGINE, job_id, name, self._queue, max(data["t"] - 1, 0))
            if isinstance(outcome, asyncio.CancelledError):
                run.revoked(outcome)
            else:
                run.failed(outcome)

    async def _tell_why(self, cancelled: _Cancelled, ctx: dict[Any, Any]) -> None:
        from arq.constants import job_key_prefix

        run, exc, outcome = cancelled.run, cancelled.exc, cancelled.outcome
        if isinstance(outcome, asyncio.CancelledError):
            run.revoked(exc)
        elif isinstance(outcome, BaseException):
            run.failed(outcome, cause=exc)
        else:
            will_run_again = True
            with contextlib.suppress(Exception):  # without Redis the worker has other worries
                # A task of its own: redis-py uses a timeout, which before Python 3.11.3 ends as one more
                # cancellation in a task that is being cancelled, as this one is.
                asking = asyncio.ensure_future(ctx["redis"].exists(job_key_prefix + ctx["job_id"]))
                will_run_again = bool(await asking)
            if will_run_again:
                run.retried(exc)
            elif run.runtime_s >= cancelled.timeout_s:
                run.failed(TimeoutError(f"ran for more than {cancelled.timeout_s:g} s"), cause=exc)
            else:
                run.revoked(exc)

    def _wrap(self, item: Any) -> Any:
        from arq.worker import func

        # a CronJob has all that is needed of a Function
        function = item if hasattr(item, "next_run") else func(item)
        return dataclasses.replace(function, coroutine=self._watched(function))

    def _watched(self, function: Any) -> Callable[..., Awaitable[Any]]:
        from arq.utils import to_seconds
        from arq.worker import Retry, RetryJob

        coroutine = function.coroutine
        timeout_s = function.timeout_s
        if timeout_s is None:
            timeout_s = to_seconds(self._job_timeout)

        @functools.wraps(coroutine)
        async def watched(ctx: dict[Any, Any], *args: Any, **kwargs: Any) -> Any:
            agent, job_id = self._agent, ctx["job_id"]
            if agent is None:
                return await coroutine(ctx, *args, **kwargs)
            run = TaskRun(agent, ENGINE, job_id, function.name, self._queue, ctx["job_try"] - 1)
            run.started(args, kwargs)
            self._running.add(job_id)
            try:
                result = await coroutine(ctx, *args, **kwargs)
            except asyncio.CancelledError as exc:
                self._cancelled[job_id] = _Cancelled(run, exc, timeout_s)
                raise
            except Exception as exc:
                if self._retry_jobs and isinstance(exc, Retry | RetryJob):
                    run.retried(exc)
                else:
                    run.failed(exc)
                raise
            run.succeeded(result)
            return result

        return watched


class _Wrapped(Sequence[Any]):
    """The worker's functions, wrapped when arq asks for them: one named by a string is imported only then."""

    def __init__(self, functions: Sequence[Any], wrap: Callable[[Any], Any]) -> None:
        self._functions = functions
        self._wrap = wrap

    def __len__(self) -> int:
        return len(self._functions)

    def __getitem__(self, index: Any) -> Any:
        return self._wrap(self._functions[index])
