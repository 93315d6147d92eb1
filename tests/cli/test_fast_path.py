from __future__ import annotations

from itertools import combinations

import pytest
import typer.testing

from z4j_fastapi.cli import doctor
from z4j_fastapi.cli.app import app
from z4j_fastapi.cli.fast_path import FLAGS, flags_of_doctor
from z4j_fastapi.cli.options import Options

# Each flag, each two of them (what one means may hang on another), and all.
LINES = [flags for count in (0, 1, 2, len(FLAGS)) for flags in combinations(FLAGS, count)]


@pytest.mark.parametrize("flags", LINES, ids=" ".join)
def test_a_plain_line_means_what_the_parser_makes_of_it(
    flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[Options] = []
    monkeypatch.setattr(doctor, "run", parsed.append)
    typer.testing.CliRunner().invoke(app, ["doctor", *flags])
    fields = flags_of_doctor(["doctor", *flags])
    assert fields is not None
    assert [Options(**fields)] == parsed


@pytest.mark.parametrize(
    "line",
    [
        "",
        "--json",
        "doctor --help",
        "doctor --jsn",
        "doctor --format json",
        "doctor --json x",
        "doctor --json --wait inf",
        "probes --json",
    ],
)
def test_any_other_line_is_left_to_the_parser(line: str) -> None:
    assert flags_of_doctor(line.split()) is None
