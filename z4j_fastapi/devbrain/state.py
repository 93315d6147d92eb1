"""What the sessions of one `DevBrain` share: accounts, limits, who is online, how to misbehave."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from z4j_fastapi.devbrain.accounts import Accounts, Credentials
from z4j_fastapi.devbrain.misbehaviour import Misbehaviour
from z4j_fastapi.devbrain.observations import Observations
from z4j_fastapi.devbrain.schedules import Schedules
from z4j_probes.protocol import DEFAULT_MAX_FRAME_BYTES

if TYPE_CHECKING:
    from z4j_fastapi.devbrain.session import AgentSession


@dataclass(frozen=True, slots=True)
class Limits:
    """A brain's limits, with the values that a real one has."""

    heartbeat_interval_s: float = 10
    max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES
    connects_per_minute: int = 600
    workers_per_agent: int = 64
    idle_timeout_s: float = 90.0


@dataclass(slots=True)
class BrainState:
    """Shared by every session; one event loop, so no locks."""

    limits: Limits
    misbehaviour: Misbehaviour
    accounts: Accounts = field(default_factory=Accounts)
    seen: Observations = field(default_factory=Observations)
    schedules: Schedules = field(default_factory=Schedules)
    online: dict[tuple[str, str | None], AgentSession] = field(default_factory=dict)
    """Sessions that have their hello_ack, by agent id and worker id."""
    _connects: dict[str, deque[float]] = field(default_factory=dict)

    def admits(self, address: str) -> bool:
        """Count a connect from this address; False once it had too many within a minute."""
        now = time.monotonic()
        recent = self._connects.setdefault(address, deque())
        while recent and now - recent[0] > 60.0:
            recent.popleft()
        recent.append(now)
        return len(recent) <= self.limits.connects_per_minute

    def has_room_for(self, agent: Credentials, worker_id: str | None) -> bool:
        """Whether one more worker fits on this agent; one that replaces another always does."""
        workers = [worker for agent_id, worker in self.online if agent_id == agent.agent_id]
        return worker_id in workers or len(workers) < self.limits.workers_per_agent
