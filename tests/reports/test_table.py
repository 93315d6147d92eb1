"""The table: what a person reads, on a terminal and elsewhere."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.cli import on_terminal, run
from tests.support.reports import NAMES, expired_certificate, green, passed, report
from z4j_fastapi.reports import FORMATS, render, table
from z4j_probes import ProbeResult, Status, Step

ESCAPE = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]")


def test_every_probe_has_its_row_with_a_word_and_a_symbol() -> None:
    text = table.render(expired_certificate())

    assert re.search(r"^  ✓ pass  config ", text, re.MULTILINE)
    assert re.search(r"^  ✗ FAIL  tls ", text, re.MULTILINE)
    assert re.search(r"^  - skip  auth       not run: tls failed$", text, re.MULTILINE)


def test_the_last_lines_say_what_to_do_first() -> None:
    lines = table.render(expired_certificate()).splitlines()

    assert "explain tls.expired" in lines[-3]
    assert lines[-2].startswith("Do first: Renew it on the brain's proxy:")


def test_green_says_so_last() -> None:
    assert table.render(green()).splitlines()[-1] == "Everything is in order: the agent can come online."


def test_an_agent_that_is_switched_off_is_not_said_to_come_online() -> None:
    off = ProbeResult("config", Status.WARN, "config.disabled", "switched off", hint="unset Z4J_DISABLED")
    last = table.render(report(off, *map(passed, NAMES[1:]))).splitlines()[-1]
    assert last == "Nothing failed, but the agent is switched off: it will not connect."


def test_the_settings_are_shown_with_their_sources() -> None:
    text = table.render(green())

    assert "https://brain.example  (env Z4J_BRAIN_URL)" in text
    assert "app (uid 1000)" in text
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


def test_what_a_peer_sends_can_neither_colour_nor_move_nor_forge_a_row() -> None:
    evil = "220 \x1b[2Jhello\r\n  ✓ pass  [bold]x[/bold] \u202eevil\x07"
    row = ProbeResult("tls", Status.FAIL, "tls.not_tls", evil, hint=evil, details={"banner": evil})
    text = table.render(report(row), verbose=True)

    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", text)
    assert "[bold]x[/bold]" in text
    assert not re.search(r"^  ✓ pass", text, re.MULTILINE)


def test_steps_are_shown_one_by_one_and_the_first_again_last() -> None:
    # nothing is taken apart: what joined steps once may stand in a path, and backticks in a text
    path = "/srv/it's; or, and `here`"
    steps = (Step(f"Give {path} to the service", f"chown 33 '{path}'"), Step("If that fails, set Z4J_HOME"))
    row = ProbeResult("tcp", Status.FAIL, "tcp.refused", "refused", hint=steps)
    lines = [line.strip() for line in table.render(report(row)).splitlines()]

    told = [f"> Give {path} to the service:", f"chown 33 '{path}'", "> If that fails, set Z4J_HOME"]
    assert lines[lines.index(told[0]) :][:3] == told
    assert lines[-2:] == [f"Do first: Give {path} to the service:", f"chown 33 '{path}'"]


def test_sizes_are_for_people() -> None:
    row = ProbeResult("buffer", Status.PASS, "buffer.ok", "writable", details={"free_bytes": 82362998784})

    assert "free_bytes: 76.7 GiB" in table.render(report(row), verbose=True)


def test_the_evidence_does_not_repeat_the_row() -> None:
    row = ProbeResult(
        "config", Status.FAIL, "config.missing", "no token", details={"problems": [{"message": "no token"}]}
    )

    assert table.render(report(row), verbose=True).count("no token") == 2  # the row, and what to do first


@pytest.mark.parametrize("width", [1, 20, 40, 59])
def test_on_a_narrow_terminal_rows_stand_below_their_probe(width: int) -> None:
    lines = table.render(expired_certificate(), width=width, verbose=True).splitlines()

    assert "  ✗ FAIL  tls" in lines
    if width >= 40:
        prose = lines[lines.index("  ✗ FAIL  tls") :][:3]
        assert max(map(len, prose)) <= width


def test_a_warning_has_its_hint_and_is_no_failure() -> None:
    worn = ProbeResult("tls", Status.WARN, "tls.expiring_soon", "3 days left", hint="renew it")
    text = table.render(report(passed("config"), worn))

    assert "> renew it" in text
    assert "can come online" in text.splitlines()[-1]


def test_every_format_renders_every_report() -> None:
    for name in FORMATS:
        for each in (green(), expired_certificate()):
            assert render(name, each).endswith("\n")


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal_rows_are_coloured_and_keep_to_its_width(tmp_path: Path, columns: int) -> None:
    status, seen = on_terminal("doctor", home=tmp_path, columns=columns)

    assert status == 1
    assert b"\x1b[1;31m" in seen
    shown = ESCAPE.sub(b"", seen).decode()
    assert all(f" {name} " in shown for name in NAMES)
    lines = [line.rpartition("\r")[2] for line in shown.replace("\r\n", "\n").split("\n")]
    assert max(map(len, lines)) <= columns


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_wants_no_escape_codes_gets_none(tmp_path: Path, env: dict[str, str]) -> None:
    _, seen = on_terminal("doctor", home=tmp_path, columns=80, env=env)

    assert b"\x1b" not in seen
    assert "✗ FAIL  config".encode() in seen


def test_a_pipe_gets_no_escape_codes_even_if_colours_are_forced(tmp_path: Path) -> None:
    done = run("doctor", home=tmp_path, env={"FORCE_COLOR": "1"})

    assert "\x1b" not in done.stdout


def test_a_long_source_has_a_line_of_its_own() -> None:
    made = green()
    path = "/etc/a-service/with/a/rather/long/path.env"
    long = replace(made, config={**made.config, "sources": {"brain_url": f"file {path} Z4J_BRAIN_URL"}})
    text = table.render(long, width=80)
    assert path in text
    assert max(map(len, text.splitlines())) <= 80
