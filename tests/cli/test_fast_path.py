from __future__ import annotations

import contextlib
import gc
import signal
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest
import typer.core
import typer.main

from z4j_fastapi import __main__ as program
from z4j_fastapi.cli import doctor
from z4j_fastapi.cli.app import app
from z4j_fastapi.cli.fast_path import FLAGS, REPEATABLE, VALUES, options_of_doctor
from z4j_fastapi.cli.options import Options

# Each flag, each two of them (what one means may hang on another), and all.
FLAG_LINES = [flags for count in (0, 1, 2, len(FLAGS)) for flags in combinations(FLAGS, count)]
# A value that is one of every kind.
ONE_OF_EACH = [(option, "42") for option in (*VALUES, *REPEATABLE)]
LINES = [
    *FLAG_LINES,
    *ONE_OF_EACH,
    *[(f"{option}={value}",) for option, value in ONE_OF_EACH if option.startswith("--")],
    ("--env-file", "/etc/my service.env", "--json", "--timeout", "2.5"),
    ("--env-file", "first", "--env-file=second"),
    ("--brain-url=https://brain.example/?a=b",),
    ("--only", "dns", "--only=tcp", "--skip", "buffer", "--only", "dns"),
    ("--label", "service=shop", "--label=team=payments"),
    ("--json", "--format", "table"),
    ("--format", "json", "--json"),
    ("--format", "nagios"),
    ("--format", "no-such-format"),
    ("--wait", "inf"),
    ("--wait", " 1e3 ", "--json"),
    ("--timeout", "nan"),
    ("--output", "/no/such/directory/report.json", "-o", "report.json"),
    ("--pid", "1_0"),
]


@pytest.fixture(scope="module")
def parser() -> typer.core.TyperGroup:
    """The parser of the whole command line, made once."""
    made = typer.main.get_command(app)
    assert isinstance(made, typer.core.TyperGroup)
    return made


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_a_line_means_what_the_parser_makes_of_it(
    line: tuple[str, ...], parser: typer.core.TyperGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[Options] = []
    monkeypatch.setattr(doctor, "run", parsed.append)
    with contextlib.suppress(SystemExit):
        parser.main(["doctor", *line], "z4j-fastapi")
    fields = options_of_doctor(["doctor", *line])
    assert fields is not None
    assert repr([Options(**fields)]) == repr(parsed)  # NaN is not equal to itself


@pytest.mark.parametrize(
    "line",
    [
        "",
        "--json",
        "doctor --help",
        "doctor -h",
        "doctor --jsn",
        "doctor --json x",
        "doctor --json=1",
        "doctor --json --format junit",
        "doctor --format=junit --json",
        "doctor --env-file",
        "doctor --env-file=",
        "doctor --env-file --json",
        "doctor --env",
        "doctor --timeout soon",
        "doctor --timeout -1",
        "doctor --pid 0",
        "doctor --pid one",
        "doctor -vo report",
        "doctor -oreport",
        "doctor -o=report",
        "doctor -- --json",
        "doctor --output /root/../proc/1/mem",
        "probes --json",
    ],
)
def test_any_other_line_is_left_to_the_parser(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: "/proc/" not in str(path))
    assert options_of_doctor(line.split()) is None


def test_every_option_of_the_parser_has_its_row(parser: typer.core.TyperGroup) -> None:
    command = parser.commands["doctor"]
    options = {option for param in command.params for option in param.opts}
    assert options == {*FLAGS, *VALUES, *REPEATABLE}


@pytest.mark.component
@pytest.mark.parametrize(
    "options", [("--env-file", "missing.env"), ("--only=config", "--timeout", "1"), ("--format=nagios",)]
)
def test_no_option_loads_the_parser(options: tuple[str, ...], tmp_path: Path) -> None:
    show = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from z4j_fastapi.cli.main import main\n"
        f"sys.argv = ['z4j-fastapi', 'doctor', '--only', 'config', *{options!r}]\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", show], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "z4j_probes.rungs.config.probe" in loaded, done.stderr
    assert not loaded & {"typer", "click", "pydantic", "rich"}


@pytest.mark.parametrize(
    ("line", "collects"), [("doctor --json", False), ("doctor --watch 1", True), ("doctor -vo report", True)]
)
def test_garbage_is_collected_where_a_run_goes_on(
    line: str, collects: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def run(options: Options) -> int:
        seen.append(gc.isenabled())
        return 0

    monkeypatch.setattr(doctor, "run", run)
    monkeypatch.setattr("sys.argv", ["z4j-fastapi", *line.split()])
    monkeypatch.setattr("z4j_fastapi.cli.main.block_signals", lambda: None)
    monkeypatch.setattr("z4j_fastapi.cli.main.streams.prepare", lambda: None)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        with pytest.raises(SystemExit):
            program.main()
    finally:
        gc.enable()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    assert seen == [collects]
