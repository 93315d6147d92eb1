"""The table: what a person reads, on a terminal and elsewhere."""

from __future__ import annotations

import asyncio
import html
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.certificates import authority, issue, server_context
from tests.support.cli import on_terminal, run
from tests.support.connections import closed_port
from tests.support.ladders import SECRET, TOKEN
from tests.support.reports import (
    NAMES,
    expired_certificate,
    green,
    partial_addresses,
    passed,
    report,
    several_causes,
    skipped,
    warned,
)
from z4j_fastapi.devbrain import DevBrain
from z4j_fastapi.reports import FORMATS, render, table
from z4j_fastapi.reports.printers import PlainPrinter
from z4j_probes import ProbeResult, Report, Status, Step

ESCAPE = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]")


UNTRUSTED = """\
z4j doctor 0.1.0 · user app (1000) · settings from the environment
  ✓ config     https://brain.example, project default, agent web-1
  ✓ buffer     /var/lib/app/z4j is writable (20 GiB free)
  ✓ dns        brain.example → 203.0.113.7
  ✓ tcp        connected to 203.0.113.7:443 in 12 ms
  ✗ tls        CA not trusted: "Corp Root CA"
  - not run    websocket, auth, signing
error[tls.unknown_ca]: "Corp Root CA", which issued the certificate of
                       brain.example, is not trusted on this machine
  fix   Get its root certificate from its administrator, then set:
            export Z4J_CA_FILE=/path/to/corp-root-ca.pem
  more  python -m z4j_fastapi explain tls.unknown_ca
1 failed, 4 passed, 3 not run in 0.2 s
"""


def untrusted() -> Report:
    """The private CA of a company."""
    messages = (
        "https://brain.example, project default, agent web-1",
        "/var/lib/app/z4j is writable (20 GiB free)",
        "brain.example → 203.0.113.7",
        "connected to 203.0.113.7:443 in 12 ms",
    )
    told = '"Corp Root CA", which issued the certificate of brain.example, is not trusted on this machine'
    trust = Step(
        "Get its root certificate from its administrator, then set",
        "export Z4J_CA_FILE=/path/to/corp-root-ca.pem",
    )
    row = ProbeResult(
        "tls",
        Status.FAIL,
        "tls.unknown_ca",
        told,
        hint=trust,
        headline='CA not trusted: "Corp Root CA"',
    )
    rows = map(passed, NAMES, messages)
    return report(*rows, row, *(skipped(name, "tls failed") for name in NAMES[5:]))


def test_the_report_is_read_from_the_first_line_to_the_last() -> None:
    assert table.render(untrusted()) == UNTRUSTED


def test_an_encoding_without_symbols_has_ascii_ones() -> None:
    shown: list[str] = []
    printer = PlainPrinter(shown.append, width=80, verbose=False, encoding="ascii")
    printer.finish(untrusted())
    text = "".join(shown)
    assert text.isascii()
    assert "  x tls        CA not trusted" in text
    assert "brain.example -> 203.0.113.7" in text


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", [40, 60, 61, 72])
def test_a_narrow_terminal_breaks_no_line_but_a_commands(width: int, encoding: str) -> None:
    long = passed("buffer", f"/var/lib/{'a' * 60}/z4j → /srv/{'b' * 60} … is writable (20 GiB free)")
    several = several_causes().results[0]
    made = report(
        *untrusted().results[:1], long, *untrusted().results[2:4], several, *untrusted().results[4:]
    )
    shown: list[str] = []
    PlainPrinter(shown.append, width=width, verbose=False, encoding=encoding).finish(made)
    waits = table.Table(width, False, encoding).waiting("-", "tcp", f"connecting to {'a' * 60}.example", 3, 5)
    lines = [*"".join(shown).splitlines(), *table.plain([waits]).splitlines()]
    commands = ("            ", "  more  ")
    assert [line for line in lines if len(line) > width and not line.startswith(commands)] == []
    assert lines[0].startswith("z4j doctor 0.1.0")


@pytest.mark.component
def test_the_fix_stands_once_below_its_diagnosis() -> None:
    lines = table.render(expired_certificate()).splitlines()

    assert lines[-5:-1] == [
        "  fix   Renew it on the brain's proxy:",
        "            sudo certbot renew --cert-name brain.example --deploy-hook 'systemctl reload nginx'",
        "        Leave the brain running: it needs no restart.",
        "  more  python -m z4j_fastapi explain tls.expired",
    ]
    assert lines[-1] == "1 failed, 4 passed, 3 not run in 0.2 s"


def test_what_is_to_be_fixed_first_stands_before_warnings() -> None:
    row = expired_certificate().results[4]
    codes = re.findall(
        r"^(error|warning)\[(\S+)\]", table.render(report(partial_addresses(), row)), re.MULTILINE
    )
    assert codes == [("error", "tls.expired"), ("warning", "tcp.partial")]


@pytest.mark.component
def test_what_was_not_run_is_one_line_with_the_option_that_excluded_it() -> None:
    rows = [passed("config"), skipped("buffer", "excluded by --skip buffer"), skipped("tls", "tcp failed")]
    text = table.render(report(*rows))
    assert text.splitlines()[2] == "  - not run    buffer (--skip buffer); tls"


def test_green_says_so_last() -> None:
    last = table.render(green()).splitlines()[-1]
    assert last == "8 passed in 0.2 s. The agent can connect."


def test_warnings_are_counted_and_do_not_keep_the_agent_from_connecting() -> None:
    last = table.render(warned()).splitlines()[-1]
    assert last == "7 passed, 1 warning in 0.2 s. The agent can connect."


def test_an_agent_that_is_disabled_is_not_said_to_connect() -> None:
    off = ProbeResult("config", Status.WARN, "config.disabled", "switched off", hint="unset Z4J_DISABLED")
    last = table.render(report(off, *map(passed, NAMES[1:]))).splitlines()[-1]
    assert last == "7 passed, 1 warning in 0.2 s. The agent is disabled and will not connect."


@pytest.mark.parametrize("length", [30, 60, 300])
def test_a_long_value_is_shortened_in_its_middle(length: int) -> None:
    path = f"/start/{'p' * length}/end"
    row = table.render(report(passed("buffer", f"{path} is writable (20 GiB free)"))).splitlines()[1]
    assert len(row) <= 80
    assert re.search(r"  /start/p+(…p+)?/end is writable \(20 GiB free\)$", row)


def test_the_row_that_waits_says_for_what_and_how_long() -> None:
    waiting = table.Table(80, verbose=False).waiting
    early = table.plain([waiting("⠹", "tcp", "connecting to 203.0.113.7:443", 0.4, 5.0)])
    later = table.plain([waiting("⠹", "tcp", "connecting to 203.0.113.7:443", 3.2, 5.0)])
    long = table.plain([waiting("⠹", "dns", f"resolving {'a' * 200}.example", 3.2, 12.0)])
    assert early == "  ⠹ tcp        connecting to 203.0.113.7:443\n"
    assert later == "  ⠹ tcp        connecting to 203.0.113.7:443 … 3 of 5 s\n"
    assert len(long) <= 80
    assert long.endswith(".example … 3 of 12 s\n")


def test_the_settings_are_shown_with_their_sources_where_they_are_asked_for() -> None:
    text = table.render(green(), verbose=True)

    assert "https://brain.example  (env Z4J_BRAIN_URL)" in text
    assert "user app (1000)" in text
    assert re.search(r"secret +missing", text)


@pytest.mark.parametrize("width", [80, 120, 300])
def test_lines_keep_to_the_width_but_for_commands(width: int) -> None:
    lines = table.render(expired_certificate(), width=width, verbose=True).splitlines()

    too_long = [line for line in lines if len(line) > width]
    assert all("sudo certbot" in line or "https://" in line or "python -m" in line for line in too_long)


def test_a_command_is_on_a_line_of_its_own_and_whole() -> None:
    command = "sudo certbot renew --cert-name brain.example --deploy-hook 'systemctl reload nginx'"

    assert command in [line.strip() for line in table.render(expired_certificate()).splitlines()]


def test_verbose_shows_the_evidence() -> None:
    text = table.render(expired_certificate(), verbose=True)

    for evidence in ("took 41.0 ms", "not_after: 2026-11-20T12:00:00Z", "brain.example, www.brain.example"):
        assert evidence in text


def test_what_a_peer_sends_can_neither_color_nor_move_nor_forge_a_row() -> None:
    evil = "220 \x1b[2Jhello\r\n  ✓ dns      [bold]x[/bold] \u202eevil\x07"
    row = ProbeResult("tls", Status.FAIL, "tls.not_tls", evil, hint=evil, details={"banner": evil})
    text = table.render(report(row), verbose=True)

    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", text)
    assert "[bold]x[/bold]" in text
    assert not re.search(r"^  ✓ ", text, re.MULTILINE)


def test_steps_are_shown_one_by_one() -> None:
    # nothing is parsed: what joined steps once may stand in a path, and backticks in a text
    path = "/srv/it's; or, and `here`"
    steps = (Step(f"Give {path} to the service", f"chown 33 '{path}'"), Step("If that fails, set Z4J_HOME"))
    row = ProbeResult("tcp", Status.FAIL, "tcp.refused", "refused", hint=steps)
    lines = [line.strip() for line in table.render(report(row)).splitlines()]

    told = [f"fix   Give {path} to the service:", f"chown 33 '{path}'", "If that fails, set Z4J_HOME."]
    assert lines[lines.index(told[0]) :][:3] == told


def test_sizes_are_for_people() -> None:
    row = ProbeResult("buffer", Status.PASS, "buffer.ok", "writable", details={"free_bytes": 82362998784})

    assert "free_bytes: 76.7 GiB" in table.render(report(row), verbose=True)


def test_the_evidence_does_not_repeat_the_row() -> None:
    row = ProbeResult(
        "config", Status.FAIL, "config.missing", "no token", details={"problems": [{"message": "no token"}]}
    )

    assert table.render(report(row), verbose=True).count("no token") == 2  # the row and its diagnosis


@pytest.mark.parametrize("width", [1, 20, 40, 59])
def test_on_a_narrow_terminal_rows_stand_below_their_probe(width: int) -> None:
    lines = table.render(expired_certificate(), width=width, verbose=True).splitlines()

    assert "  ✗ tls" in lines
    if width >= 40:
        prose = lines[lines.index("  ✗ tls") :][:3]
        assert max(map(len, prose)) <= width


def test_a_warning_has_its_hint_and_is_no_failure() -> None:
    worn = ProbeResult("tls", Status.WARN, "tls.expiring_soon", "3 days left", hint="renew it")
    text = table.render(report(passed("config"), worn))

    assert "warning[tls.expiring_soon]: 3 days left\n  fix   renew it.\n" in text
    assert text.splitlines()[-1].endswith("The agent can connect.")


SEVERAL = """\
  ✗ config     1 required setting is missing, 2 more problems
  - not run    buffer, dns, tcp, tls, websocket, auth, signing
error[config.missing]: Z4J_HMAC_SECRET is not set
  fix   Copy it from the brain's dashboard:
            read -rs Z4J_HMAC_SECRET
        Already in a file? Add --env-file FILE.
  more  python -m z4j_fastapi explain config.missing
error[config.invalid_url]: Z4J_BRAIN_URL is not a valid brain URL: it has no
                           host
  fix   Set Z4J_BRAIN_URL to the address of the dashboard.
  more  python -m z4j_fastapi explain config.invalid_url
warning[config.unknown_variable]: Z4J_PROJECT is set, but not used
  fix   Rename Z4J_PROJECT to Z4J_PROJECT_ID.
  more  python -m z4j_fastapi explain config.unknown_variable
1 failed, 7 not run in 0.2 s
"""


def test_each_of_several_causes_is_a_diagnosis() -> None:
    assert table.render(several_causes()).partition("\n")[2] == SEVERAL


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "openmetrics"])  # which has no steps
def test_every_format_says_how_to_fix_each_of_several_causes(name: str) -> None:
    text = re.sub(r"<[^>]*>|\\", "", html.unescape(render(name, several_causes())))
    text = " ".join(text.split())
    (row, *_) = several_causes().results
    for cause in row.causes:
        assert cause.message in text
        assert cause.steps[0].text in text
        assert cause.code in text or name == "nagios"  # which gives each fix one line, and the row its code


def test_every_format_renders_every_report() -> None:
    for name in FORMATS:
        for each in (green(), expired_certificate(), several_causes()):
            assert render(name, each).endswith("\n")


@pytest.mark.component
@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal_rows_are_colored_and_keep_to_its_width(tmp_path: Path, columns: int) -> None:
    status, seen = on_terminal("doctor", home=tmp_path, columns=columns)

    assert status == 1
    assert b"\x1b[1;31m" in seen
    shown = ESCAPE.sub(b"", seen).decode()
    assert re.search(r"not run +buffer, dns, tcp, tls, websocket, auth, signing", shown)
    lines = [line.rpartition("\r")[2] for line in shown.replace("\r\n", "\n").split("\n")]
    assert max(len(line) for line in lines if "explain" not in line) <= columns


@pytest.mark.component
@pytest.mark.parametrize(("scheme", "probe"), [("https", "tls"), ("http", "websocket")])
def test_a_terminal_shows_which_check_waits_and_for_how_long(tmp_path: Path, scheme: str, probe: str) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}"
        given = {"Z4J_BRAIN_URL": url, "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET}
        _, seen = on_terminal("doctor", "--timeout", "3", home=tmp_path, columns=100, env=given)

    waiting = re.findall(r"^ *[⠀-⣿] (\w+) .*127\.0\.0\.1.* (\d) of 3 s *$", lines_drawn(seen), re.MULTILINE)
    assert (probe, "2") in waiting
    assert {name for name, _ in waiting} == {probe}


def lines_drawn(seen: bytes) -> str:
    """Every state of every line that a terminal was given."""
    return re.sub(r"[\r\n]+", "\n", ESCAPE.sub(b"", seen).decode())


@pytest.mark.component
@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_wants_no_escape_codes_gets_none(tmp_path: Path, env: dict[str, str]) -> None:
    _, seen = on_terminal("doctor", home=tmp_path, columns=80, env=env)

    assert b"\x1b" not in seen
    assert "✗ config".encode() in seen


@pytest.mark.component
def test_a_pipe_gets_no_escape_codes_even_if_colors_are_forced(tmp_path: Path) -> None:
    done = run("doctor", home=tmp_path, env={"FORCE_COLOR": "1"})

    assert "\x1b" not in done.stdout


def test_a_long_source_has_a_line_of_its_own() -> None:
    made = green()
    path = "/etc/a-service/with/a/rather/long/path.env"
    long = replace(made, config={**made.config, "sources": {"brain_url": f"file {path} Z4J_BRAIN_URL"}})
    text = table.render(long, verbose=True, width=80)
    assert path in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_row_says_the_headline_and_the_diagnosis_the_message() -> None:
    connected = ProbeResult("tcp", Status.PASS, "tcp.ok", "it took 12 ms", headline="connected in 12 ms")
    refused = ProbeResult("tls", Status.FAIL, "tls.expired", "the whole story", headline="expired")
    text = table.render(report(connected, refused))
    assert "  ✓ tcp        connected in 12 ms\n  ✗ tls        expired\n" in text
    assert "it took 12 ms" not in text
    assert "error[tls.expired]: the whole story\n" in text


def test_a_name_of_many_words_is_cut_in_its_middle() -> None:
    name = "The Corporate Root Certificate Authority of a Department 2026"
    row = ProbeResult("tls", Status.FAIL, "tls.unknown_ca", "m", headline=f'CA not trusted: "{name}"')
    shown = table.render(report(row)).splitlines()[1]
    assert len(shown) == 80
    assert re.search(r'CA not trusted: "The Corporate .*….* 2026"$', shown)


@pytest.fixture(scope="module")
def brain_with_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An agent's settings for a brain with a certificate of a private CA, which Z4J_CA_FILE names."""
    root = authority("Corp Root CA")
    context = server_context(issue(root, "localhost"))
    up, stop, found = threading.Event(), threading.Event(), dict[str, str]()

    async def serve() -> None:
        async with DevBrain(ssl_context=context) as brain:
            found.update(brain.environment(brain.mint("web-1")))
            up.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert up.wait(30)
    found["Z4J_CA_FILE"] = root.save(tmp_path_factory.mktemp("ca") / "root.pem")
    found["Z4J_BRAIN_URL"] = found["Z4J_BRAIN_URL"].replace("127.0.0.1", "localhost")
    yield found
    stop.set()
    thread.join()


def rows_on_terminal(home: Path, env: dict[str, str]) -> str:
    """The rows of a run on a terminal of 80 columns, as they are left on it, without colors."""
    _, seen = on_terminal("doctor", home=home, columns=80, env=env)
    lines = ESCAPE.sub(b"", seen).decode().replace("\r\n", "\n").split("\n")
    rows = [line.rpartition("\r")[2] for line in lines]
    assert max(len(row) for row in rows if row[2:3] in ("✓", "✗")) <= 80
    return "\n".join(row for row in rows if row[2:3] in ("✓", "✗"))


@pytest.mark.component
def test_each_row_of_a_green_run_has_the_name_or_the_number_that_tells(
    brain_with_tls: dict[str, str], tmp_path: Path
) -> None:
    port = brain_with_tls["Z4J_BRAIN_URL"].rpartition(":")[2]
    home = re.escape(str(tmp_path))
    expected = (
        rf"  ✓ config     https://localhost:{port}, project default, agent web-1",
        rf"  ✓ buffer     {home[:8]}.* is writable \(.* free\)",
        r"  ✓ dns        localhost → 127\.0\.0\.1( and 1 more)?",
        rf"  ✓ tcp        connected to 127\.0\.0\.1:{port} in [\d.]+ m?s",
        r"  ✓ tls        certificate valid until \d{4}-\d\d-\d\d \(\d+ days left\)",
        r"  ✓ websocket  upgraded at /ws/agent",
        r"  ✓ auth       token accepted by brain \S+",
        r"  ✓ signing    signatures verified in both directions",
    )
    assert re.fullmatch("\n".join(expected), rows_on_terminal(tmp_path, brain_with_tls))


@pytest.mark.component
def test_the_row_of_a_failure_names_what_failed(brain_with_tls: dict[str, str], tmp_path: Path) -> None:
    untrusted = {name: value for name, value in brain_with_tls.items() if name != "Z4J_CA_FILE"}
    rejected = brain_with_tls | {"Z4J_TOKEN": brain_with_tls["Z4J_TOKEN"][:-4] + "AAAA"}
    with closed_port() as port:
        refused = brain_with_tls | {"Z4J_BRAIN_URL": f"https://127.0.0.1:{port}"}
        last = [rows_on_terminal(tmp_path, env).splitlines()[-1] for env in (untrusted, rejected, refused)]
    assert last == [
        '  ✗ tls        CA not trusted: "Corp Root CA"',
        "  ✗ auth       token rejected by localhost",
        f"  ✗ tcp        connection refused by 127.0.0.1:{port}",
    ]
