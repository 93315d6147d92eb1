"""Recipes of docs/operations.md: found by their heading, and run where this machine has things elsewhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.pages import DOCS
from tests.support.programs import unavailable

# It comes with kubernetes-validate, of the development group.
yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: run `make setup`")
PAGE = DOCS / "operations.md"
MONITORING = DOCS / "monitoring"
# Where the page has the service's environment, and where these tests have theirs.
BIN = "/opt/my-service/bin/"
OURS = f"{Path(sys.executable).parent}/"


def recipe(heading: str, language: str) -> list[str]:
    """The blocks of that language in one section of the page."""
    section = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)
    (text,) = [part for part in section if part.startswith(f"{heading}\n")]
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def document(heading: str) -> Any:
    """The one block of YAML in that section, parsed."""
    (block,) = recipe(heading, "yaml")
    return yaml.safe_load(block)


def moved(text: str, *places: tuple[str, object]) -> str:
    """The recipe with what is elsewhere here; each place that is named has to be in it."""
    for there, here in ((BIN, OURS), *places):
        assert there in text, f"the page has no {there}"
        text = text.replace(there, str(here))
    return text


def script(name: str) -> str:
    """A program of this environment that the group `engines` installs."""
    path = Path(OURS) / name
    return str(path) if path.exists() else unavailable(f"{name} is not installed: run `make engines`")
