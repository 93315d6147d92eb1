"""Showing a table while its probes run: in color with a spinner on a terminal, as plain text elsewhere.

A printer sees a climb as it happens (`head`, `running`, `row`), and `finish` prints whatever of the report
has not been shown yet: a printer that saw nothing prints the whole of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from z4j_fastapi.reports.table import Line, Table, plain
from z4j_probes.result import ProbeResult, Report

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ASCII_FRAMES = "-\\|/"
_FRAMES_A_SECOND = 10


class PlainPrinter:
    """Rows as they come, without an escape code."""

    def __init__(
        self, write: Callable[[str], None], *, width: int, verbose: bool, encoding: str = "utf-8"
    ) -> None:
        self._write = write
        self._table = Table(width, verbose, encoding)
        self._shown: set[str] = set()
        self._begun = False

    def head(self, report: Report) -> None:
        """The climb begins: print the settings."""
        if not self._begun:
            self._begun = True
            self._print(self._table.head(report))

    def running(self, name: str, waits_for: str, budget_s: float) -> None:
        """That probe's row is the next one: here there is nothing to show of it."""

    def row(self, result: ProbeResult) -> None:
        """A probe has ended: print its row, once."""
        if result.name not in self._shown:
            self._shown.add(result.name)
            self._print(self._table.row(result))

    def finish(self, report: Report) -> None:
        """Print what is missing, and the sum of it."""
        self.head(report)
        for result in report.results:
            self.row(result)
        self._print(self._table.foot(report))

    def _print(self, lines: Iterator[Line]) -> None:
        self._write(plain(lines))


class TerminalPrinter(PlainPrinter):
    """The same in the colors of the terminal's theme; the probe that runs says what it waits for."""

    def __init__(self, *, verbose: bool, encoding: str) -> None:
        from rich.console import Console
        from rich.live import Live

        # nothing in a text is markup, a number to highlight or an emoji code
        self._console: Console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        super().__init__(lambda text: None, width=self._console.width, verbose=verbose, encoding=encoding)
        self._running: tuple[str, str, float] | None = None
        self._since_s = 0.0
        self._live: Live = Live(
            get_renderable=self._waiting,
            console=self._console,
            refresh_per_second=_FRAMES_A_SECOND,
            transient=True,
        )

    def running(self, name: str, waits_for: str, budget_s: float) -> None:
        """Spin until that probe's row comes."""
        if name not in self._shown:
            self._running, self._since_s = (name, waits_for, budget_s), time.monotonic()
            self._live.start()

    def finish(self, report: Report) -> None:
        """Take the spinner away; print what is missing, and the sum of it."""
        self._running = None
        self._live.stop()
        super().finish(report)

    def _waiting(self) -> Text:
        if self._running is None:
            return _styled([])
        name, waits_for, budget_s = self._running
        waited_s = time.monotonic() - self._since_s
        frames = _ASCII_FRAMES if self._table.ascii else _FRAMES
        frame = frames[int(waited_s * _FRAMES_A_SECOND) % len(frames)]
        text = _styled(self._table.waiting(frame, name, waits_for, waited_s, budget_s))
        text.truncate(self._console.width, overflow="crop")
        return text

    def _print(self, lines: Iterator[Line]) -> None:
        for line in lines:
            # wrapped already; a command that is too long is the terminal's to wrap, so that it can be pasted
            self._console.print(_styled(line))


def _styled(line: Line) -> Text:
    from rich.text import Text

    return Text.assemble(*((piece.text, piece.style) for piece in line), no_wrap=True)
