"""The JSON document and its schema."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.support import schemas
from tests.support.cli import document
from tests.support.reports import expired_certificate, green, several_causes
from z4j_fastapi.reports.json import render, render_line


@pytest.mark.parametrize("name", schemas.NAMES)
def test_each_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schemas.schema(name))


def test_reports_are_valid() -> None:
    for report in (green(), expired_certificate(), several_causes(), replace(green(), interrupted=True)):
        document(render(report))
        document(render_line(report))


def test_a_stream_has_one_document_a_line() -> None:
    assert render_line(green()).count("\n") == 1


def test_what_no_locale_can_encode_is_escaped() -> None:
    text = render(expired_certificate(message="caf\u00e9 \udcff"))

    assert text.isascii()
    assert json.loads(text)["probes"][4]["message"] == "caf\u00e9 \udcff"


@pytest.mark.parametrize(
    "lie",
    [
        {"ok": True},
        {"exit_code": 2},
        {"first_failure": "no code"},
        {"schema": "z4j.doctor/2"},
        {"probes": []},
    ],
)
def test_the_schema_refuses_a_document_that_contradicts_itself(lie: dict[str, object]) -> None:
    report = expired_certificate().to_dict() | lie

    with pytest.raises(jsonschema.ValidationError):
        document(json.dumps(report))
