"""The worker's own schedules at a dev brain: who is asked for them, and what its page shows."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from z4j_probes.protocol import Hello
from z4j_probes.protocol.schedules import RUNTIME_FEATURE, Stream, configuration, source_scope
from z4j_probes.protocol.snapshots import SnapshotReader

STABLE = "external_schedule_stable_snapshot_v1"


@dataclass(slots=True)
class Owner:
    """One owner of schedules. `worker_id` is whom they are asked of, while `is_active`."""

    stream_id: str
    page: SnapshotReader = field(default_factory=SnapshotReader)
    stream: Stream | None = None
    worker_id: str | None = None
    is_active: bool = False


@dataclass(slots=True)
class Schedules:
    """All owners of a brain; they outlive connections."""

    owners: dict[str, Owner] = field(default_factory=dict)
    _epochs: int = 0

    @property
    def rows(self) -> dict[str, Mapping[str, Any]]:
        """What the page shows, by name."""
        return {row["name"]: row for owner in self.owners.values() for row in owner.page.rows.values()}

    def introduced(self, hello: Hello) -> Iterator[dict[str, Any]]:
        """The parameters of an activation for each owner of this hello that has no active session."""
        for name in hello.schedulers if RUNTIME_FEATURE in hello.runtime_features else ():
            if STABLE not in (hello.capabilities or {}).get(name, ()):
                continue
            owner = self.owners.setdefault(name, Owner(str(uuid.uuid4())))
            if owner.is_active and owner.worker_id != hello.worker_id:
                continue
            self._epochs += 1
            owner.stream = Stream(
                name, source_scope(name), owner.stream_id, str(uuid.uuid4()), self._epochs, str(uuid.uuid4())
            )
            owner.page.activate(owner.stream)
            owner.worker_id, owner.is_active = hello.worker_id, True
            yield {"scheduler": name, "stable_source": True, **owner.stream.ids}

    def left(self, worker_id: str | None) -> None:
        """A session is over. No other one is activated for that."""
        for owner in self.owners.values():
            if owner.worker_id == worker_id:
                owner.is_active = False

    def accept(self, event: Mapping[str, Any]) -> bool | None:
        """One `schedule.snapshot`: taken, rejected, or (None) not acknowledged."""
        owner = self.owners.get(str(event.get("engine")))
        return False if owner is None else owner.page.accept(event)

    def trigger(self, name: str) -> tuple[Owner, dict[str, Any]]:
        """Whom to ask, and the parameters, to run a schedule of the page now; LookupError."""
        for owner in self.owners.values():
            for key, row in owner.page.rows.items():
                if row["name"] == name and owner.stream is not None:
                    asked = {
                        "operation_id": str(uuid.uuid4()),
                        "operation": "trigger",
                        "schedule_id": key,
                        "definition": {},
                        "expected": dict(row),
                        "expected_accepted_sequence": owner.page.sequence,
                    }
                    return owner, {"scheduler": owner.stream.owner, **owner.stream.ids, **asked}
        raise LookupError(f"the page shows no schedule {name}")

    def confirms(self, owner: Owner, asked: Mapping[str, Any], result: Mapping[str, Any]) -> bool:
        """Whether a result agrees with what the page shows now, as a real brain wants it: else it stays
        unconfirmed."""
        row = owner.page.rows.get(asked["schedule_id"])
        return (
            row is not None
            and result.get("operation_id") == asked["operation_id"]
            and result.get("source_key") == asked["schedule_id"]
            and result.get("observed_configuration") == configuration(row)
            and result.get("sequence", 0) > asked["expected_accepted_sequence"]
        )
