"""HTTP answers as data: odd ones are read as far as they make sense, and never raise."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from z4j_probes.http_response import Answer, http_date, parse_answer
from z4j_probes.redact import Redactor

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("Tue, 24 Nov 2026 12:00:00 GMT", NOON),
        ("Tuesday, 24-Nov-26 12:00:00 GMT", NOON),
        ("Tue Nov 24 12:00:00 2026", NOON),
        ("Tue, 24 Nov 26 12:00:00 GMT", NOON),
        ("Tue, 24 Nov 2026 12:00 GMT", NOON),
        ("Tue, 24 Noon 2026 12:00:00 GMT", None),
        ("Tue, 31 Nov 2026 12:00:00 GMT", None),
        ("Tue, 24 Nov 2026 13:00:00 +0100", NOON),
        ("Tue, 24 Nov 2026 12:00:00 -0000", NOON),
        ("Tue, 24 Nov 2026 12:00:00", NOON),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2024 00:00:00 +9999999999", None),
        ("Fri, 31 Dec 9999 23:59:59 -2300", None),
        ("yesterday", None),
        ("0", None),
        ("", None),
    ],
)
def test_a_date_is_a_moment_or_none(value: str, moment: datetime | None) -> None:
    assert http_date(value) == moment


@pytest.mark.parametrize(
    ("length", "missing"),
    [("5", 3), ("2", 0), ("1", 0), ("9" * 18, 10**18 - 3), ("9" * 5000, None), ("-1", None), ("²", None)],
)
def test_a_length_says_how_much_is_to_come(length: str, missing: int | None) -> None:
    assert Answer("1.1", 200, "OK", {"content-length": length}, b"ab").body_missing == missing


def chunked(body: bytes) -> Answer:
    return Answer("1.1", 400, "", {"transfer-encoding": "chunked"}, body)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n", "hello world"),
        (b"5\r\nhello\r\nA\r\n wor", "hello wor"),
        (b"5\r\nhello\r\n1", "hello"),
        (b"not chunked at all", "not chunked at all"),
        (b"", ""),
    ],
)
def test_chunks_are_joined_as_far_as_they_arrived(body: bytes, text: str) -> None:
    assert chunked(body).text == text


def test_a_secret_that_a_chunk_parts_is_not_shown() -> None:
    found = chunked(b"c\r\nyou sent tok\r\n8\r\nen-abcde\r\n0\r\n\r\n").evidence(
        Redactor(["token-abcde"]), now=NOON
    )
    assert found["body"] == "you sent [redacted]"


@pytest.mark.parametrize("length", ["", "500"])
def test_half_a_secret_whose_rest_has_not_arrived_is_not_shown(length: str) -> None:
    answer = Answer("1.1", 400, "", {"content-length": length}, b"you sent token-ab")
    assert answer.evidence(Redactor(["token-abcde"]), now=NOON)["body"] == "you sent [redacted]"


@pytest.mark.parametrize(
    "line", [b"Date: Mon, 01 Jan 99999999999 00:00:00 GMT", b"Content-Length: " + b"9" * 5000]
)
def test_an_odd_header_is_no_reason_to_lose_the_evidence(line: bytes) -> None:
    answer = parse_answer(b"HTTP/1.1 403 Forbidden\r\nServer: odd\r\n" + line + b"\r\n\r\nno")
    assert answer is not None
    assert answer.body_missing is None
    found = answer.evidence(Redactor([]), now=NOON)
    assert (found["status"], found["server"], found["body"]) == (403, "odd", "no")
    assert "clock_offset_s" not in found
