"""What an agent says of itself: its state, since when, why, what it holds; and the board that writes it."""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from z4j_fastapi.agent.host import log_fault
from z4j_fastapi.agent.traffic import Latency, Traffic
from z4j_fastapi.log import log
from z4j_probes import Report

if TYPE_CHECKING:
    from z4j_fastapi.agent.rejections import Rejections
    from z4j_fastapi.commands.dispatch import Dispatcher


class State(StrEnum):
    """Where an agent is in its life."""

    STARTING = "starting"
    """Its first climb is not over yet."""
    ONLINE = "online"
    OFFLINE = "offline"
    """No session; it climbs again by its schedule."""
    DISABLED = "disabled"
    """It will not try: Z4J_DISABLED, arguments or variables that are missing or malformed, or a fork."""
    STOPPED = "stopped"
    """Not entered yet, or left again."""


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """A snapshot. `code` and `reason` are those of the last failure, empty while all is well.

    `report` is the last climb's. `buffered` counts events that no brain has acknowledged, `dropped` those
    that were lost to the buffer's bounds or could not be taken, `not_durable` those for which emit returned
    False because they were in memory only. `buffer_path` is None for a buffer that
    lives in memory only. `rejected` counts events that a brain has acknowledged and did not take: it
    knows them, or keeps one of their kind a second. `log_fault` says why nothing of the agent's log
    appears, empty if it does. `buffer_fault` is a code while the disk does not take events, which are in
    memory only then. After the end `buffered` is what was left on disk for the next start. `commands`
    counts what the brain asked: by how it ended, and by code where it was not done. `next_attempt_at` is when
    an offline agent tries to connect again, None in any other state and while it tries. `unacknowledged_s` is
    for how long the brain has acknowledged none of the batches that were sent to it; above 30 the state stays
    `online`, with the code `session.unacknowledged`. `set_aside` counts events that no brain took, in the
    file that all processes of this agent share. `acknowledged` counts events that a brain has acknowledged,
    `last_acknowledged_at` says when that was the last time. `brain_version` is that of the brain of the last
    session. `reconnects` counts lost sessions and failed attempts to connect, by code.
    """

    state: State
    since: datetime
    code: str = ""
    reason: str = ""
    report: Report | None = None
    buffered: int = 0
    dropped: int = 0
    rejected: int = 0
    not_durable: int = 0
    buffer_path: str | None = None
    buffer_fault: str = ""
    worker_id: str | None = None
    session_id: str | None = None
    log_fault: str = ""
    commands: Mapping[str, int] = field(default_factory=dict)
    next_attempt_at: datetime | None = None
    unacknowledged_s: float = 0.0
    set_aside: int = 0
    acknowledged: int = 0
    last_acknowledged_at: datetime | None = None
    brain_version: str = ""
    reconnects: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without secrets."""
        return {**self.without_report(), "report": self.report.to_dict() if self.report else None}

    def without_report(self) -> dict[str, Any]:
        """The same but for the last climb's report."""
        return {
            "state": self.state.value,
            "since": _rfc_3339(self.since),
            "code": self.code,
            "reason": self.reason,
            "buffered": self.buffered,
            "dropped": self.dropped,
            "rejected": self.rejected,
            "not_durable": self.not_durable,
            "buffer_path": self.buffer_path,
            "buffer_fault": self.buffer_fault,
            "worker_id": self.worker_id,
            "session_id": self.session_id,
            "log_fault": self.log_fault,
            "commands": dict(self.commands),
            "next_attempt_at": _rfc_3339(self.next_attempt_at),
            "set_aside": self.set_aside,
            "acknowledged": self.acknowledged,
            "last_acknowledged_at": _rfc_3339(self.last_acknowledged_at),
            "brain_version": self.brain_version,
            "reconnects": dict(self.reconnects),
            "unacknowledged_s": round(self.unacknowledged_s, 1),
        }


def _rfc_3339(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Counts(Protocol):
    """What a buffer counts; after it is closed, too."""

    @property
    def depth(self) -> int:
        """How many events wait or are on their way."""

    @property
    def dropped(self) -> int:
        """How many were lost for want of room."""

    @property
    def not_durable(self) -> int:
        """How many were in memory only when they were taken."""


class StatusBoard:
    """Writes the status of one life of an agent; supervisor, thread and agent tell it what they know.

    Each change replaces a frozen snapshot in one step, so any thread, signal handler or destructor may read
    it. `missed` counts events that no buffer was there to take.
    """

    def __init__(self, *, missed: int = 0) -> None:
        self._status = AgentStatus(State.STOPPED, datetime.now(UTC))
        self._counts: Counts | None = None
        self._rejections: Rejections | None = None
        self._commands: Dispatcher | None = None
        self._traffic: Traffic | None = None
        self._waiting = ""  # the probe that the first climb waits for
        self._last: AgentStatus | None = None  # once it is there, no thread can write over it
        self.missed = missed
        self.changed: Callable[[], object] = bool
        """Called after each change that a person waits for: of state, of worker id, of the disk. A start is
        none: most are over within milliseconds."""
        self.decided: concurrent.futures.Future[None] = concurrent.futures.Future()
        """Done once the first climb has its verdict, or none is waited for."""

    @property
    def state(self) -> State:
        """The state that was written last."""
        return (self._last or self._status).state

    @property
    def set_aside(self) -> int:
        """How many events are set aside."""
        return self._status.set_aside

    def snapshot(self, *, is_forked: bool = False, is_dead: bool = False) -> AgentStatus:
        """The status now. `is_forked`: in a child process; `is_dead`: the thread that would write is gone."""
        last = self._last
        status = last or self._status
        # one copy, whatever is added: a host may look often
        found: dict[str, Any] = {} if last else self._counted(status)
        if is_forked:
            found |= {"state": State.DISABLED, "code": "", "reason": "this process was forked off"}
        if is_dead:
            reason = "the agent's thread has died; it is started again"
            found |= {"state": State.OFFLINE, "since": datetime.now(UTC), "code": "", "reason": reason}
            found["session_id"] = None
        found["dropped"] = found.get("dropped", status.dropped) + self.missed
        return replace(status, **found, log_fault=log_fault(log.logger))

    def _counted(self, status: AgentStatus) -> dict[str, Any]:
        """What is known by those who count, beside the status that was written last."""
        found: dict[str, Any] = {}
        if self._waiting and status.state is State.STARTING:
            found["reason"] = f"{status.reason}: waiting for {self._waiting}"
        if (counts := self._counts) is not None:
            found |= {
                "buffered": counts.depth,
                "dropped": counts.dropped,
                "not_durable": counts.not_durable,
            }
        if (rejections := self._rejections) is not None:
            found["rejected"] = rejections.count
        if (commands := self._commands) is not None:
            found["commands"] = commands.counts
        if (traffic := self._traffic) is not None:
            found |= {"acknowledged": traffic.acknowledged, "last_acknowledged_at": traffic.last_at}
        return found

    @property
    def latency(self) -> Latency:
        """How long the brain took to acknowledge batches."""
        return self._traffic.latency if self._traffic else Latency()

    def change(
        self,
        state: State,
        code: str = "",
        reason: str = "",
        *,
        report: Report | None = None,
        session_id: str | None = None,
        next_attempt_at: datetime | None = None,
    ) -> None:
        """A new state, since now. Without a report the last one stays."""
        reconnects = self._status.reconnects
        if state is State.OFFLINE and code:
            reconnects = {**reconnects, code: reconnects.get(code, 0) + 1}
        self._status = replace(
            self._status,
            state=state,
            since=datetime.now(UTC),
            code=code,
            reason=reason,
            report=report or self._status.report,
            session_id=session_id,
            next_attempt_at=next_attempt_at,
            unacknowledged_s=0.0,
            reconnects=reconnects,
        )
        if state is not State.STARTING:
            self.decide()
            self.changed()

    def opened(self, counts: Counts, path: str | None, worker_id: str) -> None:
        """The buffer is open: where it is, what it counts, and the id that comes of its slot."""
        self._counts = counts
        self._status = replace(self._status, buffer_path=path, worker_id=worker_id)

    def counts_too(self, rejections: Rejections, commands: Dispatcher, traffic: Traffic) -> None:
        """Show what these count, as long as this life lasts."""
        self._rejections, self._commands, self._traffic = rejections, commands, traffic

    def stalled(self, seconds: float, code: str = "", reason: str = "") -> None:
        """No batch was acknowledged for so long in an open session; the code says if that is a fault."""
        if self.state is State.ONLINE:
            is_news = code != self._status.code
            self._status = replace(self._status, code=code, reason=reason, unacknowledged_s=seconds)
            if is_news:
                self.changed()

    def tries(self) -> None:
        """The next attempt has begun."""
        self._status = replace(self._status, next_attempt_at=None)

    def waits_for(self, probes: Sequence[str]) -> None:
        """The probes that the first climb has still to pass; while a later one lasts the status stays."""
        if probes and self.state is State.STARTING:
            self._waiting = probes[0]

    def renamed(self, worker_id: str) -> None:
        """The brain knows this worker by another id from now on."""
        self._status = replace(self._status, worker_id=worker_id)
        self.changed()

    def is_with(self, brain_version: str) -> None:
        """The brain of the session that begins is of that version."""
        self._status = replace(self._status, brain_version=brain_version)

    def has_set_aside(self, count: int) -> None:
        """So many events are set aside."""
        self._status = replace(self._status, set_aside=count)

    def buffer_changed(self, fault: str, path: str | None) -> None:
        """The disk takes no events, for the reason with that code, or does again; where the files are now."""
        self._status = replace(self._status, buffer_fault=fault, buffer_path=path)
        self.changed()

    def decide(self) -> None:
        """Nothing waits for a verdict any longer."""
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            self.decided.set_result(None)

    def close(self) -> None:
        """The agent was left. A thread that outlived its budget has no say from here on."""
        status = replace(self._status, **self._counted(self._status))
        if status.state is not State.DISABLED:
            status = replace(
                status,
                state=State.STOPPED,
                since=datetime.now(UTC),
                session_id=None,
                next_attempt_at=None,
                unacknowledged_s=0.0,
            )
        self._last = status
        self._counts = self._rejections = self._commands = self._traffic = None
        self.decide()
