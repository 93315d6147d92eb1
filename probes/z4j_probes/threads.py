"""Blocking calls that may never return: a resolver, a dead network mount.

They run in daemon threads, since asyncio's own executor would be joined at exit and keep a process alive
for as long as the call hangs. A thread that has done its call takes another one, where that comes soon: a
start has several in a row, and where the machine is busy each new thread costs the loop milliseconds.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from z4j_probes.portable.fork import at_fork
from z4j_probes.result import Step

T = TypeVar("T")

IDLE_S = 1.0
"""How long a thread that has done its call is there for another one."""


class NoThread(RuntimeError):
    """The system gives this process no further thread; the message says why, `steps` what to do."""

    def __init__(self) -> None:
        from z4j_probes.portable import shell
        from z4j_probes.thread_limits import nearest_limit

        limit = nearest_limit()
        if limit is None:
            self.steps: tuple[Step, ...] = (
                Step("Upgrade the container runtime: Docker before 20.10.10 forbids the system call clone3"),
                Step("Until then, run the container with --security-opt seccomp=unconfined"),
            )
            super().__init__("this process gets no thread, far from every limit: a sandbox forbids it")
            return
        self.steps = (
            Step("Raise the limit of threads for this user", shell.more_threads()),
            Step(
                "In a service, raise TasksMax= and LimitNPROC= of the unit, or --pids-limit of the container"
            ),
        )
        super().__init__(f"this process gets no further thread ({limit})")


async def in_daemon_thread(call: Callable[[], T]) -> T:
    """Run `call` in a thread that does nothing else, and await its result; abandon it on cancellation."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = call()
        except StopIteration as exc:  # no future takes it (PEP 479)
            error = RuntimeError("the call ended with StopIteration")
            error.__cause__ = exc
        except BaseException as exc:
            error = exc
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:  # the loop has closed: no one waits any more
            return

    try:
        worker = _idle.pop()
    except IndexError:
        _start(_Worker(work).run)
    else:
        worker.give(work)
    return await future


def within(budget_s: float, call: Callable[[], T]) -> T:
    """The same where no loop runs: the result of `call`, or TimeoutError, and its thread is abandoned."""
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call())
        except BaseException as exc:
            errors.append(exc)

    thread = _start(work)
    thread.join(budget_s)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]


class _Worker:
    """One of those threads: it does one call after the other, and ends where none comes for IDLE_S."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work: Callable[[], None] | None = work
        self._given = threading.Lock()
        self._given.acquire()

    def give(self, work: Callable[[], None]) -> None:
        """Have it do that; for who has taken it from those that are idle."""
        self._work = work
        self._given.release()

    def run(self) -> None:
        """Do what was given, and what is given then."""
        while (work := self._work) is not None:
            work()
            self._work = work = None  # nothing that the call had is kept for the time without one
            _idle.append(self)
            if not self._given.acquire(timeout=IDLE_S):
                try:
                    _idle.remove(self)
                except ValueError:  # it was taken this moment
                    self._given.acquire()


_idle: list[_Worker] = []
at_fork(in_child=_idle.clear)


def _start(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, name="z4j-blocking-call", daemon=True)
    try:
        thread.start()
    except RuntimeError as exc:  # pthread_create(3) failed, in all likelihood with EAGAIN
        raise NoThread from exc
    return thread
