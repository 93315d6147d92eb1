"""Agents as metrics, for Prometheus: the text of `/z4j/metrics` and of `status --format openmetrics`.

OpenMetrics 1.0, or Prometheus' older text format, which differ in the names that describe counters. Names and
help texts never change: a collector that reads several versions at once refuses two texts for one name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from z4j_fastapi.inventory.rows import AgentRow

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """A value; `suffix` follows the family's name: "_total", "_bucket", "_count", "_sum"."""

    labels: Labels
    value: float
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """The samples of one name; `kind` is gauge, counter or histogram."""

    name: str
    kind: str
    help: str
    samples: tuple[Sample, ...]


def families(rows: Sequence[AgentRow], now: datetime | None = None) -> list[Family]:
    """What the rows say, without families that have no sample."""
    now = now or datetime.now(UTC)
    owned = [(_owner(row), row) for row in rows]
    return [family for family in _families(owned, now) if family.samples]


def kinds() -> list[tuple[str, str, str]]:
    """Name, kind and help text of each family that there may be."""
    return [(family.name, family.kind, family.help) for family in _families((), datetime.now(UTC))]


def render(rows: Sequence[AgentRow], *, openmetrics: bool = True) -> str:
    """The exposition of all rows."""
    lines = []
    for family in families(rows):
        total = "" if openmetrics or family.kind != "counter" else "_total"
        lines += [
            f"# HELP {family.name}{total} {family.help}",
            f"# TYPE {family.name}{total} {family.kind}",
        ]
        lines += [
            f"{family.name}{sample.suffix}{_in_braces(sample.labels)} {_written(sample.value)}"
            for sample in family.samples
        ]
    return "".join(f"{line}\n" for line in lines) + ("# EOF\n" if openmetrics else "")


def _families(owned: Sequence[tuple[Labels, AgentRow]], now: datetime) -> Iterator[Family]:
    def gauge(name: str, text: str, samples: Iterable[Sample]) -> Family:
        return Family(f"z4j_agent_{name}", "gauge", text, tuple(samples))

    def counter(name: str, text: str, samples: Iterable[Sample]) -> Family:
        return Family(f"z4j_agent_{name}", "counter", text, tuple(samples))

    def each(label: str, counts: Mapping[str, int], owner: Labels, suffix: str = "_total") -> list[Sample]:
        return [Sample({**owner, label: name}, count, suffix) for name, count in sorted(counts.items())]

    yield gauge(
        "info",
        "1, labeled with versions, role, process, and worker id of the agent.",
        (Sample({**owner, **_facts(row)}, 1) for owner, row in owned),
    )
    yield gauge(
        "online",
        "Whether the agent is in session with the brain.",
        (Sample(owner, row.state == "online") for owner, row in owned),
    )
    yield gauge(
        "state",
        "1, labeled with the state of the agent and the code of what is wrong, if anything is.",
        (Sample({**owner, "state": row.state, "code": row.code}, 1) for owner, row in owned),
    )
    yield gauge(
        "state_since_timestamp_seconds",
        "Since when the agent is in its state, in seconds since 1970.",
        (Sample(owner, row.since.timestamp()) for owner, row in owned if row.since),
    )
    yield gauge(
        "next_attempt_seconds",
        "Seconds until the agent tries to connect again; none while it is online or tries.",
        (
            Sample(owner, max(0.0, (row.next_attempt_at - now).total_seconds()))
            for owner, row in owned
            if row.next_attempt_at
        ),
    )
    yield gauge(
        "buffered_events",
        "Events that no brain has acknowledged yet.",
        (Sample(owner, row.buffered) for owner, row in owned),
    )
    yield gauge(
        "set_aside_events",
        "Events that no brain takes, in the file that all processes of the service share.",
        (Sample(owner, row.set_aside) for owner, row in owned),
    )
    yield gauge(
        "buffer_fault",
        "1 while the disk takes no events, labeled with the code of the reason; else 0.",
        (Sample({**owner, "code": row.buffer_fault}, bool(row.buffer_fault)) for owner, row in owned),
    )
    yield gauge(
        "unacknowledged_seconds",
        "For how long the brain has acknowledged none of the batches that were sent to it.",
        (Sample(owner, row.unacknowledged_s) for owner, row in owned),
    )
    yield gauge(
        "last_acknowledgement_timestamp_seconds",
        "When the brain acknowledged a batch the last time, in seconds since 1970.",
        (
            Sample(owner, row.last_acknowledged_at.timestamp())
            for owner, row in owned
            if row.last_acknowledged_at
        ),
    )
    yield counter(
        "events",
        "Events that left the buffer, by outcome: acknowledged, or rejected as known to the brain.",
        (sample for owner, row in owned for sample in each("outcome", _outcomes(row), owner)),
    )
    yield counter(
        "dropped_events",
        "Events that were lost, by reason: buffer (its bounds or its disk), or no_buffer (none was open).",
        (sample for owner, row in owned for sample in each("reason", _losses(row), owner)),
    )
    yield counter(
        "not_durable_events",
        "Events that were in memory only when they were taken.",
        (Sample(owner, row.not_durable, "_total") for owner, row in owned),
    )
    yield counter(
        "reconnects",
        "Lost sessions and failed attempts to connect, by code.",
        (sample for owner, row in owned for sample in each("code", row.reconnects, owner)),
    )
    yield counter(
        "commands",
        "What the brain asked, by how it ended, and by code where it was not done.",
        (sample for owner, row in owned for sample in each("outcome", row.commands, owner)),
    )
    yield Family(
        "z4j_agent_acknowledgement_seconds",
        "histogram",
        "How long the brain took to acknowledge a batch.",
        tuple(sample for owner, row in owned for sample in _histogram(owner, row)),
    )


def _owner(row: AgentRow) -> Labels:
    """What tells one series from all others of a host, whatever collects them."""
    return {
        "brain": row.brain_url,
        "project": row.project_id,
        "agent": row.agent_name,
        "user": row.user,
        "directory": row.directory,
        "slot": "memory" if row.slot is None else str(row.slot),
    }


def _facts(row: AgentRow) -> Labels:
    return {
        "version": row.version,
        "brain_version": row.brain_version,
        "role": row.role,
        "pid": str(row.pid),
        "worker_id": row.worker_id,
        "unit": row.unit,
    }


def _outcomes(row: AgentRow) -> Mapping[str, int]:
    # what a brain rejects it has acknowledged, too
    return {"acknowledged": max(0, row.acknowledged - row.rejected), "rejected": row.rejected}


def _losses(row: AgentRow) -> Mapping[str, int]:
    return {"buffer": max(0, row.dropped - row.missed), "no_buffer": row.missed}


def _histogram(owner: Labels, row: AgentRow) -> Iterator[Sample]:
    if not row.latency_counts:
        return
    bounds = [*map(_written, map(float, row.latency_bounds)), "+Inf"]
    for bound, count in zip(bounds, row.latency_counts, strict=True):
        yield Sample({**owner, "le": bound}, count, "_bucket")
    yield Sample(owner, row.latency_counts[-1], "_count")
    yield Sample(owner, row.latency_sum_s, "_sum")


def _written(value: float) -> str:
    return str(int(value)) if isinstance(value, int) else repr(value)


def _in_braces(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    shown = "".join(c if c.isprintable() else "\ufffd" for c in value)
    return shown.replace("\\", "\\\\").replace('"', '\\"')
