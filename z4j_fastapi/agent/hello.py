"""What an agent says of itself and of its service in each hello."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from z4j_fastapi.commands.offer import Offer
from z4j_probes import Settings
from z4j_probes.portable import machine
from z4j_probes.protocol import MAX_WORKER_ID_LENGTH, UNRECORDED_VERSION, Hello

# a web service that imports us loads no database by that, and no commands where it has no engine
if TYPE_CHECKING:
    from z4j_fastapi.commands.engine import Engine
    from z4j_probes.storage import LastHello

# Room that a worker id keeps for the suffix of a worker that has a double.
_SUFFIX_LENGTH = 8


class AgentProfile(NamedTuple):
    """The parts that stay the same for the life of an agent."""

    role: str = "web"
    framework: str = "fastapi"
    engines: tuple[str, ...] = ()
    schedulers: tuple[str, ...] = ()
    capabilities: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    runtime_features: tuple[str, ...] = ()

    def with_engine(self, engine: Engine | None, commands: str) -> AgentProfile:
        """The same, with what the owner lets a brain ask of this engine: nothing at all with "none"."""
        if engine is None:
            return self
        from z4j_fastapi.commands.policy import offered

        tokens = offered(engine, commands)
        if tokens is None:
            return self
        engines = (engine.name, *(name for name in self.engines if name != engine.name))
        return self._replace(engines=engines, capabilities={engine.name: tokens, **self.capabilities})

    @property
    def offer(self) -> Offer:
        """What can be asked of this process."""
        return Offer(self.engines, self.schedulers, self.capabilities)

    def with_schedules(self, owner: str, *, may_run: bool) -> AgentProfile:
        """The same, with the worker's own schedules, which a brain may then ask for."""
        from z4j_probes.protocol.schedules import RUNTIME_FEATURE, capabilities

        return self._replace(
            schedulers=(owner, *(name for name in self.schedulers if name != owner)),
            capabilities={**self.capabilities, owner: capabilities(run_now=may_run)},
            runtime_features=(RUNTIME_FEATURE,),
        )

    def hello(self, settings: Settings, worker_id: str, started_at: datetime, offer: Offer) -> Hello:
        """The hello of one climb; `offer` is that of all processes of the agent."""
        return Hello(
            agent_version=UNRECORDED_VERSION,
            worker_id=worker_id,
            worker_role=self.role,
            worker_pid=os.getpid(),
            worker_started_at=started_at,
            framework=self.framework,
            engines=offer.engines,
            schedulers=offer.schedulers,
            capabilities=offer.capabilities,
            host_name=settings.filled_agent_name,
            runtime_features=self.runtime_features,
            project=settings.project_id,
        )

    def worker_id(self, slot: int, directory: Path | None, identity: str) -> str:
        """`<host>.<role>.<slot>.<fingerprint>`, stable: every id ever sent stays on the dashboard."""
        from z4j_probes.storage import fingerprint

        tail = f".{self.role}.{slot}.{fingerprint(directory or Path(), identity)}"
        return machine.host_name()[: MAX_WORKER_ID_LENGTH - len(tail) - _SUFFIX_LENGTH] + tail


def last_hello(hello: Hello) -> LastHello:
    """What of it a doctor on this machine has to repeat."""
    from z4j_probes.storage import LastHello

    return LastHello(hello.framework, hello.engines, hello.schedulers, hello.capabilities or {})
