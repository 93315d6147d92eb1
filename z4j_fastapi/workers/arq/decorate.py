"""z4j_worker: marks a worker's settings, so that every arq worker made from them has an agent.

arq takes from a settings class what `Worker.__init__` has a parameter for. So that gets one more, which
carries the mark. Everything else is asked of the worker that was made: what the class says, keyword
arguments override, and one class may make several workers.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from z4j_fastapi.workers.arq.hooks import WorkerHooks
from z4j_probes.given import seal_arguments

Settings = TypeVar("Settings", bound="type | dict[str, Any]")

# The parameter that Worker.__init__ gets, and the attribute of a decorated class.
MARK = "z4j_worker"

_wrapping = threading.Lock()


@dataclass(frozen=True, slots=True)
class Instrumentation:
    """The mark on a worker's settings. `agent_arguments` are those of Z4JAgent."""

    agent_arguments: Mapping[str, Any]


@overload
def z4j_worker(settings: Settings) -> Settings: ...
@overload
def z4j_worker(**agent_arguments: Any) -> Callable[[Settings], Settings]: ...
def z4j_worker(settings: Any = None, **agent_arguments: Any) -> Any:
    """Give an arq worker an agent: decorate its settings class, or pass a dict of Worker's arguments.

        @z4j_worker                                  Worker(**z4j_worker({"functions": [send_mail]}))
        class WorkerSettings:
            functions = [send_mail]

    Jobs find the agent as `ctx["z4j"]`. Arguments are those of Z4JAgent, and otherwise `Z4J_*`. A class gets
    one more attribute, `z4j_worker`, and is left as it is otherwise; a dict is copied. Each worker made from
    either has an agent of its own, which starts before the worker's `on_startup` and stops after its
    `on_shutdown`.
    """
    agent_arguments = seal_arguments(agent_arguments)
    if settings is None:
        return functools.partial(_mark, Instrumentation(agent_arguments))
    return _mark(Instrumentation(agent_arguments), settings)


def _mark(instrumentation: Instrumentation, settings: Any) -> Any:
    try:
        from arq.worker import Worker
    except ModuleNotFoundError as missing:
        if missing.name != "arq":
            raise
        # without arq there is no worker: a module that also has settings for one can still be imported
    else:
        with _wrapping:
            _wrap_init(Worker)
    if isinstance(settings, dict):
        return {**settings, MARK: instrumentation}
    setattr(settings, MARK, instrumentation)
    return settings


def _wrap_init(worker_class: Any) -> None:
    """Have Worker.__init__ take the mark. Does nothing the second time, or to a worker without a mark."""
    original = worker_class.__init__
    signature = inspect.signature(original)
    if MARK in signature.parameters:
        return

    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        instrumentation = kwargs.pop(MARK, None)
        original(self, *args, **kwargs)
        if isinstance(instrumentation, Instrumentation):
            from z4j_fastapi.workers.arq.actions import ArqEngine  # needs arq, which is there

            WorkerHooks(self, instrumentation.agent_arguments, ArqEngine).install()

    mark = inspect.Parameter(MARK, inspect.Parameter.KEYWORD_ONLY, default=None)
    init.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), mark]
    )
    worker_class.__init__ = init
