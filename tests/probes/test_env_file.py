"""Env files: as people mean them, and as systemd reads them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from z4j_probes.env_file import parse_envfile, parse_environment_file, read_otherwise

# It reads ~/.config/environment.d with the parser that EnvironmentFile= has.
GENERATOR = Path("/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator")

# What systemd 252 made of it.
AS_SYSTEMD = {
    "A=1": {"A": "1"},
    "A = 1 ": {"A": "1"},
    "A=1\nA=2": {"A": "2"},
    "A=1\r\nB=2\r\n": {"A": "1", "B": "2"},
    "# A=1\n; B=2\n\n C=3": {"C": "3"},
    "no assignment\n=3\n1A=2\nA B=2": {},
    "export A=1": {},
    "\ufeffA=1": {},
    "A=1   # prod": {"A": "1   # prod"},
    "A=$HOME": {"A": "$HOME"},
    "A='a b'": {"A": "a b"},
    'A="a b"  ': {"A": "a b"},
    'A="a" # b': {"A": "a# b"},
    r'A="a\nb"': {"A": r"a\nb"},
    r'A="a\"\\\`b"': {"A": 'a"\\`b'},
    r"A='a\'": {"A": "a\\"},
    r"A=a\b": {"A": "ab"},
    r"A=a\\b": {"A": r"a\b"},
    "A=a\\  ": {"A": "a "},
    'A="a"b': {"A": "ab"},
    "A='it''s' \"too\"": {"A": "itstoo"},
    "A=it's": {"A": "it's"},
    'A=a"b"': {"A": 'a"b"'},
    'A="a\nb"\nB=2': {"A": "a\nb", "B": "2"},
    'A="a\\\nb"': {"A": "ab"},
    "A=a\\\nb\nB=2": {"A": "ab", "B": "2"},
    "A=1\\": {"A": "1"},
    'A="1\\': {"A": "1"},
    'A="a\nB=2': {"A": "a\nB=2"},
    "=\\\nB=2": {"B": "2"},
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A=1", {"A": "1"}),
        ("A = 1 ", {"A": "1"}),
        ("  export A=1", {"A": "1"}),
        ("A=", {"A": ""}),
        ("A=1\nA=2", {"A": "2"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("\ufeffA=1", {"A": "1"}),
        ("# A=1\n; B=2\n\nC=3", {"C": "3"}),
        ("no assignment\n=3\n1A=2", {}),
    ],
)
def test_lines_are_assignments_or_passed_over(text: str, found: dict[str, str]) -> None:
    assert parse_envfile(text) == found


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("'a b'", "a b"),
        ('"a b"', "a b"),
        ('"a \\" b"', 'a " b'),
        ("'a \\ b'", "a \\ b"),
        ('"a # b"', "a # b"),
        ('"a" # comment', "a"),
        ("a # comment", "a"),
        ("a#b", "a#b"),
        ("a=b", "a=b"),
        ("$HOME/x", "$HOME/x"),
        ('"unclosed', '"unclosed'),
        ("it's", "it's"),
        ('"a"b', '"a"b'),
        ('""', ""),
    ],
)
def test_quotes_and_comments_are_taken_off(value: str, meant: str) -> None:
    assert parse_envfile(f"A={value}") == {"A": meant}


def test_a_backslash_at_the_end_continues_a_line() -> None:
    assert parse_envfile("A=one\\\ntwo\nB=3") == {"A": "onetwo", "B": "3"}


def test_a_backslash_does_not_continue_a_comment() -> None:
    assert parse_envfile("# comment\\\nA=1") == {"A": "1"}


def test_a_backslash_at_the_end_of_the_file_is_the_end() -> None:
    assert parse_envfile("A=1\\") == {"A": "1"}


@pytest.mark.parametrize("text", AS_SYSTEMD)
def test_a_unit_has_what_systemd_reads(text: str) -> None:
    assert parse_environment_file(text) == AS_SYSTEMD[text]


@pytest.mark.component
@pytest.mark.skipif(not GENERATOR.exists(), reason="no systemd on this machine")
@pytest.mark.parametrize("text", [text for text in AS_SYSTEMD if "$" not in text])
def test_this_machines_systemd_reads_it_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "environment.d").mkdir()
    (tmp_path / "environment.d" / "a.conf").write_bytes(text.encode())
    said = subprocess.run(
        [GENERATOR],
        env={"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    pairs = (line.partition("=") for line in said.splitlines())
    found = {name: value for name, _, value in pairs if name in ("A", "B", "C")}
    # it quotes what a shell would have to have quoted
    assert {
        name: json.loads(value.replace("\\`", "`")) if value.startswith('"') else value
        for name, value in found.items()
    } == AS_SYSTEMD[text]


@pytest.mark.parametrize(
    "text", ["Z4J_TOKEN=x", "Z4J_TOKEN='x'", 'Z4J_TOKEN = "x y" ', "# Z4J_TOKEN=x # y", "Z4J_TOKEN="]
)
def test_a_line_that_all_readers_mean_the_same_by_is_not_remarked_upon(text: str) -> None:
    assert read_otherwise(text) == []


@pytest.mark.parametrize(
    "text",
    ["export Z4J_TOKEN=x", "Z4J_TOKEN=x # prod", 'Z4J_TOKEN="x"y', "Z4J_TOKEN=x\\y", "\ufeffZ4J_TOKEN=x"],
)
def test_a_line_that_systemd_reads_otherwise_is_known_by_its_variable(text: str) -> None:
    assert read_otherwise(f"{text}\nZ4J_PROJECT_ID=shop") == ["Z4J_TOKEN"]
