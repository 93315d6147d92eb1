"""`doctor --format`: the formats from the command line, and the plug-in's exit statuses."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from tests.support.cli import document, run
from tests.support.ladders import SECRET, TOKEN
from z4j_fastapi.devbrain import DevBrain
from z4j_fastapi.reports import FORMATS

pytestmark = pytest.mark.component


@pytest.fixture
def green_environment() -> Iterator[dict[str, str]]:
    """The settings of an agent whose brain is up, in a loop of its own while commands block this one."""
    up, stop = threading.Event(), threading.Event()
    environment: dict[str, str] = {}

    async def serve() -> None:
        async with DevBrain() as brain:
            environment.update(brain.environment(brain.mint("web")))
            up.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert up.wait(30)
    yield environment
    stop.set()
    thread.join()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_can_be_asked_for_and_is_in_the_help(name: str, tmp_path: Path) -> None:
    done = run("doctor", "--format", name, home=tmp_path)

    assert "config.missing" in done.stdout
    assert done.returncode == (2 if name == "nagios" else 1)
    assert name in run("doctor", "--help", home=tmp_path).stdout


def test_a_plug_in_is_ok_where_the_brain_is_reached(
    green_environment: dict[str, str], tmp_path: Path
) -> None:
    done = run("doctor", "--format", "nagios", home=tmp_path, env=green_environment)

    assert done.stdout.startswith(
        f"Z4J OK - the agent can connect to {green_environment['Z4J_BRAIN_URL']} (7 passed"
    )
    assert done.returncode == 0


def test_a_plug_in_warns_of_a_warning(green_environment: dict[str, str], tmp_path: Path) -> None:
    misspelled = green_environment | {"Z4J_TOKEM": "x"}
    lenient, strict = (
        run("doctor", "--format", "nagios", *more, home=tmp_path, env=misspelled)
        for more in ((), ("--strict",))
    )

    assert (lenient.returncode, lenient.stdout.split()[1]) == (1, "WARNING")
    assert (strict.returncode, strict.stdout.split()[1]) == (2, "CRITICAL")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--format", "nagios", "--no-such-option"],
        ["--format=nagios", "--only", "nothing"],
        ["--timeout", "-1", "--format", "nagios"],
    ],
)
def test_a_plug_in_with_a_wrong_command_line_is_unknown_and_not_critical(
    arguments: list[str], tmp_path: Path
) -> None:
    done = run("doctor", *arguments, home=tmp_path)

    assert done.stdout == "Z4J UNKNOWN - invalid command line (stderr says more)\n"
    assert done.stderr
    assert done.returncode == 3


def test_a_report_in_a_file_is_whole_and_stdout_stays_empty(tmp_path: Path) -> None:
    file = tmp_path / "doctor.xml"
    done = run("doctor", "--format", "junit", "--output", str(file), home=tmp_path)

    assert done.stdout == ""
    assert etree.parse(file).getroot().tag == "testsuites"


def test_reports_can_be_added_to_a_file_of_others(tmp_path: Path) -> None:
    summary, stream = tmp_path / "summary.md", tmp_path / "reports.jsonl"
    summary.write_text("# The build\nends in the middle of a line")
    run("doctor", "--format", "markdown", "--append", "-o", str(summary), home=tmp_path)
    for service in ("shop", "mail"):
        arguments = ("--json", "--append", "--label", f"service={service}", "-o", str(stream))
        done = run("doctor", *arguments, home=tmp_path)

    assert summary.read_text().startswith("# The build\nends in the middle of a line\n## ❌ z4j doctor")
    assert [document(line)["labels"]["service"] for line in stream.read_text().splitlines()] == [
        "shop",
        "mail",
    ]
    assert done.stderr.endswith(f"Added the report to {stream}.\n")


def test_a_document_that_is_a_file_of_its_own_can_not_be_added_to_another(tmp_path: Path) -> None:
    done = run("doctor", "--format", "html", "--append", "-o", str(tmp_path / "x"), home=tmp_path)

    assert done.returncode == 2
    assert "--append and --format html can't be used together" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("doctor", "--format", "nagios"), ("doctor", "--format", "github"), ("info",)]
)
def test_the_c_locale_gets_ascii(arguments: tuple[str, ...], tmp_path: Path) -> None:
    env = {"LC_ALL": "C", "Z4J_BRAIN_URL": "https://brain.example", "Z4J_PROJECT_ID": "a|b·c→d…"}
    env |= {"Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET}
    shown = run(*arguments, home=tmp_path, env=env).stdout
    assert "b-c->d..." in shown
    assert shown.isascii()
