"""The websocket rung against real sockets: whoever answers instead of a brain is named."""

from __future__ import annotations

import logging
import ssl
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest
import trustme

from tests.support.certificates import authority, issue, server_context
from tests.support.http_peers import (
    answering,
    asking_for_client_certificate,
    close_frame,
    greeting,
    hanging_up,
    http,
    peer,
    silent,
    text_frame,
    upgrading,
)
from tests.support.ladders import climbed, probe, settings_for
from z4j_probes import Settings
from z4j_probes.codes import CATALOGUE
from z4j_probes.endpoint import parse_endpoint
from z4j_probes.http_response import Answer, parse_answer
from z4j_probes.result import ProbeResult
from z4j_probes.rungs.websocket.refusal import banner, classify, explain, headline

SHORT_S = 0.3


def answer(status: int, body: str = "", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer("1.1", status, "", named, body.encode())


def test_no_status_is_unexpected() -> None:
    codes = {classify(answer(status)) for status in range(200, 1000)}
    assert {code for code in codes if not code.startswith("websocket.")} == set()
    assert "websocket.unexpected" not in codes


@pytest.mark.parametrize(
    ("refusal", "row"),
    [
        (answer(403, server="nginx/1.24.0 (Ubuntu)"), "upgrade forbidden by nginx/1.24.0 (403)"),
        (answer(404), "no WebSocket endpoint at /ws/agent (404)"),
        (
            answer(302, location="https://sso.example/login?x=1"),
            "redirected to https://sso.example/login (302)",
        ),
        (answer(502, server="nginx"), "the brain behind nginx is unavailable (502)"),
        (answer(200, "<html>"), "the server answered 200 to the upgrade"),
    ],
)
def test_the_row_names_the_server_and_its_status(refusal: Answer, row: str) -> None:
    assert headline(classify(refusal), refusal, parse_endpoint("https://brain.example")) == row


def test_envoy_says_403_where_upgrades_are_not_enabled() -> None:
    endpoint = parse_endpoint("https://brain.example")
    bare, page = (
        Answer("1.1", 403, "Forbidden", {"server": "envoy"}, body) for body in (b"", b"RBAC: denied")
    )
    message, steps = explain("websocket.forbidden", bare, endpoint, Settings(), "curl")
    assert "no upgrades enabled" in message
    assert steps is not None
    assert "upgrade_configs" in steps[0].text
    assert "no upgrades enabled" not in explain("websocket.forbidden", page, endpoint, Settings(), "curl")[0]


@pytest.mark.parametrize(
    ("url", "location", "word"),
    [
        ("https://brain.example", "https://brain.example/ws/agent", "leads to the URL that is set already"),
        ("https://brain.example", "/ws/agent", "leads to the URL that is set already"),
        ("https://brain.example/z4j", "agent", "leads to the URL that is set already"),
        ("https://brain.example", "//other.example/ws/agent", "Set Z4J_BRAIN_URL=https://other.example"),
        ("https://brain.example", None, "names no target"),
        ("https://brain.example", "https://BRAIN.example:443/ws/agent?a=b", "leads to the URL that is set"),
        ("https://brain.example", "http://brain.example/ws/agent", "from https:// to http://"),
        ("http://10.0.0.7", "http://brain.example/ws/agent", "Use the brain's https:// URL"),
        (
            "http://127.0.0.1:7700",
            "https://brain.example/z4j/ws/agent",
            "Set Z4J_BRAIN_URL=https://brain.example/z4j",
        ),
        (
            "http://127.0.0.1:7700",
            "http://localhost:7701/ws/agent",
            "Set Z4J_BRAIN_URL=http://localhost:7701",
        ),
    ],
)
def test_a_redirects_hint_is_one_that_works(url: str, location: str | None, word: str) -> None:
    headers = {} if location is None else {"location": location}
    moved = Answer("1.1", 301, "Moved Permanently", headers)
    _, steps = explain("websocket.redirect", moved, parse_endpoint(url), Settings(), "curl")
    assert steps is not None
    assert word in str(steps[0])


async def verdict(raw: bytes, *, keep_open: bool = False) -> ProbeResult:
    async with peer(answering(raw, keep_open=keep_open)) as server:
        return await probe("websocket", settings_for(server.url))


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (answer(200, "<html>"), "plain_answer"),
        (answer(204), "plain_answer"),
        (answer(301), "redirect"),
        (answer(302), "redirect"),
        (answer(303), "redirect"),
        (answer(307), "redirect"),
        (answer(308), "redirect"),
        (answer(400), "upgrade_stripped"),
        (answer(400, "No required SSL certificate was sent"), "client_certificate"),
        (answer(496, "SSL Certificate Required: no required SSL certificate was sent"), "client_certificate"),
        (answer(404, '{"detail":"Not Found"}'), "upgrade_stripped"),  # a brain that was asked for a page
        (answer(505), "upgrade_stripped"),
        (answer(400, "Invalid host header"), "host_rejected"),
        (answer(400, "<h1>DisallowedHost at /ws/agent</h1>"), "host_rejected"),
        (answer(400, "The plain HTTP request was sent to HTTPS port"), "tls_expected"),
        (answer(400, "Client sent an HTTP request to an HTTPS server."), "tls_expected"),
        (answer(400, "You're speaking plain HTTP to an SSL-enabled server port."), "tls_expected"),
        (answer(401), "unauthorized"),
        (answer(403), "forbidden"),
        (answer(404), "not_found"),
        (answer(405), "not_found"),
        (answer(407), "unauthorized"),
        (answer(410), "not_found"),
        (answer(402), "forbidden"),
        (answer(406), "forbidden"),
        (answer(408), "timeout"),
        (answer(412), "forbidden"),
        (answer(417), "forbidden"),
        (answer(418), "forbidden"),
        (answer(425), "bad_gateway"),
        (answer(431), "forbidden"),
        (answer(451), "forbidden"),
        (answer(460), "bad_gateway"),
        (answer(463), "bad_gateway"),
        (answer(464), "upgrade_stripped"),
        (answer(494), "forbidden"),
        (answer(495), "client_certificate"),
        (answer(496), "client_certificate"),
        (answer(497), "tls_expected"),
        (answer(499), "bad_gateway"),
        (answer(511), "unauthorized"),
        (answer(524), "bad_gateway"),
        (answer(561), "unauthorized"),
        (answer(599), "bad_gateway"),
        (answer(700), "not_http"),
        (answer(999), "not_http"),
        (answer(421), "host_rejected"),
        (answer(426), "upgrade_stripped"),
        (answer(426, upgrade="TLS/1.2"), "tls_expected"),
        (answer(429), "rate_limited"),
        (answer(500), "bad_gateway"),
        (answer(501), "upgrade_stripped"),
        (answer(502), "bad_gateway"),
        (answer(503), "bad_gateway"),
        (answer(504), "bad_gateway"),
        (answer(522), "bad_gateway"),
        (Answer("1.0", 101, "", {}), "upgrade_stripped"),
        (Answer("1.0", 404, "", {}), "not_found"),
    ],
)
def test_every_http_answer_has_its_code(given: Answer, code: str) -> None:
    assert classify(given) == f"websocket.{code}"
    assert classify(given) in CATALOGUE


@pytest.mark.parametrize(
    ("received", "code", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.9\r\n", "not_http", "SSH"),
        (b"220 mail.example ESMTP\r\n", "not_http", "mail"),
        (b"+OK POP3 ready\r\n", "not_http", "POP3"),
        (b"-ERR wrong number of arguments\r\n", "not_http", "Redis"),
        (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03", "not_http", "HTTP/2"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "tls_expected", "TLS"),
        (b"\x4a\x00\x00\x00\x0a8.0.36", "not_http", "not HTTP"),
    ],
)
def test_stray_first_bytes_are_recognised(received: bytes, code: str, words: str) -> None:
    found, what = banner(received)
    assert found == f"websocket.{code}"
    assert words in what


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\nA: b\r\n", b"SSH-2.0\r\n\r\n", b"HTTP/x\r\n\r\n"])
def test_half_an_answer_and_no_answer_are_none(raw: bytes) -> None:
    assert parse_answer(raw) is None


async def test_an_endpoint_that_upgrades_passes_and_leaves_an_open_websocket() -> None:
    async with (
        peer(upgrading(text_frame(b"first words"))) as server,
        climbed(settings_for(server.url), timeout_s=SHORT_S) as (climb, results),
    ):
        assert results["websocket"].code == "websocket.ok"
        assert results["websocket"].details["status"] == 101
        assert climb.has("websocket")
    assert server.connections == 1


async def test_the_request_carries_the_token_and_no_log_does(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with peer(answering(http("404 Not Found"))) as server:
        await probe("websocket", settings_for(server.url))
    [request] = server.requests
    assert b"\r\nAuthorization: Bearer token-of-the-agent\r\n" in request
    assert request.startswith(b"GET /ws/agent HTTP/1.1\r\n")
    assert "token-of-the-agent" not in caplog.text


async def test_a_path_prefix_stays_in_front() -> None:
    async with peer(answering(http("404 Not Found"))) as server:
        result = await probe("websocket", settings_for(f"{server.url}/z4j/"))
    assert server.requests[0].startswith(b"GET /z4j/ws/agent HTTP/1.1\r\n")
    assert f"curl -i {server.url}/z4j/api/v1/health" in result.hint


async def test_the_command_that_asks_the_brain_trusts_what_the_agent_trusts(tmp_path: Path) -> None:
    root = authority("Corp Root CA")
    ca_file = root.save(tmp_path / "root.pem")
    tls = server_context(issue(root, "127.0.0.1"))
    async with peer(answering(http("404 Not Found")), tls=tls) as server:
        given = settings_for(f"https://127.0.0.1:{server.port}", ca_file=ca_file)
        result = await probe("websocket", given, tls=ssl.create_default_context(cafile=ca_file))
    assert f"--cacert {ca_file}`" in result.hint


async def test_an_ipv6_address_stands_in_brackets_before_its_port() -> None:
    async with peer(hanging_up(), host="::1") as server:
        result = await probe("websocket", settings_for(server.url))
    assert result.code == "websocket.closed"
    assert result.message.startswith(f"[::1]:{server.port} closed the connection")


@pytest.mark.parametrize(
    ("brain_url", "correct"),
    [
        ("http://brain.example", "https://brain.example:80"),
        ("http://[::1]:8700/z4j", "https://[::1]:8700/z4j"),
    ],
)
def test_a_port_that_speaks_tls_keeps_its_number_in_the_url_that_is_advised(
    brain_url: str, correct: str
) -> None:
    seen, endpoint = answer(400, "Client sent an HTTP request to an HTTPS server."), parse_endpoint(brain_url)
    _, steps = explain("websocket.tls_expected", seen, endpoint, Settings(), "curl")
    assert steps is not None
    assert f"Z4J_BRAIN_URL={correct} " in steps[0].text


async def test_a_proxy_that_drops_upgrade_is_named() -> None:
    result = await verdict(http("426 Upgrade Required", Server="nginx/1.27", Via="1.1 edge"))
    assert result.code == "websocket.upgrade_stripped"
    assert "nginx/1.27 answered 426" in result.message
    assert "proxy_set_header" in result.hint
    assert result.details["via"] == "1.1 edge"


async def test_a_101_without_the_upgrade_header_is_a_stripped_upgrade() -> None:
    result = await verdict(b"HTTP/1.1 101 Switching Protocols\r\nConnection: close\r\n\r\n")
    assert result.code == "websocket.upgrade_stripped"
    assert "with Connection: close" in result.message


@pytest.mark.parametrize("accept", ["Sec-WebSocket-Accept: bm90IG91cnM=\r\n", ""])
async def test_a_cache_that_answers_for_another_key_is_named(accept: str) -> None:
    head = f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{accept}\r\n"
    result = await verdict(head.encode(), keep_open=True)
    assert result.code == "websocket.bad_accept"
    assert "Sec-WebSocket-Accept" in result.message


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (
            b"Sec-WebSocket-Extensions: permessage-deflate\r\n",
            "with the extension permessage-deflate, which was not asked for",
        ),
        (b"Sec-WebSocket-Protocol: chat\r\n", "with the subprotocol chat, which was not asked for"),
        (b"X-A: b\r\n" * 130, "not valid HTTP/1.1: "),
        (b"X-A: b\r\n c\r\n", "not valid HTTP/1.1: invalid HTTP header line"),
        (b"X-A: b\n", "not valid HTTP/1.1: line without CRLF"),
        (b"X-A : b\r\n", "not valid HTTP/1.1: invalid HTTP header name"),
        (b"Sec-WebSocket-Accept: bm90IG91cnM=\r\n", "with more than one Sec-WebSocket-Accept"),
    ],
)
async def test_what_is_wrong_with_a_101_is_said(headers: bytes, said: str) -> None:
    async with peer(upgrading(headers=headers)) as server:
        result = await probe("websocket", settings_for(server.url))
    assert result.code == "websocket.bad_accept"
    assert said in result.message
    assert "our key" not in result.message


async def test_a_101_without_a_reason_phrase_is_not_called_one_for_another_key() -> None:
    result = await verdict(b"HTTP/1.1 101\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    assert result.code == "websocket.bad_accept"
    assert "invalid HTTP status line" in result.message


async def test_a_101_without_connection_is_not_said_to_lack_upgrade() -> None:
    result = await verdict(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
    assert result.code == "websocket.upgrade_stripped"
    assert "without the Connection header" in result.message


@pytest.mark.parametrize(
    "interim", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"]
)
async def test_an_interim_answer_is_not_the_answer(interim: bytes) -> None:
    async with peer(upgrading(before=interim, keep_open=False)) as server:
        assert (await probe("websocket", settings_for(server.url))).code == "websocket.ok"


async def test_a_page_is_shown_by_its_title() -> None:
    page = b"<html><head><title>\n Hotel  Wi-Fi \x1b[31m</title></head></html>"
    result = await verdict(http("200 OK", page, Content_Type="text/html"))
    assert result.code == "websocket.plain_answer"
    assert result.details["title"] == "Hotel Wi-Fi [31m"
    assert result.details["content_type"] == "text/html"


async def test_a_token_beyond_the_beginning_of_a_page_is_not_cut_before_it_is_redacted() -> None:
    page = b" " * 4086 + b"token-of-the-agent"
    result = await verdict(http("400 Bad Request", page))
    assert result.details["body"] == "[redacted]"


async def test_half_a_token_before_the_end_of_what_is_no_answer_is_not_shown() -> None:
    result = await verdict(b"HTTP/1.1 400 Bad Request\r\nX-You-Sent: token-of-the")
    assert result.code == "websocket.closed"
    assert "token-of" not in repr(result)


async def test_a_page_that_never_ends_is_not_waited_for() -> None:
    endless = b"HTTP/1.1 200 OK\r\nServer: spa\r\n\r\n<html>"
    result = await verdict(endless, keep_open=True)
    assert result.code == "websocket.plain_answer"
    assert result.details["body"] == "<html>"


async def test_a_login_page_in_front_is_named_and_its_query_is_not_shown() -> None:
    there = "https://sso.example/oauth/login?state=s3cr3t&next=/ws/agent"
    result = await verdict(http("302 Found", Location=there))
    assert result.code == "websocket.redirect"
    assert "https://sso.example/oauth/login" in result.message
    assert "Exempt /ws/agent" in result.hint
    assert "s3cr3t" not in repr(result)


async def test_a_redirect_to_https_says_which_url_to_set() -> None:
    result = await verdict(http("301 Moved Permanently", Location="https://brain.example/z4j/ws/agent"))
    assert result.code == "websocket.redirect"
    assert result.steps[0].text.startswith("Set Z4J_BRAIN_URL=https://brain.example/z4j where")


async def test_retry_after_is_passed_on() -> None:
    result = await verdict(http("429 Too Many Requests", Retry_After="30"))
    assert result.code == "websocket.rate_limited"
    assert "Retry-After: 30" in result.hint


async def test_a_gateway_is_named_by_its_server_header() -> None:
    result = await verdict(http("502 Bad Gateway", Server="awselb/2.0"))
    assert result.code == "websocket.bad_gateway"
    assert result.message.startswith("awselb/2.0 answered 502 Bad Gateway")


async def test_a_refused_host_is_named() -> None:
    async with peer(answering(http("400 Bad Request", b"Invalid host header"))) as server:
        result = await probe("websocket", settings_for(server.url))
    assert result.code == "websocket.host_rejected"
    assert f"127.0.0.1:{server.port}" in result.message


async def test_a_403_of_nobody_in_particular_is_how_a_brain_refuses_an_unknown_path() -> None:
    async with peer(answering(http("403 Forbidden"))) as server:
        result = await probe("websocket", settings_for(f"{server.url}/nope"))
    assert result.code == "websocket.forbidden"
    assert f"Check {server.url}/nope in Z4J_BRAIN_URL" in result.hint


async def test_the_date_header_shows_how_the_clocks_stand() -> None:
    date = format_datetime(datetime(2020, 1, 1, tzinfo=UTC), usegmt=True)
    result = await verdict(http("403 Forbidden", Date=date))
    assert result.code == "websocket.forbidden"
    assert result.details["clock_offset_s"] < -100_000_000


@pytest.mark.parametrize(
    "header", [b"Date: Mon, 01 Jan 99999999999 00:00:00 GMT", b"Content-Length: " + b"9" * 5000]
)
async def test_a_header_beyond_all_bounds_changes_nothing_about_the_refusal(header: bytes) -> None:
    result = await verdict(b"HTTP/1.1 403 Forbidden\r\n" + header + b"\r\n\r\nno")
    assert result.code == "websocket.forbidden"


async def test_a_page_that_echoes_the_request_does_not_leak_the_token_by_halves() -> None:
    padding = b"x" * 190
    result = await verdict(http("401 Unauthorized", padding + b" token-of-the-agent"))
    assert result.code == "websocket.unauthorized"
    assert "token-of" not in repr(result)


async def test_a_server_that_speaks_first_is_not_sent_the_token() -> None:
    async with peer(greeting(b"SSH-2.0-OpenSSH_9.9\r\n")) as server:
        result = await probe("websocket", settings_for(server.url))
    assert result.code == "websocket.not_http"
    assert "SSH" in result.message
    assert "OpenSSH_9.9" in result.details["received"]


async def test_http_1_0_cannot_upgrade() -> None:
    result = await verdict(b"HTTP/1.0 400 Bad Request\r\nServer: old\r\n\r\n")
    assert result.code == "websocket.upgrade_stripped"
    assert "HTTP/1.0" in result.message


async def test_a_peer_that_accepts_and_says_nothing_is_a_timeout_within_the_budget() -> None:
    async with peer(silent()) as server:
        result = await probe("websocket", settings_for(server.url), timeout_s=SHORT_S)
    assert result.code == "websocket.timeout"
    assert "said nothing" in result.message
    assert result.duration_ms < SHORT_S * 1000 * 1.5


async def test_half_a_head_is_a_timeout_that_says_so() -> None:
    async with peer(answering(b"HTTP/1.1 101 Switching", keep_open=True)) as server:
        result = await probe("websocket", settings_for(server.url), timeout_s=SHORT_S)
    assert result.code == "websocket.timeout"
    assert "22 bytes" in result.message


@pytest.mark.parametrize("reset", [False, True])
async def test_a_peer_that_hangs_up_is_named(reset: bool) -> None:
    async with peer(hanging_up(reset=reset)) as server:
        result = await probe("websocket", settings_for(server.url))
    assert result.code == "websocket.closed"
    assert "without an answer" in result.message


async def test_an_answer_that_breaks_off_is_named() -> None:
    result = await verdict(b"HTTP/1.1 200 OK\r\nServer")
    assert result.code == "websocket.closed"
    assert "in the middle" in result.message


async def test_a_close_frame_right_after_the_upgrade_is_left_to_auth() -> None:
    async with (
        peer(upgrading(close_frame(4401, b"unknown token"))) as server,
        climbed(settings_for(server.url)) as (_, results),
    ):
        assert results["websocket"].code == "websocket.ok"
        assert results["auth"].code == "auth.token_rejected"


async def test_plain_http_to_a_tls_port_says_https() -> None:
    authority = trustme.CA()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    async with peer(silent(), tls=server_side) as server:
        result = await probe("websocket", settings_for(server.url))
    # OpenSSL's server answers plain HTTP with an alert or just hangs up, by version.
    assert result.code in ("websocket.tls_expected", "websocket.closed")


async def test_a_client_certificate_that_tls_1_3_asks_for_late_is_named() -> None:
    authority = trustme.CA()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.minimum_version = ssl.TLSVersion.TLSv1_3
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    authority.configure_trust(server_side)
    client_side = ssl.create_default_context()
    authority.configure_trust(client_side)
    with asking_for_client_certificate(server_side) as port:
        result = await probe("websocket", settings_for(f"https://127.0.0.1:{port}"), tls=client_side)
    assert result.code == "websocket.client_certificate"
    assert "CERTIFICATE_REQUIRED" in result.message
