"""What a heartbeat tells of an engine's queues and workers, and `agent_status` of the agent itself.

`adapter_health` holds texts, and a brain reads two kinds of them as JSON: `<engine>.queue_depths` and
`<engine>.worker_details`. An entry with null ends its reading, and a frame above its limit the session: so
what can't be told is left out, and everything is cut here. The writers are the agent's half, the readers
that of a dev brain.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from z4j_probes.protocol.answers import one_line
from z4j_probes.protocol.commands import MAX_QUEUE, MAX_TASK_ID, MAX_TASK_NAME
from z4j_probes.protocol.frames import timestamp

MAX_QUEUES = 1_024
MAX_ACTIVE = 100
MAX_FUNCTIONS = 500
MAX_DETAILS_BYTES = 128 * 1024
"""Of one worker: a brain allows a frame of a few hundred kilobytes at the least."""
_MOST = 2**53 - 1
# What a brain takes as a count of events, and as an age in seconds.
_MOST_EVENTS = 10_000_000
_LONGEST_S = 315_360_000.0


@dataclass(frozen=True, slots=True)
class RunningTask:
    """A task that runs now; nothing of what it was given."""

    task_id: str
    name: str
    runtime_s: float


@dataclass(frozen=True, slots=True)
class WorkerDetails:
    """One worker process: how many tasks it runs at once (None where that is not known), its queues, what it
    can run, what it runs, and how many it has run of each since its start."""

    concurrency: int | None
    queues: Sequence[str]
    functions: Sequence[str]
    active: Sequence[RunningTask] = ()
    counts: Mapping[str, int] | None = None


def queue_depths(depths: Mapping[str, int]) -> str:
    """The text of `<engine>.queue_depths`."""
    told = {one_line(queue, MAX_QUEUE): min(max(0, depth), _MOST) for queue, depth in depths.items()}
    return json.dumps(dict(list(told.items())[:MAX_QUEUES]))


def read_queue_depths(text: str) -> dict[str, int]:
    """The same as a brain reads it; ValueError where it would not."""
    depths = json.loads(text)
    if not isinstance(depths, dict) or not all(type(depth) is int for depth in depths.values()):
        raise ValueError("queue_depths is not an object of integers")
    return depths


def worker_details(
    name: str, details: WorkerDetails, *, pid: int, uptime_s: float, load: Sequence[float] | None, zone: str
) -> str:
    """The text of `<engine>.worker_details` for one worker, which a brain knows as `name`.

    `load` has the machine's three averages, None where it has none; `zone` is the name of its time zone.
    """
    active, functions = list(details.active)[:MAX_ACTIVE], sorted(details.functions)[:MAX_FUNCTIONS]
    queues = list(details.queues)[:MAX_ACTIVE]
    counts = sorted((details.counts or {}).items(), key=lambda item: -item[1])[:MAX_FUNCTIONS]
    pool = {} if details.concurrency is None else {"max-concurrency": details.concurrency}
    conf: dict[str, Any] = {"timezone": zone}
    if details.concurrency is not None:
        conf["worker_concurrency"] = details.concurrency
    while True:
        stats: dict[str, Any] = {
            "pid": pid,
            "pool": pool,
            "uptime": int(uptime_s),
            "total": {one_line(task, MAX_TASK_NAME): count for task, count in counts},
        }
        if load is not None:
            stats["loadavg"] = [round(average, 2) for average in load]
        worker = {
            "stats": stats,
            "active": [
                {
                    "id": one_line(task.task_id, MAX_TASK_ID),
                    "name": one_line(task.name, MAX_TASK_NAME),
                    "runtime": round(task.runtime_s, 1),
                }
                for task in active
            ],
            "active_queues": [{"name": one_line(queue, MAX_QUEUE)} for queue in queues],
            "registered": [one_line(function, MAX_TASK_NAME) for function in functions],
            "conf": conf,
        }
        text = json.dumps({name: worker})
        if len(text) <= MAX_DETAILS_BYTES:
            return text
        active, functions = active[: len(active) // 2], functions[: len(functions) // 2]
        counts, queues = counts[: len(counts) // 2], queues[: len(queues) // 2]


def read_worker_details(text: str) -> dict[str, dict[str, Any]]:
    """The same as a brain reads it, by worker; ValueError where it would not."""
    workers = json.loads(text)
    if not isinstance(workers, dict) or not all(isinstance(worker, dict) for worker in workers.values()):
        raise ValueError("worker_details is not an object of workers")
    return workers


def fitted(texts: Mapping[str, str], limit_bytes: int) -> dict[str, str]:
    """As many of these entries of `adapter_health` as a frame has room for, the shortest ones first."""
    fitting: dict[str, str] = {}
    for key, text in sorted(texts.items(), key=lambda item: len(item[1])):
        limit_bytes -= len(json.dumps({key: text}).encode())
        if limit_bytes < 0:
            break
        fitting[key] = text
    return fitting


def agent_status(
    *,
    connected_at: datetime,
    session_s: float,
    buffered: int,
    dropped: int,
    runtime_id: str,
    version: str,
    protocol_version: str,
    engines: Sequence[str],
    schedulers: Sequence[str],
) -> dict[str, Any]:
    """The payload of `agent_status`: the agent's health as a brain shows it. At most 12 a minute.

    `dropped` events were lost in the process that `runtime_id` stands for.
    """
    return {
        "last_successful_connect_at": timestamp(connected_at),
        "current_session_age_seconds": round(min(session_s, _LONGEST_S), 1),
        "buffer_depth": min(buffered, _MOST_EVENTS),
        "telemetry_loss": {
            "buffer_id": runtime_id[:64],
            "runtime_id": runtime_id[:64],
            "event_records": min(dropped, _MOST),
        },
        "agent_version": version[:40],
        "protocol_version": protocol_version[:10],
        "engines": list(engines)[:32],
        "schedulers": list(schedulers)[:32],
    }
