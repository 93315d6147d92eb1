"""Env files: the lines that dotenv and systemd mean the same by."""

from __future__ import annotations

import pytest

from z4j_probes.envfile import parse_envfile


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
