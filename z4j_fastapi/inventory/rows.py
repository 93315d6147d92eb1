"""AgentRow: what an agent process says of itself in its status file, judged.

Another user may have written the file, and another version of this package: what has a wrong type counts as
not said.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from z4j_probes import Status
from z4j_probes.portable import user

_FORMAT = "z4j.agent/"
# An agent whose batches nothing acknowledges for so long is online in name only.
UNACKNOWLEDGED_S = 60.0
MAX_TEXT = 1000
MAX_NUMBER = 2**64


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file that settings came from, and which version of it was read: by place on the disk and time."""

    setting: str
    path: str
    device: int
    inode: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class AgentRow:
    """One agent process that holds a slot. Names and units are those of `AgentStatus`.

    `slot` is None for an agent without files. They are in `directory`, below `state_directory`, by paths from
    here. `pid` is its number here, `pid_inside` the one that it has in a container, if it is another one.
    """

    pid: int
    slot: int | None
    state: str
    state_directory: str = ""
    directory: str = ""
    user: str = ""
    unit: str = ""
    pid_inside: int | None = None
    role: str = ""
    framework: str = ""
    agent_name: str = ""
    project_id: str = ""
    brain_url: str = ""
    version: str = ""
    worker_id: str = ""
    code: str = ""
    reason: str = ""
    since: datetime | None = None
    next_attempt_at: datetime | None = None
    buffered: int = 0
    dropped: int = 0
    missed: int = 0
    rejected: int = 0
    not_durable: int = 0
    set_aside: int = 0
    acknowledged: int = 0
    last_acknowledged_at: datetime | None = None
    unacknowledged_s: float = 0.0
    buffer_fault: str = ""
    brain_version: str = ""
    commands: Mapping[str, int] = field(default_factory=dict)
    reconnects: Mapping[str, int] = field(default_factory=dict)
    latency_bounds: tuple[float, ...] = ()
    latency_counts: tuple[int, ...] = ()
    latency_sum_s: float = 0.0
    files: tuple[ReadFile, ...] = ()
    started_at: datetime | None = None
    written_at: datetime | None = None

    @classmethod
    def parse(cls, document: Mapping[str, Any], slot: int | None) -> AgentRow | None:
        """The row of a status file's content; None for what no agent has written."""
        said = _Said(document)
        if not said.text("format").startswith(_FORMAT) or not said.text("state") or said.count("pid") < 1:
            return None
        latency = _Said(document.get("latency"))
        bounds, counts = latency.numbers("bounds"), latency.numbers("counts")
        if not _is_histogram(bounds, counts):
            bounds = counts = ()
        return cls(
            pid=said.count("pid"),
            slot=slot,
            state=said.text("state"),
            role=said.text("role"),
            framework=said.text("framework"),
            agent_name=said.text("agent_name"),
            project_id=said.text("project_id"),
            brain_url=said.text("brain_url"),
            version=said.text("version"),
            worker_id=said.text("worker_id"),
            code=said.text("code"),
            reason=said.text("reason"),
            since=said.moment("since"),
            next_attempt_at=said.moment("next_attempt_at"),
            buffered=said.count("buffered"),
            dropped=said.count("dropped"),
            missed=said.count("missed"),
            rejected=said.count("rejected"),
            not_durable=said.count("not_durable"),
            set_aside=said.count("set_aside"),
            acknowledged=said.count("acknowledged"),
            last_acknowledged_at=said.moment("last_acknowledged_at"),
            unacknowledged_s=said.number("unacknowledged_s"),
            buffer_fault=said.text("buffer_fault"),
            brain_version=said.text("brain_version"),
            commands=said.counts("commands"),
            reconnects=said.counts("reconnects"),
            latency_bounds=bounds,
            latency_counts=tuple(int(count) for count in counts),
            latency_sum_s=latency.number("sum_s"),
            files=said.files(),
            started_at=said.moment("started_at"),
            written_at=said.moment("written_at"),
        )

    @property
    def verdict(self) -> Status:
        """Whether it delivers: FAIL where it does not, WARN where a person should look."""
        is_stalled = self.unacknowledged_s >= UNACKNOWLEDGED_S
        if self.state in ("offline", "disabled") or self.buffer_fault or is_stalled:
            return Status.FAIL
        return Status.WARN if self.state != "online" or self.code or self.set_aside else Status.PASS

    @property
    def service(self) -> str:
        """What a person calls it: its systemd unit, else the agent's name."""
        return self.unit.removesuffix(".service") or self.agent_name

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        shown = asdict(self)
        del shown["latency_bounds"], shown["latency_counts"], shown["latency_sum_s"]
        moments = {name: value for name, value in shown.items() if isinstance(value, datetime)}
        shown |= {name: moment.isoformat(timespec="seconds") for name, moment in moments.items()}
        shown["files"] = [{"setting": file.setting, "path": file.path} for file in self.files]
        return {**shown, "service": self.service, "verdict": self.verdict.value}


def user_name(uid: int) -> str:
    """The user's name; the number of one that has none."""
    return user.name_of(uid) or f"uid {uid}"


class _Said:
    """A JSON object of unknown origin, read by name and type."""

    def __init__(self, document: object) -> None:
        self._document: Mapping[str, Any] = document if isinstance(document, Mapping) else {}

    def text(self, name: str) -> str:
        value = self._document.get(name)
        return value[:MAX_TEXT] if isinstance(value, str) else ""

    def number(self, name: str) -> float:
        return _number(self._document.get(name))

    def count(self, name: str) -> int:
        return int(self.number(name))

    def numbers(self, name: str) -> tuple[float, ...]:
        values = self._document.get(name)
        return tuple(_number(value) for value in values) if isinstance(values, list) else ()

    def counts(self, name: str) -> dict[str, int]:
        values = self._document.get(name)
        known = values.items() if isinstance(values, dict) else ()
        # two names that look the same in a metric would be one series twice, for which all of it is refused
        return {
            key: int(_number(value)) for key, value in known if key.isprintable() and len(key) <= MAX_TEXT
        }

    def moment(self, name: str) -> datetime | None:
        with contextlib.suppress(ValueError, OverflowError):
            moment = datetime.fromisoformat(self.text(name))
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        return None

    def files(self) -> tuple[ReadFile, ...]:
        values = self._document.get("files")
        said = [_Said(value) for value in values] if isinstance(values, list) else []
        return tuple(
            ReadFile(
                one.text("setting"),
                one.text("path"),
                one.count("device"),
                one.count("inode"),
                one.count("mtime_ns"),
            )
            for one in said
        )


def _is_histogram(bounds: Sequence[float], counts: Sequence[float]) -> bool:
    """Whether collectors take it: bounds that rise, and one count more, of which none falls."""
    return (
        len(counts) == len(bounds) + 1
        and all(lower < upper for lower, upper in pairwise(bounds))
        and all(fewer <= more for fewer, more in pairwise(counts))
    )


def _number(value: object) -> float:
    """A number that is not negative, and not larger than the kernel's; an int stays one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_NUMBER:
        return 0
    return value
