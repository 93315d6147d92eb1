"""The tls rung against real handshakes: each thing that can be wrong with one has its code and its reason."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.support.certificates import CLIENT, Issued, authority, issue, server_context, weak_key
from tests.support.connect_proxy import Answering, ConnectProxy, connect_proxy, says
from tests.support.ladders import climb_to, ladder, settings
from tests.support.tls_servers import TlsServer, tls_server
from z4j_probes import ProbeResult, Status
from z4j_probes.rungs.config import probe as config
from z4j_probes.rungs.dns import probe as dns
from z4j_probes.rungs.tcp import probe as tcp
from z4j_probes.rungs.tcp.happy_eyeballs import Race, race
from z4j_probes.rungs.tls import probe as tls

DAY = timedelta(days=1)
PROBES = (config.PROBE, dns.PROBE, tcp.PROBE, tls.PROBE)
STRICT_PYTHON = sys.version_info >= (3, 13)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def root() -> Issued:
    return authority("Corp Root")


@pytest.fixture
def root_file(root: Issued, tmp_path: Path) -> str:
    return root.save(tmp_path / "root.pem")


async def climb(server: TlsServer, ca_file: str | None, host: str = "localhost") -> ProbeResult:
    given = settings(brain_url=server.url(host), ca_file=ca_file)
    return await climb_to("tls", PROBES, given)


async def shake(context: ssl.SSLContext, ca_file: str | None, host: str = "localhost") -> ProbeResult:
    with tls_server(context) as server:
        return await climb(server, ca_file, host)


@contextlib.asynccontextmanager
async def peer(handler: Handler) -> AsyncIterator[str]:
    """A peer that does something else than TLS; yields its URL."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}"


async def test_a_certificate_in_order_passes_with_its_facts(root: Issued, root_file: str) -> None:
    result = await shake(server_context(issue(root, "localhost")), root_file)
    assert (result.code, result.status) == ("tls.ok", Status.PASS)
    assert "TLSv1.3" in result.message
    assert "Corp Root" in result.message
    assert "79 days" in result.message
    assert result.details["names"] == ["localhost"]
    assert result.details["subject"] == "commonName=localhost"
    assert result.details["stores"] == [f"Z4J_CA_FILE {root_file} (1 certificate)"]


async def test_an_address_is_verified_against_the_addresses_in_the_certificate(
    root: Issued, root_file: str
) -> None:
    result = await shake(server_context(issue(root, "127.0.0.1")), root_file, "127.0.0.1")
    assert result.code == "tls.ok"


async def test_plain_websockets_skip_it() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with peer(silent) as url:
        result = await climb_to("tls", PROBES, settings(brain_url=url.replace("https", "http")))
    assert (result.code, result.status) == ("tls.not_used", Status.SKIP)


async def test_an_expired_certificate_says_when(root: Issued, root_file: str) -> None:
    result = await shake(server_context(issue(root, "localhost", expires=-3 * DAY)), root_file)
    assert result.code == "tls.expired"
    assert "the certificate of localhost expired 3 days ago" in result.message
    assert result.headline.startswith("certificate expired 3 days ago (2")
    assert result.details["verify_code"] == 10


async def test_an_expired_intermediate_is_the_one_that_is_named(root: Issued, root_file: str) -> None:
    middle = authority("Corp Middle", root, expires=-2 * DAY)
    result = await shake(server_context(issue(middle, "localhost")), root_file)
    assert result.code == "tls.expired"
    assert 'the intermediate certificate "Corp Middle"' in result.message
    assert result.headline.startswith('"Corp Middle" expired 2 days ago (2')
    assert "expired 2 days ago" in result.message


async def test_an_expired_root_in_the_store_is_the_one_that_is_named(tmp_path: Path) -> None:
    old = authority("Old Root", expires=-4 * DAY)
    result = await shake(server_context(issue(old, "localhost")), old.save(tmp_path / "old.pem"))
    assert result.code == "tls.expired"
    assert 'the root certificate "Old Root"' in result.message


async def test_a_certificate_of_tomorrow_is_not_yet_valid(root: Issued, root_file: str) -> None:
    result = await shake(server_context(issue(root, "localhost", starts=DAY * 1.5)), root_file)
    assert result.code == "tls.not_yet_valid"
    assert "becomes valid in 1 day" in result.message


@pytest.mark.parametrize(
    ("starts", "expires", "there", "said"),
    [(-10 * DAY, -3 * DAY, -5 * DAY, "ahead of"), (3 * DAY, 80 * DAY, 5 * DAY, "behind")],
    ids=["our clock is fast", "our clock is slow"],
)
async def test_a_servers_clock_tells_a_wrong_clock_from_a_wrong_certificate(
    root: Issued, root_file: str, starts: timedelta, expires: timedelta, there: timedelta, said: str
) -> None:
    leaf = issue(root, "localhost", starts=starts, expires=expires)
    with tls_server(server_context(leaf), answer=http_answer(datetime.now(UTC) + there)) as server:
        result = await climb(server, root_file)
    assert result.code == "tls.clock_suspect"
    assert said in result.message


async def test_a_certificate_that_both_clocks_call_expired_has_expired(root: Issued, root_file: str) -> None:
    leaf = issue(root, "localhost", expires=-3 * DAY)
    with tls_server(server_context(leaf), answer=http_answer(datetime.now(UTC))) as server:
        result = await climb(server, root_file)
    assert result.code == "tls.expired"
    assert "server_time" in result.details


async def test_only_a_bare_head_is_said_without_verification_and_only_about_dates(
    root: Issued, root_file: str
) -> None:
    with tls_server(server_context(issue(root, "localhost", expires=-3 * DAY))) as server:
        await climb(server, root_file)
    host = f"localhost:{server.port}"
    assert server.heard == [f"HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()]

    with tls_server(server_context(issue(None, "localhost"))) as server:
        await climb(server, root_file)
    assert server.heard == []


async def test_a_wrong_name_lists_the_right_ones(root: Issued, root_file: str) -> None:
    leaf = issue(root, "brain.example", "www.brain.example")
    result = await shake(server_context(leaf), root_file)
    assert result.code == "tls.hostname_mismatch"
    assert "is for brain.example, www.brain.example, not for localhost" in result.message
    assert result.headline == "certificate is for brain.example and 1 more, not localhost"


async def test_an_address_that_the_certificate_lacks_is_a_mismatch(root: Issued, root_file: str) -> None:
    result = await shake(server_context(issue(root, "localhost")), root_file, "127.0.0.1")
    assert result.code == "tls.hostname_mismatch"
    assert result.details["verify_code"] == 64
    assert "Connect to the brain by its name" in result.hint


async def test_a_server_without_a_site_of_that_name_is_a_mismatch(root: Issued, root_file: str) -> None:
    context = server_context(issue(root, "other.example"))

    def refuse(tls: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> int | None:
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME if name else None

    context.sni_callback = refuse
    result = await shake(context, root_file)
    assert result.code == "tls.hostname_mismatch"
    assert "unrecognized_name" in result.message
    assert "other.example" in result.message


async def test_a_self_signed_certificate_is_named_for_what_it_is(root_file: str) -> None:
    result = await shake(server_context(issue(None, "localhost")), root_file)
    assert result.code == "tls.self_signed"
    assert "Z4J_CA_FILE" in result.hint


async def test_a_self_signed_certificate_that_is_trusted_passes(tmp_path: Path) -> None:
    # without an authority key identifier, as `openssl req -x509` of old made them
    own = issue(None, "localhost", authority_key_id=False)
    result = await shake(server_context(own), own.save(tmp_path / "own.pem"))
    assert result.code == "tls.ok"


@pytest.mark.parametrize("sends_root", [True, False])
async def test_a_private_authority_is_named_with_the_stores_that_were_asked(
    root_file: str, sends_root: bool
) -> None:
    private = authority("Inspecting Proxy CA")
    context = server_context(issue(private, "localhost"), chain=(private,) if sends_root else ())
    result = await shake(context, root_file)
    assert result.code == "tls.unknown_ca"
    assert "Inspecting Proxy CA" in result.message
    assert result.headline == 'CA not trusted: "Inspecting Proxy CA"'
    assert root_file in result.message
    assert result.details["verify_code"] == (19 if sends_root else 20)


async def test_a_root_that_was_made_anew_is_told_from_a_missing_intermediate(root_file: str) -> None:
    result = await shake(server_context(issue(authority("Corp Root"), "localhost")), root_file)
    assert result.code == "tls.unknown_ca"
    assert "with another key" in result.message


@pytest.mark.parametrize("sign", ["issuer's address", "issuer's organization"])
async def test_a_leaf_that_comes_alone_lacks_its_intermediate(tmp_path: Path, sign: str) -> None:
    top = authority("Top", organization="Corp")
    middle = authority("Middle", top, organization="Corp" if sign == "issuer's organization" else None)
    url = "http://ca.example/middle.crt" if sign == "issuer's address" else None
    leaf = issue(middle, "localhost", issuer_url=url)
    result = await shake(server_context(leaf, chain=()), top.save(tmp_path / "top.pem"))
    assert result.code == "tls.incomplete_chain"
    assert '"Middle"' in result.message
    assert result.headline == 'incomplete chain: "Middle" is missing'
    assert "-showcerts" in result.hint


async def test_an_intermediate_that_is_trusted_by_name_is_enough(tmp_path: Path, root: Issued) -> None:
    middle = authority("Middle", root)
    result = await shake(
        server_context(issue(middle, "localhost"), chain=()), middle.save(tmp_path / "m.pem")
    )
    assert result.code == "tls.ok"


async def test_a_cert_file_that_is_not_there_empties_the_store(root: Issued, tmp_path: Path) -> None:
    missing = str(tmp_path / "gone.pem")
    with tls_server(server_context(issue(root, "localhost"))) as server:
        given = settings({"SSL_CERT_FILE": missing}, brain_url=server.url())
        result = await climb_to("tls", PROBES, given)
    assert result.code == "tls.empty_trust_store"
    assert missing in result.message
    assert "SSL_CERT_FILE" in result.hint


async def test_an_empty_store_is_said_before_anything_is_sent(root: Issued, tmp_path: Path) -> None:
    with tls_server(server_context(issue(root, "localhost"))) as server:
        variables = {"SSL_CERT_FILE": str(tmp_path / "gone.pem"), "SSL_CERT_DIR": str(tmp_path)}
        result = await climb_to("tls", PROBES, settings(variables, brain_url=server.url()))
    assert result.code == "tls.empty_trust_store"
    assert "SSL_CERT_DIR" in result.message


async def test_a_client_certificate_on_a_server_has_the_wrong_purpose(root: Issued, root_file: str) -> None:
    result = await shake(server_context(issue(root, "localhost", purpose=CLIENT)), root_file)
    assert result.code == "tls.wrong_purpose"


async def test_an_issuer_that_is_no_authority_has_the_wrong_purpose(root: Issued, root_file: str) -> None:
    fake = authority("Not a CA", root, is_ca=False)
    result = await shake(server_context(issue(fake, "localhost")), root_file)
    assert result.code == "tls.wrong_purpose"


async def test_too_long_a_path_has_the_wrong_purpose(tmp_path: Path) -> None:
    top = authority("Top", path_length=0)
    result = await shake(
        server_context(issue(authority("Middle", top), "localhost")), top.save(tmp_path / "top.pem")
    )
    assert (result.code, result.details["verify_code"]) == ("tls.wrong_purpose", 25)


async def test_a_name_that_the_authority_may_not_certify_has_the_wrong_purpose(tmp_path: Path) -> None:
    top = authority("Top", permitted="corp.example")
    result = await shake(server_context(issue(top, "localhost")), top.save(tmp_path / "top.pem"))
    assert (result.code, result.details["verify_code"]) == ("tls.wrong_purpose", 47)


async def test_a_short_key_is_weak(root: Issued, root_file: str) -> None:
    result = await shake(server_context(issue(root, "localhost", key=weak_key())), root_file)
    assert result.code == "tls.weak"
    assert "RSA 1024" in result.message


async def test_ciphers_of_the_past_are_weak(root: Issued, root_file: str) -> None:
    context = server_context(issue(root, "localhost"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-CAMELLIA128-SHA256:@SECLEVEL=0")  # neither Python nor Debian offers it
    result = await shake(context, root_file)
    assert result.code == "tls.weak"
    assert "ECDHE-ECDSA-CAMELLIA128-SHA256" in result.message


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_version_of_the_past_is_named(root: Issued, root_file: str) -> None:
    context = server_context(issue(root, "localhost"))
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    result = await shake(context, root_file)
    assert result.code == "tls.protocol_version"
    assert "TLSv1.1 only" in result.message


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param({"critical_constraints": False}, "basicConstraints are not critical", id="89"),
        pytest.param({"key_usage": False}, "without keyUsage", id="92"),
        pytest.param({"key_id": False}, "without a subject key identifier", id="86"),
    ],
)
async def test_an_authority_that_python_313_refuses_is_warned_of_before(
    tmp_path: Path, fault: dict[str, bool], said: str
) -> None:
    sloppy = authority("Sloppy Root", **fault)  # type: ignore[arg-type]
    result = await shake(server_context(issue(sloppy, "localhost")), sloppy.save(tmp_path / "sloppy.pem"))
    assert result.code == "tls.not_strict"
    assert result.status is (Status.FAIL if STRICT_PYTHON else Status.WARN)
    assert '"Sloppy Root" is a CA' in result.message
    assert said in result.message


async def test_a_leaf_without_its_issuers_key_identifier_is_not_strict(root: Issued, root_file: str) -> None:
    leaf = issue(root, "localhost", authority_key_id=False)
    result = await shake(server_context(leaf), root_file)
    assert result.code == "tls.not_strict"
    assert '"localhost" has no authority key identifier' in result.message


@pytest.mark.parametrize(
    ("age", "left", "code"),
    [
        (80 * DAY, 10 * DAY, "tls.expiring_soon"),
        (80 * DAY, 15 * DAY, "tls.ok"),  # two weeks are enough to act in
        (4 * DAY, 3 * DAY, "tls.ok"),  # a certificate made for a week, in its prime
        (6 * DAY, 1 * DAY, "tls.expiring_soon"),
    ],
)
async def test_what_is_soon_depends_on_the_lifetime(
    root: Issued, root_file: str, age: timedelta, left: timedelta, code: str
) -> None:
    leaf = issue(root, "localhost", starts=-age, expires=left + timedelta(minutes=1))
    result = await shake(server_context(leaf), root_file)
    assert result.code == code
    if code == "tls.expiring_soon":
        assert result.status is Status.WARN
        assert "the certificate of localhost expires in" in result.message


async def test_an_intermediate_that_runs_out_soon_is_seen_too(root: Issued, root_file: str) -> None:
    middle = authority("Corp Middle", root, starts=-100 * DAY, expires=5 * DAY)
    result = await shake(server_context(issue(middle, "localhost")), root_file)
    assert result.code == "tls.expiring_soon"
    assert 'depends on "Corp Middle"' in result.message


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_that_insists_on_a_client_certificate_is_named(
    root: Issued, root_file: str, version: ssl.TLSVersion
) -> None:
    context = server_context(issue(root, "localhost"))
    context.maximum_version = version
    context.load_verify_locations(root_file)
    context.verify_mode = ssl.CERT_REQUIRED
    result = await shake(context, root_file)
    assert result.code == "tls.client_certificate"
    assert result.status is Status.FAIL


@pytest.mark.parametrize("tickets", [0, 2])
async def test_a_server_that_merely_asks_for_a_client_certificate_is_no_obstacle(
    root: Issued, root_file: str, tickets: int
) -> None:
    context = server_context(issue(root, "localhost"))
    context.num_tickets = tickets
    context.load_verify_locations(root_file)
    context.verify_mode = ssl.CERT_OPTIONAL
    assert (await shake(context, root_file)).code == "tls.ok"


async def test_a_server_that_hangs_up_after_asking_for_a_certificate_is_named(
    root: Issued, root_file: str
) -> None:
    context = server_context(issue(root, "localhost"))
    context.load_verify_locations(root_file)
    context.verify_mode = ssl.CERT_REQUIRED

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise AssertionError("the handshake fails")

    # asyncio's server closes without an alert
    async with await asyncio.start_server(never, "127.0.0.1", 0, ssl=context) as server:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        result = await climb_to("tls", PROBES, settings(brain_url=url, ca_file=root_file))
    assert result.code == "tls.client_certificate"


async def test_plain_http_is_not_tls() -> None:
    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n")
        await writer.drain()

    async with peer(http) as url:
        result = await climb_to("tls", PROBES, settings(brain_url=url))
    assert result.code == "tls.not_tls"
    assert "HTTP/1.1 400 Bad Request" in result.message


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.7\r\n", b"220 mail.example ESMTP\r\n"])
@pytest.mark.parametrize("waits", [True, False])
async def test_another_service_is_known_by_its_banner(greeting: bytes, waits: bool) -> None:
    async def banner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if waits:
            await reader.read(1)
        writer.write(greeting)
        await writer.drain()
        await reader.read()

    async with peer(banner) as url:
        result = await climb_to("tls", PROBES, settings(brain_url=url))
    assert result.code == "tls.not_tls"
    assert greeting.decode().strip() in result.message


@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_a_connection_that_ends_at_the_greeting_says_how(how: str) -> None:
    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        if how == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    async with peer(end) as url:
        result = await climb_to("tls", PROBES, settings(brain_url=url))
    assert result.code == "tls.closed"
    assert f" {how} the connection" in result.message


async def test_a_reset_before_anything_was_said_is_a_connection_that_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such a socket does not know any more whom it was connected to."""

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    async def race_and_be_reset(*given: Any) -> Race:
        found = await race(*given)
        assert found.sock is not None
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(found.sock, ended.set)
        await ended.wait()
        loop.remove_reader(found.sock)
        with pytest.raises(OSError, match="not connected"):
            found.sock.getpeername()
        return found

    monkeypatch.setattr(tcp, "race", race_and_be_reset)
    async with peer(reset) as url:
        result = await climb_to("tls", PROBES, settings(brain_url=url))
    assert result.code == "tls.closed"
    assert "reset the connection" in result.message


@pytest.mark.parametrize(
    ("alert", "code", "said"),
    [
        (80, "tls.closed", "internal_error"),
        (40, "tls.protocol_version", "handshake_failure"),
        (70, "tls.protocol_version", "protocol_version"),
        (120, "tls.protocol_version", "HTTP/1.1"),
        (112, "tls.hostname_mismatch", "unrecognized_name"),
        (71, "tls.weak", "too weak"),
    ],
)
async def test_an_alert_in_answer_to_the_greeting_is_named(alert: int, code: str, said: str) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(bytes((21, 3, 3, 0, 2, 2, alert)))
        await writer.drain()

    async with peer(refuse) as url:
        result = await climb_to("tls", PROBES, settings(brain_url=url))
    assert (result.code, said in result.message) == (code, True)


async def test_a_peer_that_never_answers_the_greeting_is_a_timeout() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with peer(silent) as url:
        report = await ladder(PROBES, settings(brain_url=url), timeout_s=2.0).run()
    result = report.results[-1]
    assert result.code == "tls.timeout"
    assert "accepted the connection" in result.message
    assert re.search(r" within [\d.]+ s$", result.message)
    assert re.fullmatch(r"no answer to the TLS handshake from localhost:\d+", result.headline)


@pytest.mark.parametrize("secure_proxy", [False, True])
@pytest.mark.parametrize("good", [True, False])
async def test_the_handshake_goes_through_the_proxys_tunnel(
    root: Issued, root_file: str, secure_proxy: bool, good: bool
) -> None:
    leaf = issue(root, "brain.test", expires=80 * DAY if good else -3 * DAY)
    proxy_tls = server_context(issue(root, "localhost")) if secure_proxy else None
    with tls_server(server_context(leaf)) as server:
        async with connect_proxy(leads_to(server.port), tls=proxy_tls) as proxy:
            scheme = "https" if secure_proxy else "http"
            given = settings(
                {"HTTPS_PROXY": f"{scheme}://localhost:{proxy.port}"},
                brain_url="https://brain.test",
                ca_file=root_file,
            )
            result = await climb_to("tls", PROBES, given)
    assert result.code == ("tls.ok" if good else "tls.expired")
    assert result.details["names"] == ["brain.test"]
    asked = [request.splitlines()[0] for request in proxy.requests]
    assert asked == ["CONNECT brain.test:443 HTTP/1.1"] * (1 if good else 2)


async def test_a_critical_extension_that_is_unknown_has_its_words(root: Issued, root_file: str) -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    result = await shake(server_context(issue(root, "localhost", more=unknown)), root_file)
    assert result.code == "tls.wrong_purpose"
    assert "unhandled critical extension" in result.message
    assert "without critical extensions" in result.hint


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"])
async def test_a_bundle_that_only_others_read_is_named(root: Issued, root_file: str, variable: str) -> None:
    with tls_server(server_context(issue(root, "localhost"))) as server:
        given = settings({variable: root_file}, brain_url=server.url("localhost"))
        result = await climb_to("tls", PROBES, given)
        assert result.code == "tls.unknown_ca"
        assert result.steps[0].command == f'export Z4J_CA_FILE="${variable}"'
        assert (await climb(server, root_file)).code == "tls.ok"


async def test_a_page_where_the_tunnel_should_begin_is_the_proxys() -> None:
    page = says("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>Welcome to our hotel</html>")
    async with connect_proxy(page) as proxy:
        named = settings({"HTTPS_PROXY": f"http://localhost:{proxy.port}"}, brain_url="https://brain.test")
        result = await climb_to("tls", PROBES, named)
    assert result.code == "tls.not_tls"
    assert "Check HTTPS_PROXY: its server sends a page instead of opening a tunnel" in result.hint


def leads_to(port: int) -> Answering:
    """Whatever is asked for, a tunnel to this port."""

    async def behave(_: ConnectProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(pump(reader, there_writer))
                group.create_task(pump(there_reader, writer))
        finally:
            there_writer.close()

    return behave


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def http_answer(date: datetime) -> bytes:
    return f"HTTP/1.1 404 Not Found\r\nDate: {format_datetime(date, usegmt=True)}\r\n\r\n".encode()
