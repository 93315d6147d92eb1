"""Metrics, read by both parsers: OpenMetrics' and the older one of the textfile collector."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from prometheus_client import parser as classic
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics

from tests.support.reports import expired_certificate, green, hostile, warned
from z4j_fastapi.reports.openmetrics import render
from z4j_fastapi.reports.text import printable
from z4j_probes import Report

Parse = Callable[[str], Iterable[Metric]]
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]
BOTH = pytest.mark.parametrize(
    "parse", [openmetrics.text_string_to_metric_families, classic.text_string_to_metric_families]
)


def series(parse: Parse, report: Report) -> Series:
    """Every sample by its name and labels, those of the owner left out."""
    families = list(parse(render(report)))
    assert {family.type for family in families} == {"gauge"}
    assert all(family.documentation for family in families)
    samples = [sample for family in families for sample in family.samples]
    assert not any(sample.timestamp for sample in samples), "the textfile collector refuses timestamps"
    owner = {"brain", "project", "agent", "user", "home", "host"}
    assert all(owner <= sample.labels.keys() for sample in samples)
    found: Series = {}
    for sample in samples:
        key = sample.name, frozenset((k, v) for k, v in sample.labels.items() if k not in owner)
        assert key not in found
        found[key] = sample.value
    return found


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return f"z4j_doctor_{name}", frozenset(labels.items())


@BOTH
def test_a_red_report(parse: Parse) -> None:
    found = series(parse, expired_certificate())

    assert found[key("ok")] == 0
    assert found[key("run_timestamp_seconds")] == 1795464000
    assert found[key("run_duration_seconds")] == 0.18424
    assert found[key("probes", status="skip")] == 3
    assert found[key("probe_ok", probe="tls")] == 0
    assert found[key("probe_status", probe="tls", status="fail", code="tls.expired")] == 1
    assert found[key("probe_duration_seconds", probe="tls")] == 0.041
    assert key("probe_ok", probe="auth") not in found, "it was not run"


@BOTH
def test_a_green_report(parse: Parse) -> None:
    found = series(parse, green())

    assert found[key("ok")] == 1
    assert found[key("version", version="0.1.0")] == 1
    assert found[key("probe_status", probe="dns", status="pass", code="dns.ok")] == 1


@BOTH
def test_a_warning_is_red_only_where_the_run_is_strict(parse: Parse) -> None:
    assert series(parse, warned())[key("ok")] == 1
    assert series(parse, replace(warned(), strict=True))[key("ok")] == 0


@BOTH
def test_an_interrupted_run_is_not_ok(parse: Parse) -> None:
    assert series(parse, replace(green(), interrupted=True))[key("ok")] == 0


@BOTH
def test_labels_hold_whatever_a_person_wrote(parse: Parse) -> None:
    report = hostile()
    samples = [sample for family in parse(render(report)) for sample in family.samples]

    assert samples[0].labels["agent"] == printable(report.config["agent_name"])


def test_the_end_is_marked() -> None:
    assert render(hostile()).endswith("\n# EOF\n")


@BOTH
def test_two_services_of_one_host_have_no_series_in_common(parse: Parse) -> None:
    one = green()
    others = [
        replace(one, labels={"service": "other"}),
        replace(one, config={**one.config, "user": "other (uid 1001)"}),
        replace(one, config={**one.config, "home": "/var/lib/other"}),
        replace(one, host="web-2.example"),
    ]
    mine = {(s.name, frozenset(s.labels.items())) for f in parse(render(one)) for s in f.samples}
    for other in others:
        theirs = {(s.name, frozenset(s.labels.items())) for f in parse(render(other)) for s in f.samples}
        assert mine.isdisjoint(theirs)


def test_a_dynamic_user_has_the_same_series_after_a_restart() -> None:
    first, second = (
        replace(green(), config={**green().config, "user": f"shop (uid {uid})"}) for uid in (61_184, 65_000)
    )
    assert render(first) == render(second)


def test_what_a_metric_means_is_said_in_the_same_words_by_all_versions() -> None:
    # two services of one host may have two versions: the textfile collector refuses two texts of one family
    text = render(expired_certificate())
    assert dict(re.findall("^# HELP z4j_doctor_(\\w+) (.*)", text, flags=re.MULTILINE)) == {
        "ok": "Whether nothing failed in the last run of the doctor.",
        "run_timestamp_seconds": "When the last run began, in seconds since 1970: alert on its age too.",
        "run_duration_seconds": "What the last run took.",
        "version": "1, labeled with the version of z4j-fastapi.",
        "probes": "How many probes ended with this status.",
        "probe_ok": "0 for a probe that failed, 1 for one that passed or warned; none for one that was not "
        "run.",
        "probe_status": "1, labeled with the status of the probe (pass, warn, fail, skip) and the code of "
        "its outcome.",
        "probe_duration_seconds": "What the probe took; none for one that was not run.",
    }
