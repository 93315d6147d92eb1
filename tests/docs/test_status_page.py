"""The page on status and metrics, held against what is there."""

from __future__ import annotations

from tests.support.pages import DOCS, rows
from z4j_fastapi.agent.files import LOOK_EVERY_S
from z4j_fastapi.cli.status_table import COLUMNS
from z4j_fastapi.inventory.metrics import kinds
from z4j_fastapi.inventory.processes import PROGRAMS, STARTING_S

PAGE = DOCS / "status.md"


def test_the_page_has_every_metric_with_its_type() -> None:
    listed = {
        row[0].strip("`").removesuffix("_total"): row[1] for row in rows(PAGE) if "z4j_agent_" in row[0]
    }
    assert listed == {name: kind for name, kind, _ in kinds()}


def test_the_page_has_every_column() -> None:
    listed = [name for row in rows(PAGE) for name in row[0].replace("`", "").split(", ") if name.isupper()]
    assert sorted(listed) == sorted(head for head, _, _ in COLUMNS)


def test_the_page_has_every_program_and_the_times() -> None:
    text = PAGE.read_text()
    assert {name for name in PROGRAMS if f"`{name}" not in text} == set()
    assert (STARTING_S, LOOK_EVERY_S) == (10.0, 2.0)
    assert "older than ten seconds" in text
    assert "every two seconds" in text
