"""The report as metrics, for Prometheus: node_exporter's textfile collector, or any scraper of OpenMetrics.

The text is valid in both formats, OpenMetrics and Prometheus' older one, which the textfile collector
reads: gauges only (the older one has no `info`), no timestamps beside samples (the collector refuses them),
and a closing `# EOF` (a comment there). Every series says whose it is, so that the files of several services
on one host do not contradict each other. HELP texts never change between versions: the collector takes a
family with two texts for an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from z4j_fastapi.reports.text import printable
from z4j_probes.result import Report, Status

Sample = tuple[Mapping[str, str], float]


_OWNER = (
    ("brain", "brain_url"),
    ("project", "project_id"),
    ("agent", "agent_name"),
    ("user", "user"),
    ("home", "home"),
)


@dataclass(frozen=True, slots=True)
class _Family:
    name: str
    help: str
    samples: tuple[Sample, ...]


def render(report: Report) -> str:
    """The exposition."""
    return render_all([report])


def render_all(reports: Iterable[Report]) -> str:
    """The exposition of many reports; of two of the same service, only the newer one is in it."""
    newest = {_labels(_owner(r)): r for r in sorted(reports, key=lambda r: r.started_at)}
    families: dict[str, list[str]] = {}
    for report in newest.values():
        owner = _owner(report)
        for family in filter(lambda family: family.samples, _families(report)):
            head = [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} gauge"]
            families.setdefault(family.name, head).extend(
                f"{family.name}{_labels(owner | dict(labels))} {float(value)!r}"
                for labels, value in family.samples
            )
    return "\n".join([*(line for lines in families.values() for line in lines), "# EOF\n"])


def _owner(report: Report) -> dict[str, str]:
    """What tells the series of two services of one host apart. They are the same in each run of a service."""
    owner = {label: str(report.config.get(key) or "") for label, key in _OWNER}
    owner["user"] = owner["user"].partition(" (uid ")[0]  # a dynamic user has another number after a restart
    return owner | {"host": report.host} | dict(report.labels)


def _families(report: Report) -> Iterator[_Family]:
    results = report.results
    ran = [result for result in results if result.status is not Status.SKIP]
    yield _family("z4j_doctor_ok", "Whether nothing failed in the last run of the doctor.", ({}, report.ok))
    yield _family(
        "z4j_doctor_run_timestamp_seconds",
        "When the last run began, in seconds since 1970: alert on its age too.",
        ({}, round(report.started_at.timestamp(), 3)),
    )
    yield _family(
        "z4j_doctor_run_duration_seconds", "What the last run took.", ({}, _seconds(report.duration_ms))
    )
    yield _family(
        "z4j_doctor_version", "1, labeled with the version of z4j-fastapi.", ({"version": report.version}, 1)
    )
    yield _family(
        "z4j_doctor_probes",
        "How many probes ended with this status.",
        *(({"status": status}, count) for status, count in report.summary.items()),
    )
    yield _family(
        "z4j_doctor_probe_ok",
        "0 for a probe that failed, 1 for one that passed or warned; none for one that was not run.",
        *(({"probe": result.name}, result.ok) for result in ran),
    )
    yield _family(
        "z4j_doctor_probe_status",
        "1, labeled with the status of the probe (pass, warn, fail, skip) and the code of its outcome.",
        *(({"probe": r.name, "status": r.status.value, "code": r.code}, 1) for r in results),
    )
    yield _family(
        "z4j_doctor_probe_duration_seconds",
        "What the probe took; none for one that was not run.",
        *(({"probe": result.name}, _seconds(result.duration_ms)) for result in ran),
    )


def _family(name: str, text: str, *samples: Sample) -> _Family:
    return _Family(name, text, samples)


def _seconds(duration_ms: float) -> float:
    return round(duration_ms / 1000, 6)


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def _escape(value: str) -> str:
    # no newline is left to be escaped: printable() has none
    return printable(value).replace("\\", "\\\\").replace('"', '\\"')
