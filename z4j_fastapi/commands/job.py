"""Job: a command between its first delivery and its end, and everything that waits for that."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from z4j_fastapi.commands.peers import ActedOn, Ids
from z4j_fastapi.commands.record import Told
from z4j_fastapi.commands.refusal import Refused
from z4j_probes.protocol.actions import Action
from z4j_probes.protocol.commands import Command


@dataclass(frozen=True, slots=True)
class Origin:
    """The session that a command came in, and its signed frame: what another process needs to act on it."""

    frame: Mapping[str, Any] = field(repr=False)
    ids: Ids


@dataclass(slots=True)
class Job:
    """A command that waits or runs, and every delivery of it that has to be answered.

    `waiters` are other processes that have passed it on to this one; `why_not` is why it can't be done here.
    """

    command: Command
    received_s: float
    deliveries: dict[str, str | None] = field(default_factory=dict)
    waiters: list[asyncio.Future[ActedOn]] = field(default_factory=list)
    origin: Origin | None = None
    why_not: Refused | None = None
    acknowledged: bool = False

    @property
    def deadline_s(self) -> float:
        return self.received_s + self.command.timeout_s

    @property
    def is_fire(self) -> bool:
        return self.command.action == Action.FIRE

    @property
    def told(self) -> Told:
        return Told(self.command.action, self.command.target, self.command.issued_by)
