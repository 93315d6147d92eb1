"""The product's own sources, as tests read them: each is parsed once in a process, where it is needed."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import z4j_fastapi
import z4j_probes

PACKAGES = tuple(Path(str(package.__file__)).parent for package in (z4j_probes, z4j_fastapi))
SOURCES = sorted(path for package in PACKAGES for path in package.rglob("*.py"))


@cache
def text(path: Path) -> str:
    """What is in it."""
    return path.read_text(encoding="utf-8")


@cache
def tree(path: Path) -> ast.Module:
    """The same, parsed; it is shared, so leave it as it is."""
    return ast.parse(text(path))


def that_have(words: Iterable[str], paths: Iterable[Path] = SOURCES) -> list[Path]:
    """Those in whose text one of these words occurs, and so those that are worth parsing for it."""
    wanted = tuple(words)
    return [path for path in paths if any(word in text(path) for word in wanted)]
