"""The documentation, held against what is there: links, codes, options, snippets."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest
import typer

from tests.support import cli
from tests.support.pages import DOCS, PAGES, ROOT, blocks, load, rows
from z4j_fastapi import health
from z4j_fastapi.agent import agent, frame_size, reconnect
from z4j_fastapi.buffer import event_buffer
from z4j_fastapi.cli.app import app
from z4j_fastapi.commands import memory as commands
from z4j_fastapi.health import DOCTOR_EVERY_S
from z4j_fastapi.reports import FORMATS, openmetrics
from z4j_fastapi.schedules import memory as schedules
from z4j_fastapi.workers.taskiq import dead_letters
from z4j_probes import Code, Report, Step, default_registry
from z4j_probes.codes import CATALOGUE
from z4j_probes.storage import aside, hello
from z4j_probes.variables import VARIABLES

PROBES = {row.probe for row in CATALOGUE.values()}


def anchors(page: Path) -> set[str]:
    text = page.read_text()
    explicit = set(re.findall(r"\{ #([\w-]+) \}", text))
    headings = re.findall(r"^#+ (.+?)(?: \{.*\})?$", text, flags=re.MULTILINE)
    return explicit | {re.sub(r"[^\w\s-]", "", h).strip().lower().replace(" ", "-") for h in headings}


def test_every_internal_link_leads_somewhere() -> None:
    broken = []
    for page in PAGES:
        for target in re.findall(r"(?:\]\(|src=\"|srcset=\")([^)\s\"]+)", page.read_text()):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            if name.endswith(".svg"):
                anchor = ""  # MkDocs's #only-dark and #only-light choose a picture
            file = (page.parent / name).resolve() if name else page
            if not file.exists() or (anchor and anchor not in anchors(file)):
                broken.append((page.name, target))
    assert broken == []


def test_the_index_leads_to_every_page() -> None:
    linked = re.findall(r"\]\(([\w-]+\.md)", (DOCS / "index.md").read_text())
    assert {page.name for page in DOCS.glob("*.md")} - {"index.md"} - set(linked) == set()


def test_the_architecture_has_each_directory_of_code() -> None:
    first = [row[0] for row in rows(DOCS / "architecture.md")]
    named = {Path(name).name for cell in first for name in re.findall(r"`([^`]+)`", cell)}
    packages = (ROOT / "z4j_fastapi", ROOT / "probes" / "z4j_probes")
    rooms = {init.parent.name for package in packages for init in package.glob("*/__init__.py")}
    assert len(rooms) > 12
    assert rooms - named == set()


def test_the_files_of_the_state_directory_are_named_where_one_looks_for_them() -> None:
    named = [file.FILE_NAME for file in (schedules, commands, dead_letters, aside, hello, frame_size)]
    tree = (DOCS / "agent.md").read_text().partition("$Z4J_HOME/  ")[2].partition("```")[0]
    for text in (tree, (DOCS / "security.md").read_text()):
        assert [name for name in (*named, "buffer-", "journal-", "status-") if name not in text] == []


async def test_every_route_is_named_and_those_that_are_open_to_everyone() -> None:
    def absent() -> NoReturn:
        raise LookupError

    told, operations = health.__doc__ or "", (DOCS / "operations.md").read_text()
    opened = []
    transport = httpx.ASGITransport(health.health_app(absent))
    async with httpx.AsyncClient(transport=transport, base_url="http://z4j") as client:
        listed = (await client.get("/none")).json()["error"].partition("valid routes: ")[2]
        for path in listed.split(", "):
            method = (await client.delete(path)).headers["allow"].split(", ")[0]
            assert f"| `{method} {path}` |" in told
            assert f"| `{method} /z4j{path}` |" in operations
            if (await client.request(method, path)).status_code != 403:
                opened.append(path)
    assert opened == [
        row[0].split("/z4j")[1].rstrip("`") for row in rows(DOCS / "operations.md") if row[-1] == "everyone"
    ]
    named = "only " + " and ".join(f"`{path}`" for path in opened)
    assert named in told
    assert named in " ".join((DOCS / "security.md").read_text().split())


def test_every_python_block_is_python() -> None:
    for page in PAGES:
        for block in blocks(page, "python"):
            compile(block, str(page), "exec")


def test_every_code_that_is_named_is_in_the_catalogue() -> None:
    named = {
        (page.name, code) for page in PAGES for code in re.findall(r"`([a-z]+\.[a-z_]+)`", page.read_text())
    }
    assert {
        (page, name) for page, name in named if name.partition(".")[0] in PROBES and name not in CATALOGUE
    } == set()


def test_every_variable_that_is_named_is_read() -> None:
    known = {name for v in VARIABLES for name in (v.name, v.file_name)} | {"Z4J_TEST_BRAIN"}
    pages = [page for page in PAGES if page.parent.name != "probes"]  # there, misspelled ones are the point
    named = {
        (page.name, name) for page in pages for name in re.findall(r"\bZ4J_[A-Z_]+[A-Z]\b", page.read_text())
    }
    assert {(page, name) for page, name in named if name not in known} == set()


def commands_with_their_options(command: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], set[str]]:
    found = {path: {"--help", "-h"} | {option for one in command.params for option in one.opts}}
    for name, below in getattr(command, "commands", {}).items():
        found |= commands_with_their_options(below, (*path, name))
    return found


def test_every_command_line_that_is_shown_names_a_command_and_its_options() -> None:
    known = commands_with_their_options(typer.main.get_command(app))
    assert ("aside", "retry") in known
    for page in PAGES:
        if page.parent.name == "probes":  # there, mistakes are the point
            continue
        text = page.read_text().replace('", "', " ").replace("\\\n", " ")  # commands in YAML are lists
        for line in re.findall(r"(?:z4j_fastapi|z4j-fastapi) (?!import )([^|;&`)\n\"#]*)", text):
            words, path = line.split(), tuple[str, ...]()
            while words and (*path, words[0]) in known:
                path = (*path, words.pop(0))
            named = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
            assert named <= known[path], (page.name, line)
            assert path or not words or words[0].startswith("-"), (page.name, line)


@pytest.mark.component
def test_the_reference_has_every_option_of_the_doctor(tmp_path: Path) -> None:
    shown = cli.run("doctor", "--help", home=tmp_path).stdout
    options = set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", shown, flags=re.MULTILINE)) - {"--help"}
    text = (DOCS / "doctor.md").read_text()
    assert {option for option in options if f"`{option}" not in text} == set()


@pytest.mark.component
def test_the_reference_has_every_command(tmp_path: Path) -> None:
    shown = cli.run("--help", home=tmp_path).stdout.partition("Commands:")[2]
    commands = set(re.findall(r"^  ([a-z-]+) ", shown, flags=re.MULTILINE)) - {"doctor"}
    table = (DOCS / "doctor.md").read_text().partition("## The other commands")[2]
    assert len(commands) > 5
    assert {command for command in commands if f"| `{command}" not in table} == set()


def test_the_pages_of_probes_are_written_from_catalogue_and_record() -> None:
    written = load(DOCS / "write_probes.py").pages()
    there = {path.name: path.read_text() for path in (DOCS / "probes").glob("*.md")}
    assert there == written, "run `python docs/write_probes.py`"


def test_each_prefix_has_a_page_with_an_anchor_for_each_code() -> None:
    for row in CATALOGUE.values():
        assert f"{{ #{row.anchor} }}" in (DOCS / "probes" / f"{row.probe}.md").read_text()


def test_the_index_has_every_code_in_a_row() -> None:
    codes = [row[0] for row in rows(DOCS / "probes" / "index.md") if row[0].startswith("[`")]
    assert codes == [f"[`{row.code}`]({row.probe}.md#{row.anchor})" for row in CATALOGUE.values()]


def test_codes_that_no_probe_gives_would_have_a_page_too(monkeypatch: pytest.MonkeyPatch) -> None:
    script = load(DOCS / "write_probes.py")
    row = Code("signing_of_others.lost", "a frame was lost", remedy=Step("Look at it", "date -u"))
    monkeypatch.setattr(script, "CATALOGUE", {row.code: row})
    monkeypatch.setattr(script, "subject", lambda prefix: f"Codes of {prefix}.")
    page = script.pages()["signing_of_others.md"]
    assert "{ #signing-of-others-lost }" in page
    assert "Look at it:\n\n```sh\ndate -u\n```" in page


def test_the_reference_has_the_probes_with_their_questions() -> None:
    table = {row[0]: row[1] for row in rows(DOCS / "doctor.md")}
    for probe in default_registry():
        assert table[f"[`{probe.name}`](probes/{probe.name}.md)"] == probe.question


def test_the_reference_has_every_setting_with_its_variable() -> None:
    text = (DOCS / "doctor.md").read_text()
    assert {v.name for v in VARIABLES if f"`{v.name}`" not in text} == set()


def test_the_reference_has_every_format() -> None:
    text = (DOCS / "doctor.md").read_text()
    assert {name for name in FORMATS if f"`{name}`" not in text} == set()


def test_the_json_that_is_shown_is_of_the_schema() -> None:
    (block,) = blocks(DOCS / "doctor.md", "json")
    cli.document(block)


def test_the_metrics_that_are_named_are_written() -> None:
    (block,) = blocks(DOCS / "doctor.md", "json")
    written = openmetrics.render(Report.from_dict(json.loads(block)))
    for name in re.findall(r"\bz4j_doctor\w+", (DOCS / "operations.md").read_text()):
        assert f"# TYPE {name} " in written


def test_the_numbers_that_are_named_are_those_of_the_code() -> None:
    text = " ".join((DOCS / "agent.md").read_text().split())
    assert f"{event_buffer.MAX_EVENTS:,} events or {event_buffer.MAX_BYTES // 2**30} GiB" in text
    assert f"({agent.PREFLIGHT_BUDGET_S:.0f} seconds)" in text
    told = " ".join((agent.Z4JAgent.__doc__ or "").split())
    assert f"`preflight_budget_s` ({agent.PREFLIGHT_BUDGET_S:.0f} seconds)" in told
    assert f"`shutdown_budget_s` ({agent.SHUTDOWN_BUDGET_S:.0f} seconds)" in told
    assert f"`max_buffered_events` ({event_buffer.MAX_EVENTS:,})" in told
    assert f"`max_buffered_bytes` ({event_buffer.MAX_BYTES // 2**30} GiB)" in told
    assert schedule(reconnect.QUICK) == (5, 30)
    assert "after 5 seconds doubling to 30;" in text
    assert schedule(reconnect.LIMITED) == (10, 120)
    assert "after 10 seconds doubling to 2 minutes;" in text
    assert schedule(reconnect.SLOW) == (10, 600)
    assert "after 10 seconds doubling to 10 minutes;" in text
    assert schedule(reconnect.UPGRADE) == (120, 3600)
    assert "after 2 minutes doubling to an hour." in text
    assert f"`doctor_every_s` seconds ({DOCTOR_EVERY_S:.0f})" in (DOCS / "operations.md").read_text()


def schedule(one: reconnect.Schedule) -> tuple[float, float]:
    return one.base_s, one.cap_s


def test_no_page_names_a_path_of_the_machine_that_wrote_it() -> None:
    assert [page.name for page in PAGES if str(ROOT) in page.read_text()] == []
