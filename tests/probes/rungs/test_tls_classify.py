"""Which code a failed handshake has, as a table: by what the exception says, never by its text."""

from __future__ import annotations

import errno
import ssl
from datetime import UTC, datetime

import pytest

from z4j_probes.codes import CATALOGUE
from z4j_probes.endpoint import Endpoint
from z4j_probes.rungs.tls import classify as faults
from z4j_probes.rungs.tls.handshake import Presented
from z4j_probes.trust import TrustStore


def refused(verify_code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(ssl.SSL_ERROR_SSL, "certificate verify failed")
    error.verify_code = verify_code
    return error


def failed(reason: str | None) -> ssl.SSLError:
    error = ssl.SSLError(ssl.SSL_ERROR_SSL, "the text says nothing")
    error.reason = reason  # type: ignore[assignment]
    return error


@pytest.mark.parametrize(
    ("verify_code", "code"),
    [
        (10, "tls.expired"),
        (9, "tls.not_yet_valid"),
        (18, "tls.self_signed"),
        (19, "tls.unknown_ca"),
        (20, "tls.unknown_ca"),
        (21, "tls.unknown_ca"),
        (2, "tls.unknown_ca"),
        (7, "tls.unknown_ca"),
        (62, "tls.hostname_mismatch"),
        (64, "tls.hostname_mismatch"),
        (26, "tls.wrong_purpose"),
        (79, "tls.wrong_purpose"),
        (25, "tls.wrong_purpose"),
        (34, "tls.wrong_purpose"),
        (47, "tls.wrong_purpose"),
        (53, "tls.wrong_purpose"),
        (66, "tls.weak"),
        (67, "tls.weak"),
        (68, "tls.weak"),
        (85, "tls.not_strict"),
        (86, "tls.not_strict"),
        (89, "tls.not_strict"),
        (92, "tls.not_strict"),
        (999, "tls.unexpected"),
    ],
)
def test_a_verify_code_has_its_code(verify_code: int, code: str) -> None:
    assert faults.classify(refused(verify_code)) == code


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("WRONG_VERSION_NUMBER", "tls.not_tls"),
        ("HTTP_REQUEST", "tls.not_tls"),
        ("RECORD_LAYER_FAILURE", "tls.not_tls"),
        ("UNSUPPORTED_PROTOCOL", "tls.protocol_version"),
        ("DH_KEY_TOO_SMALL", "tls.weak"),
        ("WRONG_SIGNATURE_TYPE", "tls.weak"),
        ("UNSAFE_LEGACY_RENEGOTIATION_DISABLED", "tls.weak"),
        ("UNEXPECTED_EOF_WHILE_READING", "tls.closed"),
        ("SOMETHING_NEW", "tls.unexpected"),
        (None, "tls.unexpected"),
    ],
)
def test_a_reason_of_openssl_has_its_code(reason: str | None, code: str) -> None:
    assert faults.classify(failed(reason)) == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConnectionResetError(), "tls.closed"),  # FIN after our greeting: asyncio gives it no errno
        (ConnectionResetError(errno.ECONNRESET, "reset"), "tls.closed"),
        (BrokenPipeError(errno.EPIPE, "pipe"), "tls.closed"),
        (EOFError(), "tls.closed"),
        (ssl.SSLEOFError(8, "eof"), "tls.closed"),
        (TimeoutError(), "tls.timeout"),
        (TimeoutError(errno.ETIMEDOUT, "timed out"), "tls.timeout"),
        (RuntimeError(), "tls.unexpected"),
    ],
)
def test_an_end_of_the_connection_has_its_code(error: Exception, code: str) -> None:
    assert faults.classify(error) == code


@pytest.mark.parametrize(
    ("alert", "requested", "code"),
    [
        (40, False, "tls.protocol_version"),
        (40, True, "tls.client_certificate"),
        (42, False, "tls.client_certificate"),
        (70, False, "tls.protocol_version"),
        (71, False, "tls.weak"),
        (80, False, "tls.closed"),
        (112, False, "tls.hostname_mismatch"),
        (116, False, "tls.client_certificate"),
        (120, False, "tls.protocol_version"),
        (None, True, "tls.client_certificate"),
    ],
)
def test_an_alert_has_its_code(alert: int | None, requested: bool, code: str) -> None:
    error = failed(None) if alert else ConnectionResetError()
    assert faults.classify(error, alert=alert, certificate_requested=requested) == code


def test_every_code_of_the_tables_is_in_the_catalogue() -> None:
    tables = (faults.VERIFY_CODES, faults.REASONS, faults.ALERT_CODES)
    assert {code for table in tables for code in table.values()} <= set(CATALOGUE)


@pytest.mark.parametrize(
    ("answer", "moment"),
    [
        (
            b"HTTP/1.1 401 Nope\r\nServer: x\r\ndate: Tue, 24 Nov 2026 08:00:00 GMT\r\n\r\n",
            datetime(2026, 11, 24, 8, tzinfo=UTC),
        ),
        (b"HTTP/1.1 200 OK\r\nDate: yesterday\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\nDate: \xff\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 99999999999 00:00:00 GMT\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\n\r\n", None),
        (b"", None),
    ],
)
def test_the_servers_clock_is_read_from_any_answer(answer: bytes, moment: datetime | None) -> None:
    store = TrustStore(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ())
    evidence = faults.Evidence(
        Endpoint(True, "brain.example", 443),
        ssl.SSLCertVerificationError(),
        store,
        datetime.now(UTC),
        presented=Presented(answer=answer),
    )
    assert evidence.server_time == moment
