"""What a probe found, and what a whole climb found: frozen data, ready for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Self

SCHEMA = "z4j.doctor/1"
# A headline fits on a terminal of 80 columns, behind the name of its probe.
ROW_WIDTH = 60


class Status(StrEnum):
    """The verdict of one probe."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: `text` says it, an imperative without a period; `command` does it.

    A command is one complete shell command that can be pasted as it stands, on one line, without prose;
    empty where there is none.
    """

    text: str
    command: str = ""

    def __str__(self) -> str:
        if not self.command:
            return self.text
        return f"{self.text}: `{self.command}`" if self.text else f"`{self.command}`"


Advice = str | Step | Iterable[Step]
"""What to do, as it may be given: steps in order, or a sentence, which is one step without a command."""


def as_steps(advice: Advice) -> tuple[Step, ...]:
    """The steps of an advice; none for an empty text. TypeError for what is neither text nor steps."""
    if isinstance(advice, str):
        return (Step(advice),) if advice else ()
    steps = (advice,) if isinstance(advice, Step) else tuple(advice)
    if not all(isinstance(step, Step) for step in steps):
        raise TypeError(f"advice is a text or Steps, not {advice!r}")
    return steps


def in_one_line(steps: Iterable[Step]) -> str:
    """The steps as sentences of one text, each command behind a colon and between backticks."""
    texts = [str(step) for step in steps]
    ended = [text if text.endswith((".", "!", "?")) else f"{text}." for text in texts[:-1]]
    return " ".join([*ended, *texts[-1:]])


class Cause(NamedTuple):
    """One of several things that are wrong at once: its own code, severity, message, and steps."""

    code: str
    status: Status
    message: str
    steps: tuple[Step, ...]

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The cause that `to_dict` made this document of."""
        steps = tuple(Step(step["text"], step["command"]) for step in document["steps"])
        return cls(document["code"], Status(document["status"]), document["message"], steps)

    def to_dict(self) -> dict[str, Any]:
        """This cause as one element of a result's `causes`."""
        steps = [asdict(step) for step in self.steps]
        return {"code": self.code, "status": self.status.value, "message": self.message, "steps": steps}


@dataclass(frozen=True, slots=True, init=False)
class ProbeResult:
    """One rung's answer.

    `code` starts with the probe's name and is public API. `message` says what was seen, `steps` what to do
    about it (empty where nothing is to be done), `details` is the evidence, JSON values only. `headline` is
    what a table's row says: short, with the name, date or number that tells most; empty where `message` is
    short itself. `causes` is empty unless several things are wrong at once: then it has each of them, the one
    to fix first at its beginning, while `code` is that one's, and `message` and `steps` are of all.
    """

    name: str
    status: Status
    code: str
    message: str
    steps: tuple[Step, ...]
    duration_ms: float
    details: Mapping[str, Any]
    headline: str
    causes: tuple[Cause, ...]

    def __init__(
        self,
        name: str,
        status: Status,
        code: str,
        message: str,
        hint: Advice | None = None,
        duration_ms: float = 0.0,
        details: Mapping[str, Any] | None = None,
        *,
        steps: Iterable[Step] = (),
        headline: str = "",
        causes: Iterable[Cause] = (),
    ) -> None:
        """`hint` is what to do, as a text or as steps; where it is given, it replaces `steps`."""
        values = {
            "name": name,
            "status": status,
            "code": code,
            "message": message,
            "steps": as_steps(steps if hint is None else hint),
            "duration_ms": duration_ms,
            "details": {} if details is None else details,
            "headline": headline,
            "causes": tuple(causes),
        }
        for field_name, value in values.items():
            object.__setattr__(self, field_name, value)

    @property
    def hint(self) -> str:
        """The steps as one text, for logs and for readers of JSON that do not know `steps`."""
        return in_one_line(self.steps)

    @property
    def ok(self) -> bool:
        """False only for a failure: a warning and a skipped probe are not failures."""
        return self.status is not Status.FAIL

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Self:
        """The result that `to_dict`, of this version or an older one, made this element of."""
        fields = {name: row[name] for name in ("name", "code", "message", "duration_ms", "details")}
        known = row.get("steps")
        advice = row["hint"] if known is None else [Step(step["text"], step["command"]) for step in known]
        headline = row.get("headline", "")
        causes = map(Cause.from_dict, row.get("causes", ()))
        return cls(status=Status(row["status"]), hint=advice, headline=headline, causes=causes, **fields)

    def to_dict(self) -> dict[str, Any]:
        """This result as one element of the report's `probes`."""
        return {
            "name": self.name,
            "status": self.status.value,
            "ok": self.ok,
            "code": self.code,
            "headline": self.headline,
            "message": self.message,
            "hint": self.hint,
            "steps": [asdict(step) for step in self.steps],
            "causes": [cause.to_dict() for cause in self.causes],
            "duration_ms": round(self.duration_ms, 1),
            "details": dict(self.details),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """A whole climb: one result per registered probe, in the ladder's order.

    `config` describes the settings with their sources and without their secrets. With `strict`,
    warnings make the report red too. `interrupted` marks a climb that was stopped before its end, while the
    probe `waiting` had not answered; the process then ends with `interrupted_status`: 130 after Ctrl-C, 143
    after SIGTERM, 1 where its deadline has passed. `host` is the machine's name, `labels` what its owner
    calls the service; both are empty in documents of older versions.
    """

    version: str
    started_at: datetime
    duration_ms: float
    config: Mapping[str, Any]
    results: tuple[ProbeResult, ...]
    strict: bool = False
    interrupted: bool = False
    host: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    waiting: str | None = None
    interrupted_status: int = 130

    @property
    def ok(self) -> bool:
        """True where nothing failed (with `strict`: and nothing warned)."""
        return self.exit_code == 0

    @property
    def exit_code(self) -> int:
        """The doctor's exit status for this report: 0, 1, or that of an interrupted climb."""
        if self.interrupted:
            return self.interrupted_status
        bad = {Status.FAIL, Status.WARN} if self.strict else {Status.FAIL}
        return int(any(result.status in bad for result in self.results))

    @property
    def summary(self) -> dict[str, int]:
        """How many probes ended with each status."""
        return {s.value: sum(r.status is s for r in self.results) for s in Status}

    @property
    def first_failure(self) -> ProbeResult | None:
        """The lowest rung that failed: what to fix first."""
        return next((r for r in self.results if r.status is Status.FAIL), None)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The report that `to_dict` made this document of."""
        return cls(
            version=document["version"],
            started_at=datetime.fromisoformat(document["started_at"]),
            duration_ms=document["duration_ms"],
            config=document["config"],
            results=tuple(ProbeResult.from_dict(row) for row in document["probes"]),
            strict=document["strict"],
            interrupted=document["interrupted"],
            host=document.get("host", ""),
            labels=document.get("labels", {}),
            waiting=document.get("waiting"),
            interrupted_status=document["exit_code"] if document["interrupted"] else 130,
        )

    def to_dict(self) -> dict[str, Any]:
        """The document of schema `z4j.doctor/1`."""
        first = self.first_failure
        started = self.started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {
            "schema": SCHEMA,
            "ok": self.ok,
            "exit_code": self.exit_code,
            "version": self.version,
            "host": self.host,
            "labels": dict(self.labels),
            "started_at": started,
            "duration_ms": round(self.duration_ms, 1),
            "strict": self.strict,
            "interrupted": self.interrupted,
            "waiting": self.waiting,
            "config": dict(self.config),
            "summary": self.summary,
            "first_failure": first.code if first else None,
            "probes": [result.to_dict() for result in self.results],
        }
