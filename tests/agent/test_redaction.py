"""Redaction: what makes it fast leaves out no secret."""

from __future__ import annotations

import re
from re import _parser as parser  # type: ignore[attr-defined]  # typeshed has no private modules

import pytest
from hypothesis import given
from hypothesis import strategies as st

from z4j_fastapi.agent.redaction import REDACTED, SECRET_PATTERNS, SHORTEST, Redaction

REDACTION = Redaction()


def by_all_patterns(text: str) -> str:
    """The same by trying every pattern, one after the other."""
    for marks, pattern in SECRET_PATTERNS:
        if any(mark in text for mark in marks):
            text = re.sub(pattern, REDACTED, text, flags=re.DOTALL)
    return text


pieces = st.sampled_from([mark for marks, _ in SECRET_PATTERNS for mark in marks]) | st.text(max_size=4)
secrets = st.one_of([st.from_regex(re.compile(pattern, re.DOTALL)) for _, pattern in SECRET_PATTERNS])


@given(st.lists(pieces | secrets, max_size=6).map("".join))
def test_it_finds_what_all_patterns_find(text: str) -> None:
    assert REDACTION.text(text) == by_all_patterns(text)


@pytest.mark.parametrize(("marks", "pattern"), SECRET_PATTERNS)
def test_texts_that_are_not_looked_at_are_shorter_than_any_secret(
    marks: tuple[str, ...], pattern: str
) -> None:
    least, _ = parser.parse(pattern).getwidth()
    assert least >= SHORTEST or marks == ("://",)


def test_own_patterns_find_shorter_ones() -> None:
    assert Redaction((), (r"\d{3}", "x")).text("1234 x") == f"{REDACTED}4 {REDACTED}"
