"""A worker's own schedules as data: rows, and what a brain asks about them.

A brain calls the one that has the schedules their *owner*. It activates one session of an owner at a time.
That makes a *stream* of snapshots (`snapshots`), each time in an *epoch* of its own. What a brain asks names
the stream, and is refused where that is not the one that goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from z4j_probes.errors import ProtocolError
from z4j_probes.protocol import _json
from z4j_probes.protocol.actions import Action
from z4j_probes.protocol.answers import one_line
from z4j_probes.protocol.commands import MAX_QUEUE, MAX_TASK_NAME

RUNTIME_FEATURE = "external_schedule_protocol_v1"
"""Among the runtime features of a hello that names owners. Without it nothing is activated."""

ACTIVATE = "schedule.external.activate"
MUTATE = Action.RUN_SCHEDULE.value
"""A person runs a schedule now, or edits it."""
CONTROL = "schedule.external.control"
"""A person switches a schedule on or off."""
RESYNC = "schedule.resync"
ACTIONS = frozenset({ACTIVATE, MUTATE, CONTROL, RESYNC})

MAX_OWNER = 40
MAX_NAME = 200
MAX_EXPRESSION = 200
MAX_TIMEZONE = 64
_MAX_ID = 64
_MAX_SCOPE = 500

_MOVING = frozenset({"last_run_at", "next_run_at", "total_runs"})
"""What changes in a row while its schedule stays as it is."""


def capabilities(*, run_now: bool) -> tuple[str, ...]:
    """The words of a hello for an owner whose schedules can be seen, and perhaps run, but not edited.

    With the last word a brain refuses edits itself, since none is named beside it. Without it the brain
    1.13.0 asks for a CONTROL when a person disables a schedule, and takes no snapshot after a refusal.
    """
    trigger = ("trigger_now",) if run_now else ()
    return ("list", "read", *trigger, "external_schedule_stable_snapshot_v1", "external_schedule_mutation_v1")


class Kind(StrEnum):
    """How an expression says when a schedule is due."""

    CRON = "cron"
    """Five fields, six with the seconds first, or words where no such expression says it."""
    INTERVAL = "interval"
    """A number and a unit: "30s", "5m"."""
    CLOCKED = "clocked"
    """One moment."""


@dataclass(frozen=True, slots=True)
class Row:
    """One schedule. `key` is what it is known by: unique for its owner, and the same after a restart.

    Moments are zoned, args and kwargs are JSON without secrets. Texts are cut to what a brain takes.
    """

    key: str
    engine: str
    name: str
    task_name: str
    kind: Kind
    expression: str
    timezone: str = "UTC"
    queue: str | None = None
    args: tuple[Any, ...] = field(default=(), repr=False)
    kwargs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    is_enabled: bool = True
    last_run_at: datetime | None = None
    next_run_at: datetime | None = None
    total_runs: int = 0

    def payload(self, owner: str) -> dict[str, Any]:
        """The row as it is sent: exactly these fields."""
        row: dict[str, Any] = {
            "source_key": one_line(self.key, MAX_NAME),
            "engine": self.engine,
            "scheduler": owner,
            "name": one_line(self.name, MAX_NAME),
            "task_name": one_line(self.task_name, MAX_TASK_NAME),
            "kind": self.kind.value,
            "expression": one_line(self.expression, MAX_EXPRESSION),
            "timezone": one_line(self.timezone, MAX_TIMEZONE),
            "queue": None if self.queue is None else one_line(self.queue, MAX_QUEUE),
            "priority": "normal",
            "args": list(self.args),
            "kwargs": dict(self.kwargs),
            "is_enabled": self.is_enabled,
            "last_run_at": _moment(self.last_run_at),
            "next_run_at": _moment(self.next_run_at),
            "total_runs": self.total_runs,
            "external_id": one_line(self.key, MAX_NAME),
            "catch_up": "skip",
            "source": "agent",
        }
        return {**row, "source_hash": digest(configuration(row))}


def configuration(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row's payload without what moves while the schedule stays as it is."""
    return {name: value for name, value in row.items() if name not in _MOVING}


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hex; ValueError where it is not JSON."""
    return hashlib.sha256(_json.render(value).encode()).hexdigest()


def owner_name(kind: str, service: str) -> str:
    """The owner of a service's schedules: `arq-cron-mail`. A long name ends in a digest, and stays unique."""
    owner = one_line(f"{kind}-{service}", 4 * MAX_NAME)
    if len(owner) <= MAX_OWNER:
        return owner
    mark = hashlib.sha256(owner.encode()).hexdigest()[:8]
    return f"{owner[: MAX_OWNER - len(mark) - 1]}-{mark}"


def owner_of_service(kind: str, agent_name: str) -> str:
    """The same for an agent's name as it is configured, for all processes of its service."""
    service = agent_name.replace("{pid}", "").replace("{host}", "").strip("-_. ")
    return owner_name(kind, service or "worker")


def source_scope(owner: str) -> str:
    """What an owner's stream is about: all that it has."""
    return _json.render({"kind": "scheduler-owner", "owner": owner, "version": 1})


@dataclass(frozen=True, slots=True)
class Stream:
    """What an activation begins, and everything after it names."""

    owner: str
    source_scope: str
    stream_id: str
    epoch_uuid: str
    epoch_number: int
    adapter_instance_id: str

    @classmethod
    def read(cls, parameters: Mapping[str, Any]) -> Self:
        """From a command's parameters; ProtocolError names the field that is wrong."""
        return cls(
            owner=_text(parameters, "owner", MAX_OWNER),
            source_scope=_text(parameters, "source_scope", _MAX_SCOPE),
            stream_id=_text(parameters, "stream_id", _MAX_ID),
            epoch_uuid=_text(parameters, "epoch_uuid", _MAX_ID),
            epoch_number=_count(parameters, "epoch_number"),
            adapter_instance_id=_text(parameters, "adapter_instance_id", _MAX_ID),
        )

    @property
    def ids(self) -> dict[str, Any]:
        """In every frame of a snapshot."""
        return {
            "stream_id": self.stream_id,
            "epoch_uuid": self.epoch_uuid,
            "epoch_number": self.epoch_number,
            "owner": self.owner,
            "source_scope": self.source_scope,
            "adapter_instance_id": self.adapter_instance_id,
        }


@dataclass(frozen=True, slots=True)
class Mutation:
    """What a person asks about one schedule. `expected` is the row that they saw."""

    stream: Stream
    operation_id: str
    operation: str
    """trigger, create, update or delete."""
    key: str
    expected: Mapping[str, Any] | None = field(repr=False)

    @classmethod
    def read(cls, parameters: Mapping[str, Any]) -> Self:
        """From a command's parameters; ProtocolError names the field that is wrong."""
        expected = parameters.get("expected")
        if expected is not None and not isinstance(expected, dict):
            raise ProtocolError("'expected' is not an object")
        has_key = parameters.get("schedule_id") is not None
        return cls(
            stream=Stream.read(parameters),
            operation_id=_text(parameters, "operation_id", _MAX_ID),
            operation=_text(parameters, "operation", _MAX_ID),
            key=_text(parameters, "schedule_id", MAX_NAME) if has_key else "",
            expected=expected,
        )

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Whether a row's payload is the schedule that the person saw, whenever it ran since."""
        return self.expected is not None and configuration(self.expected) == configuration(row)

    def result(self, receipt: Mapping[str, Any], row: Mapping[str, Any], task_id: str) -> dict[str, Any]:
        """What confirms that a schedule was run, behind a snapshot that shows it."""
        done = {"status": "success", "result": {"task_id": task_id}, "error": None}
        return {
            **receipt,
            "operation_id": self.operation_id,
            "source_key": self.key,
            "observed_configuration": configuration(row),
            "trigger_result": done,
        }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds")


def _text(source: Mapping[str, Any], key: str, longest: int) -> str:
    value = source.get(key)
    if not isinstance(value, str) or not 1 <= len(value) <= longest or not value.isprintable():
        raise ProtocolError(f"'{key}' is not a text of 1 to {longest} characters on one line")
    return value


def _count(source: Mapping[str, Any], key: str) -> int:
    value = source.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ProtocolError(f"'{key}' is not a count of at least 1")
    return value
