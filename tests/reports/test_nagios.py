"""The plug-in's output, read as monitoring systems read it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pytest

from tests.support.reports import expired_certificate, green, hostile, report, several_causes, skipped, warned
from z4j_fastapi.reports import exit_status
from z4j_fastapi.reports.nagios import CRITICAL, OK, UNKNOWN, WARNING, render
from z4j_probes import Report

# 'label'=value[unit];[warn];[crit];[min];[max] of the plug-in guidelines
_VALUE = re.compile(r"(?P<label>[^\s='|]+)=(?P<value>-?\d+(\.\d+)?)(?P<unit>s|%|[KMGT]?B|c)?(;[^;\s]*){0,4}")


@dataclass(frozen=True)
class Output:
    """What a monitoring system makes of a plug-in's output."""

    status: str
    text: str
    performance: dict[str, str]
    long: list[str]


def read(output: str) -> Output:
    first, *long = output.rstrip("\n").split("\n")
    headline, bar, performance = first.partition("|")
    assert bar
    assert not any("|" in line for line in long), "performance data would begin there"
    found = [_VALUE.fullmatch(value) for value in performance.split()]
    assert all(found)
    word = headline.split()[1]
    values = {match["label"]: match["value"] + (match["unit"] or "") for match in found if match}
    return Output(word, headline.strip(), values, long)


@pytest.mark.parametrize(
    ("made", "word", "status"),
    [
        (green(), "OK", OK),
        (warned(), "WARNING", WARNING),
        (replace(warned(), strict=True), "CRITICAL", CRITICAL),
        (expired_certificate(), "CRITICAL", CRITICAL),
        (replace(green(), interrupted=True), "UNKNOWN", UNKNOWN),
        (replace(expired_certificate(), interrupted=True), "CRITICAL", CRITICAL),
        (hostile(), "CRITICAL", CRITICAL),
    ],
)
def test_a_verdict_has_its_word_and_its_status(made: Report, word: str, status: int) -> None:
    assert read(render(made)).status == word
    assert exit_status("nagios", made) == status


def test_the_first_line_names_the_failure() -> None:
    assert read(render(expired_certificate())).text == (
        "Z4J CRITICAL - tls.expired: the certificate of brain.example expired 3 days ago (2026-11-20) "
        "(1 failed, 4 passed, 3 not run)"
    )


def test_durations_and_counts_are_performance_data() -> None:
    performance = read(render(expired_certificate())).performance

    assert performance["time"] == "0.1842s"
    assert performance["tls"] == "0.0410s"
    assert performance["fail"] == "1"
    assert "auth" not in performance, "it was not run"


def test_the_long_output_has_a_line_for_each_probe_and_what_to_do() -> None:
    long = read(render(expired_certificate())).long

    assert "[OK] dns: in order" in long
    assert "[not run] auth: tls failed" in long
    assert any(line.startswith("  fix: Renew it on the brain's proxy") for line in long)


def test_each_of_several_causes_has_a_line_with_its_fix() -> None:
    fixes = [line for line in render(several_causes()).splitlines() if line.startswith("  fix: ")]
    assert fixes == [
        "  fix: Copy it from the brain's dashboard: `read -rs Z4J_HMAC_SECRET`",
        "  fix: Set Z4J_BRAIN_URL to the address of the dashboard",
        "  fix: Rename Z4J_PROJECT to Z4J_PROJECT_ID",
    ]


def test_a_peer_that_talks_much_leaves_room_for_the_numbers() -> None:
    first = render(expired_certificate(message="x" * 9000)).split("\n", 1)[0]

    assert len(first) < 1024


def test_nothing_but_skipped_rows_is_still_one_line_that_parses() -> None:
    assert read(render(report(skipped("dns", "excluded by --skip")))).text.endswith("(1 not run)")
