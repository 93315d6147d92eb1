"""JUnit XML, held to the schema of the dialect that CI systems read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from tests.support.reports import EXPIRED, expired_certificate, green, hostile, several_causes, warned
from z4j_fastapi.reports.junit import render
from z4j_probes import Report

_SCHEMA = etree.XMLSchema(file=str(Path(__file__).with_name("junit.xsd")))


def document(report: Report) -> etree._Element:
    """The parsed document, valid."""
    root = etree.fromstring(render(report).encode())
    _SCHEMA.assertValid(root)
    return root


@pytest.mark.parametrize(
    "report",
    [
        green(),
        warned(),
        expired_certificate(),
        several_causes(),
        hostile(),
        replace(green(), interrupted=True),
    ],
)
def test_reports_are_valid(report: Report) -> None:
    document(report)


def test_a_probe_is_a_test_case() -> None:
    suite = document(expired_certificate())[0]

    assert [case.get("name") for case in suite.iter("testcase")] == [
        "config",
        "buffer",
        "dns",
        "tcp",
        "tls",
        "websocket",
        "auth",
        "signing",
    ]
    counted = ("tests", "failures", "errors", "skipped", "time", "timestamp")
    assert [suite.get(name) for name in counted] == ["8", "1", "0", "3", "0.184", "2026-11-23T20:00:00"]


def test_a_failure_says_what_and_why_and_what_to_do() -> None:
    failure = document(expired_certificate()).find(".//failure")

    assert failure is not None
    assert failure.get("type") == "tls.expired"
    assert failure.get("message") == f"{EXPIRED} (tls.expired)"
    assert "certbot renew" in str(failure.text)
    assert "explain tls.expired" in str(failure.text)


def test_what_was_not_run_is_skipped_with_its_reason() -> None:
    reasons = [skipped.get("message") for skipped in document(expired_certificate()).iter("skipped")]

    assert reasons == ["not run: tls failed"] * 3


def test_a_warning_is_a_failure_only_where_the_run_is_strict() -> None:
    lenient, strict = document(warned()), document(replace(warned(), strict=True))

    assert lenient.find(".//failure") is None
    assert "tcp.partial" in str(lenient.findtext(".//testcase[@name='tcp']/system-out"))
    assert strict[0].get("failures") == "1"
    assert strict.find(".//testcase[@name='tcp']/failure") is not None


def test_an_interrupted_run_can_not_pass_for_a_green_one() -> None:
    root = document(replace(green(), interrupted=True))

    assert root.find(".//testcase[@name='run']/error") is not None
    assert (root.get("tests"), root.get("errors")) == ("9", "1")


def test_evidence_is_the_output_of_its_test_case() -> None:
    output = document(expired_certificate()).findtext(".//testcase[@name='tls']/system-out")

    assert "names: brain.example, www.brain.example" in str(output)
