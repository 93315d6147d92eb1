"""The table on a terminal: colors as rich has them, and a spinner only where something takes its time."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from collections.abc import Callable

import pytest
from rich.console import Console

from tests.support.reports import expired_certificate, green, several_causes
from z4j_fastapi.reports.printers import TerminalPrinter, _styled
from z4j_fastapi.reports.table import Table, painted
from z4j_probes.result import Report

LOADS_RICH = """
import asyncio, sys
from tests.support.reports import green
from z4j_fastapi.reports.printers import TerminalPrinter

async def climb(report):
    printer.head(report)
    for result in report.results[:2]:
        printer.running(result.name, "an answer", 5.0)
        await asyncio.sleep({pause_s})
        printer.row(result)

printer, report = TerminalPrinter(print, width=80, verbose=False), green()
asyncio.run(climb(report))
printer.finish(report)
print(*("rich" in sys.modules,))
"""


@pytest.mark.parametrize("made", [green, expired_certificate, several_causes])
def test_lines_are_painted_as_rich_paints_them(made: Callable[[], Report]) -> None:
    report, table = made(), Table(100, True)
    lines = [*table.head(report), *(line for row in report.results for line in table.row(row))]
    lines += table.foot(report)
    console = Console(
        file=io.StringIO(),
        force_terminal=True,
        color_system="standard",
        width=200,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
    )
    with console.capture() as captured:
        for line in lines:
            console.print(_styled(line))
    assert painted(lines) == captured.get()


@pytest.mark.component
@pytest.mark.parametrize(("pause_s", "is_loaded"), [(0, "False"), (0.35, "True")])
def test_rich_is_loaded_for_the_spinner_alone(pause_s: float, is_loaded: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADS_RICH.format(pause_s=pause_s)], check=True, capture_output=True, text=True
    )
    assert done.stdout.split()[-1] == is_loaded


def test_a_terminal_that_is_not_ready_gets_its_text_from_rich(capsys: pytest.CaptureFixture[str]) -> None:
    written: list[str] = []
    printer = TerminalPrinter(written.append, width=80, verbose=False, ready=False)
    printer.finish(green())
    assert not written
    assert "z4j doctor" in capsys.readouterr().out


def test_a_printer_that_saw_the_climb_prints_each_row_once() -> None:
    written: list[str] = []
    printer, report = TerminalPrinter(written.append, width=80, verbose=False), green()

    async def climb() -> None:
        printer.head(report)
        for result in report.results:
            printer.running(result.name, "an answer", 5.0)
            printer.row(result)

    asyncio.run(climb())
    printer.finish(report)
    whole = TerminalPrinter(written.append, width=80, verbose=False)
    seen = "".join(written)
    written.clear()
    whole.finish(report)
    assert seen == "".join(written)
