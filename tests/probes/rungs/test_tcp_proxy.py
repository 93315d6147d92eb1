"""The tcp rung through an HTTP proxy: the tunnel it opens, and every way in which it does not."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from pathlib import Path

import pytest
import trustme

from tests.support.connect_proxy import ConnectProxy, connect_proxy, hangs, resets, says, tunnels
from tests.support.connections import address, black_hole, climbed, closed_port, ladder_to
from tests.support.ladders import settings
from z4j_probes import ProbeResult, Settings
from z4j_probes.endpoint import Endpoint
from z4j_probes.http_response import Answer
from z4j_probes.proxy import Proxy
from z4j_probes.rungs.tunnel import Reply, diagnose, request, target

BRAIN = Endpoint(True, "brain.example", 443)


async def through(
    proxy: Proxy, *, endpoint: Endpoint = BRAIN, given: Settings | None = None, timeout_s: float = 5
) -> ProbeResult:
    ladder = ladder_to(
        endpoint, proxy=proxy, addresses=[address(proxy.port)], given=given, timeout_s=timeout_s
    )
    async with climbed(ladder) as (_, results):
        return results["tcp"]


async def test_a_tunnel_carries_what_the_next_rung_says() -> None:
    async with connect_proxy(tunnels()) as proxy:
        ladder = ladder_to(BRAIN, proxy=proxy.named(), addresses=[address(proxy.port)])
        async with climbed(ladder) as (climb, results):
            assert results["tcp"].code == "tcp.ok"
            assert "tunnel to brain.example:443" in results["tcp"].message
            climb.transport.write(b"hello")
            async with asyncio.timeout(5):
                await climb.protocol.changed()
            assert climb.protocol.take() == b"hello"
    assert proxy.requests == ["CONNECT brain.example:443 HTTP/1.1\r\nHost: brain.example:443\r\n\r\n"]


async def test_bytes_behind_the_proxys_answer_are_kept() -> None:
    async with connect_proxy(tunnels(greeting=b"\x15\x03\x01")) as proxy:
        ladder = ladder_to(BRAIN, proxy=proxy.named(), addresses=[address(proxy.port)])
        async with climbed(ladder) as (climb, _):
            while not climb.protocol.received:
                async with asyncio.timeout(5):
                    await climb.protocol.changed()
            assert climb.protocol.take() == b"\x15\x03\x01"


async def test_an_interim_answer_is_not_the_answer() -> None:
    answer = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
    async with connect_proxy(says(answer)) as proxy:
        assert (await through(proxy.named())).code == "tcp.ok"


async def test_the_password_is_sent_and_never_shown() -> None:
    given = settings({"HTTPS_PROXY": "http://web:sesame-open@proxy.example:3128"})
    async with connect_proxy(tunnels(password="web:sesame-open")) as proxy:
        assert (await through(proxy.named(user="web:sesame-open"), given=given)).code == "tcp.ok"
        wrong = await through(proxy.named(user="web:sesame-shut"), given=given)
    assert wrong.code == "tcp.proxy_auth"
    assert "rejected the user name and password" in wrong.message
    assert re.fullmatch(r"the proxy 127\.0\.0\.1:\d+ rejected the credentials \(407\)", wrong.headline)
    assert "sesame" not in repr(wrong)


async def test_a_password_that_is_missing_is_told_from_a_wrong_one() -> None:
    async with connect_proxy(tunnels(password="web:sesame")) as proxy:
        result = await through(proxy.named())
    assert result.code == "tcp.proxy_auth"
    assert "offers Basic" in result.message
    assert "none is set" in result.message
    assert "HTTPS_PROXY" in result.hint


async def test_a_proxy_that_takes_no_basic_says_so() -> None:
    answer = "HTTP/1.1 407 Auth\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n\r\n"
    async with connect_proxy(says(answer)) as proxy:
        result = await through(proxy.named(user="web:sesame"))
    assert "Negotiate, NTLM" in result.message
    assert "only Basic" in result.message


@pytest.mark.parametrize(
    ("status", "part"),
    [
        ("403 Forbidden", "allow list"),
        ("502 Bad Gateway", "can't reach"),
        ("503 Service Unavailable", "can't reach"),
        ("405 Method Not Allowed", "does not seem to be a proxy"),
        ("302 Found", "Log in to the network's portal"),
        ("511 Network Authentication Required", "Log in to the network's portal"),
    ],
)
async def test_a_refusal_carries_the_proxys_own_status(status: str, part: str) -> None:
    async with connect_proxy(says(f"HTTP/1.1 {status}\r\nServer: squid/6.6\r\n\r\nno")) as proxy:
        result = await through(proxy.named())
    assert result.code == "tcp.proxy_refused"
    assert f"refused CONNECT brain.example:443: {status}" in result.message
    assert part in result.hint + result.message
    assert result.details["server"] == "squid/6.6"


async def test_a_proxy_that_hangs_is_told_from_a_silent_address() -> None:
    async with connect_proxy(hangs) as proxy:
        started_s = time.monotonic()
        result = await through(proxy.named(), timeout_s=1)
        assert time.monotonic() - started_s <= 1
    assert result.code == "tcp.timeout"
    assert "accepted the connection, but did not answer CONNECT brain.example:443" in result.message


async def test_a_proxy_that_hangs_up_is_named() -> None:
    async with connect_proxy(says("")) as proxy:
        result = await through(proxy.named())
    assert result.code == "tcp.proxy_refused"
    assert "closed the connection instead of answering" in result.message


async def test_a_proxy_that_may_expect_tls_is_said_to() -> None:
    async with connect_proxy(resets) as proxy:
        result = await through(proxy.named())
    assert "Write https:// in HTTPS_PROXY, if the proxy expects that" in result.hint


async def test_a_proxy_that_resets_is_named() -> None:
    async with connect_proxy(resets) as proxy:
        result = await through(proxy.named())
    assert result.code == "tcp.reset"
    assert "reset the connection instead of answering" in result.message


async def test_something_that_is_no_proxy_is_quoted() -> None:
    async with connect_proxy(says("220 mail.example ESMTP\r\n")) as proxy:
        result = await through(proxy.named())
    assert result.code == "tcp.proxy_refused"
    assert "220 mail.example ESMTP" in result.message


async def test_a_password_that_is_said_back_is_not_quoted_by_half() -> None:
    given = settings({"HTTPS_PROXY": "http://web:sesame-open@proxy.example:3128"})
    for echo in ("220 " + "." * 50 + " sesame-open?", "220 you said sesame-op"):
        async with connect_proxy(says(echo)) as proxy:
            result = await through(proxy.named(user="web:sesame-open"), given=given)
        assert result.code == "tcp.proxy_refused"
        assert "sesame" not in repr(result)


@pytest.mark.parametrize(
    ("challenge", "offered"),
    [
        ('Basic realm="a, B"', "offers Basic),"),
        ('Digest realm="x", nonce="y, Z", Basic realm="q"', "offers Digest, Basic),"),
        ('basic realm="x", charset="UTF-8"', "offers basic),"),
    ],
)
async def test_a_realm_with_a_comma_is_no_scheme(challenge: str, offered: str) -> None:
    async with connect_proxy(says(f"HTTP/1.1 407 Auth\r\nProxy-Authenticate: {challenge}\r\n\r\n")) as proxy:
        assert offered in (await through(proxy.named())).message


async def test_an_exception_from_the_proxy_that_is_written_wrongly_is_the_thing_to_correct() -> None:
    given = settings({"NO_PROXY": "localhost; *.example"})
    async with connect_proxy(says("HTTP/1.1 403 Forbidden\r\n\r\n")) as proxy:
        result = await through(proxy.named(), given=given)
    assert result.hint.startswith("Correct NO_PROXY, which does not except brain.example: ")


async def test_a_proxy_that_refuses_the_connection_is_unreachable() -> None:
    with closed_port() as port:
        result = await through(Proxy("127.0.0.1", port, secure=False, variable="ALL_PROXY"))
    assert result.code == "tcp.proxy_unreachable"
    assert "ALL_PROXY" in result.message
    assert result.details["cause"] == "tcp.refused"


async def test_a_proxy_that_does_not_answer_is_unreachable() -> None:
    with black_hole() as port:
        proxy = Proxy("127.0.0.1", port, secure=False, variable="HTTPS_PROXY")
        result = await through(proxy, timeout_s=0.4)
    assert result.code == "tcp.proxy_unreachable"
    assert result.details["cause"] == "tcp.timeout"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certificate(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_an_https_proxy_gets_tls_before_connect(
    authority: trustme.CA, certificate: ssl.SSLContext, tmp_path: Path
) -> None:
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    given = settings({"Z4J_CA_FILE": str(bundle)})
    async with connect_proxy(tunnels(), tls=certificate) as proxy:
        ladder = ladder_to(BRAIN, proxy=proxy.named(), addresses=[address(proxy.port)], given=given)
        async with climbed(ladder) as (climb, results):
            assert results["tcp"].code == "tcp.ok", results["tcp"]
            climb.transport.write(b"hello")
            async with asyncio.timeout(5):
                await climb.protocol.changed()
            assert climb.protocol.take() == b"hello"


async def test_an_https_proxy_with_a_foreign_certificate_gets_no_request(
    certificate: ssl.SSLContext,
) -> None:
    async with connect_proxy(tunnels(), tls=certificate) as proxy:
        result = await through(proxy.named(user="web:sesame"))
    assert result.code == "tcp.proxy_unreachable"
    assert "certificate does not verify" in result.message
    assert proxy.requests == []


async def test_an_https_proxy_url_for_a_proxy_that_speaks_no_tls_says_what_it_waited_for() -> None:
    async with connect_proxy(hangs) as plain:
        proxy = ConnectProxy(plain.port, secure=True)
        result = await through(proxy.named(), timeout_s=1)
    assert result.code == "tcp.proxy_unreachable"
    assert "TLS with it failed: no answer within" in result.message
    assert "Try http:// in" in result.hint


async def test_an_https_proxy_url_for_a_plain_proxy_that_answers_is_explained() -> None:
    async def bad_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(bad_request, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        result = await through(Proxy("127.0.0.1", port, secure=True, variable="HTTPS_PROXY"))
    assert result.code == "tcp.proxy_unreachable"
    assert "TLS with it failed" in result.message
    assert "http://" in result.hint


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        (Endpoint(True, "brain.example", 443), "brain.example:443"),
        (Endpoint(False, "2001:db8::1", 80), "[2001:db8::1]:80"),
        (Endpoint(True, "bücher.example", 8443), "xn--bcher-kva.example:8443"),
    ],
)
def test_the_target_is_written_as_connect_wants_it(endpoint: Endpoint, expected: str) -> None:
    assert target(endpoint) == expected
    proxy = Proxy("proxy.example", 3128, secure=False, variable="HTTPS_PROXY", authorization="Basic eDp5")
    assert request(endpoint, proxy).decode().split("\r\n") == [
        f"CONNECT {expected} HTTP/1.1",
        f"Host: {expected}",
        "Proxy-Authorization: Basic eDp5",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(Answer("1.1", 200, "OK", {})), None),
        (Reply(Answer("1.0", 204, "", {})), None),
        (Reply(Answer("1.1", 301, "Moved", {})), "tcp.proxy_refused"),
        (Reply(Answer("1.1", 401, "Unauthorized", {})), "tcp.proxy_auth"),
        (Reply(Answer("1.1", 407, "", {})), "tcp.proxy_auth"),
        (Reply(Answer("1.1", 504, "", {})), "tcp.proxy_refused"),
        (Reply(said=b"SSH-2.0"), "tcp.proxy_refused"),
        (Reply(error=ConnectionResetError()), "tcp.reset"),
        (Reply(), "tcp.proxy_refused"),
    ],
)
def test_each_answer_has_its_code(reply: Reply, code: str | None) -> None:
    assert diagnose(reply) == code
