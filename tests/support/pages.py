"""The documentation as tests read it: its pages, their code blocks, and the scripts beside them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])


def blocks(page: Path, language: str) -> list[str]:
    """The fenced code blocks of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def rows(page: Path) -> list[list[str]]:
    """The rows of its tables, headings too, as lists of cells."""
    lines = [line for line in page.read_text().splitlines() if line.startswith("| ") and "| ---" not in line]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def load(path: Path) -> Any:
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def namespace(block: str) -> dict[str, Any]:
    """What a block of Python leaves behind when it is run."""
    names: dict[str, Any] = {}
    exec(compile(block, "a page's block", "exec"), names)
    return names
