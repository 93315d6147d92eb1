"""What a `DevBrain` has seen so far, and waiting until it has seen something.

Everything here outlives connections and restarts of the brain.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from z4j_probes.protocol import Hello
from z4j_probes.protocol.health import read_queue_depths, read_worker_details

WAIT_TIMEOUT_S = 10.0
"""Long enough for a busy machine, short enough for a test that fails."""

EVENT_KINDS = frozenset(
    {
        "task.sent",
        "task.received",
        "task.started",
        "task.succeeded",
        "task.failed",
        "task.retried",
        "task.revoked",
        "task.rejected",
        "worker.online",
        "worker.offline",
        "worker.heartbeat",
        "queue.depth_report",
    }
)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One heartbeat and who sent it."""

    worker_id: str | None
    payload: Mapping[str, Any]


@dataclass(slots=True)
class Command:
    """A command that was sent, and what came back for it."""

    id: str
    action: str
    claim_token: str | None
    """None for an ordinary command, as with a real brain; a schedule's has one."""
    payload: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """As it was sent."""
    acknowledged: bool = False
    result: Mapping[str, Any] | None = None

    @classmethod
    def of(
        cls,
        action: str,
        target: Mapping[str, Any],
        parameters: Mapping[str, Any],
        timeout_seconds: int = 60,
    ) -> Self:
        """A new one, as a brain puts it into a frame."""
        has_claim = action.startswith(("schedule.fire", "schedule.external."))
        claim_token = str(uuid.uuid4()) if has_claim else None
        payload = {
            "action": action,
            "target": dict(target),
            "parameters": dict(parameters),
            "timeout_seconds": timeout_seconds,
            "issued_by": "dev-brain",
            "delivery_claim_token": claim_token,
        }
        return cls(str(uuid.uuid4()), action, claim_token, payload)


@dataclass(slots=True)
class Observations:
    """Counters and records; a test reads them, only the brain writes them."""

    connections: int = 0
    """Upgrades that were accepted, whether or not a hello followed."""
    hellos: list[Hello] = field(default_factory=list)
    frames: Counter[str] = field(default_factory=Counter)
    """Frames accepted after hello_ack, by type."""
    refusals: list[str] = field(default_factory=list)
    """Why connections were ended by the brain, as close reasons."""
    heartbeats: list[Heartbeat] = field(default_factory=list)
    queue_depths: dict[str, dict[str, int]] = field(default_factory=dict)
    """By engine and queue, as they were reported last."""
    worker_details: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By worker id, as they were reported last."""
    agent_statuses: list[Mapping[str, Any]] = field(default_factory=list)
    batches: int = 0
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Every distinct event by its id, in the order of arrival."""
    duplicates: int = 0
    """Events that came again under an id that was known."""
    rejected: int = 0
    """Events that are none: no id, no engine, or a kind that does not exist."""
    commands: dict[str, Command] = field(default_factory=dict)
    stray_replies: int = 0
    """Acknowledgements and results for a command that was never sent, or with another claim token."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def record_heartbeat(self, heartbeat: Heartbeat) -> None:
        """Take in a heartbeat, and what it tells of queues and workers; what is unreadable tells nothing."""
        self.heartbeats.append(heartbeat)
        for key, text in heartbeat.payload.get("adapter_health", {}).items():
            engine, _, kind = key.partition(".")
            with contextlib.suppress(ValueError):
                if kind == "queue_depths":
                    self.queue_depths.setdefault(engine, {}).update(read_queue_depths(text))
                elif kind == "worker_details":
                    self.worker_details.update(read_worker_details(text))

    def record_batch(self, events: list[Any]) -> tuple[int, int]:
        """Take in a batch; how many events were accepted (known ones included) and rejected."""
        self.batches += 1
        rejected = 0
        known = self.events
        for event in events:
            if not _is_event(event):
                rejected += 1
            elif event["id"] in known:
                self.duplicates += 1
            else:
                known[event["id"]] = event
        self.rejected += rejected
        return len(events) - rejected, rejected

    def record_reply(self, command_id: str, payload: Mapping[str, Any], *, is_result: bool) -> None:
        """Take in a command_ack or command_result."""
        command = self.commands.get(command_id)
        if command is None or payload.get("delivery_claim_token") != command.claim_token:
            self.stray_replies += 1
        elif is_result:
            command.result = payload
        else:
            command.acknowledged = True

    def notify(self) -> None:
        """Something was recorded: wake those who wait."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(
        self, condition: Callable[[], bool], what: str, *, timeout_s: float = WAIT_TIMEOUT_S
    ) -> None:
        """Return once `condition` holds; TimeoutError tells `what` did not happen and what did."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"not within {timeout_s:g} s: {what}; so far {self._summary()}") from None

    def _summary(self) -> str:
        return (
            f"{self.connections} connections, {len(self.hellos)} hellos, {self.batches} batches, "
            f"{len(self.events)} events, {self.duplicates} duplicates, {len(self.heartbeats)} heartbeats, "
            f"refusals {self.refusals}"
        )


def _is_event(event: object) -> bool:
    return (
        isinstance(event, dict)
        and isinstance(event.get("id"), str)
        and isinstance(event.get("engine"), str)
        and isinstance(event.get("kind"), str)
        and event["kind"] in EVENT_KINDS
    )
