"""Nothing that is shipped asks an index for this distribution: its name may be another project's there."""

from __future__ import annotations

import re

import pytest

from tests.support.pages import PAGES, ROOT

SHIPPED = [
    *PAGES,
    *(path for path in (ROOT / "docs" / "examples").rglob("*.*") if path.suffix in (".py", ".toml", ".md")),
    *(ROOT / "probes").rglob("*.py"),
    *(ROOT / "z4j_fastapi").rglob("*.py"),
]
# What follows a bare name is no ` @ https://…`; a command's words are not.
BARE = re.compile(r"\b(?:install|add|upgrade)\s[^\n`]*(?<![\w/.-])z4j-fastapi\b(?!(?:\[[\w,]+\])?\s*@)")
REQUIRED = re.compile(r"^(?:dependencies\s*=|\s+\"z4j-fastapi)[^#\n]*\"z4j-fastapi(?![^\"]*@)", re.MULTILINE)


def test_the_distribution_is_not_asked_of_an_index() -> None:
    assert [file for file in SHIPPED if asks_an_index(file.read_text())] == []


def asks_an_index(text: str) -> bool:
    return bool(BARE.search(text) or REQUIRED.search(text))


@pytest.mark.parametrize(
    "text", ["`pip install -U z4j-fastapi`", "pip install 'z4j-fastapi[arq]'", "uv add z4j-fastapi"]
)
def test_a_bare_name_would_be_noticed(text: str) -> None:
    assert BARE.search(text)


@pytest.mark.parametrize(
    "text",
    ["pip install 'z4j-fastapi @ git+https://git.example/z4j'", "pip install 'z4j-fastapi[arq] @ file:///x'"],
)
def test_a_url_is_no_bare_name(text: str) -> None:
    assert BARE.search(text) is None
