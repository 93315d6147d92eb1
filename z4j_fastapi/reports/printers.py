"""Showing a table while its probes run: in colour with a spinner on a terminal, as plain text elsewhere.

A printer sees a climb as it happens (`head`, `running`, `row`), and `finish` prints whatever of the report
has not been shown yet: a printer that saw nothing prints the whole of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from z4j_fastapi.reports.table import INDENT, NAME_WIDTH, Line, Table, plain
from z4j_fastapi.reports.text import printable
from z4j_probes.result import ProbeResult, Report

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status


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

    def running(self, name: str, question: str) -> None:
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
    """The same in the colours of the terminal's theme, with a spinner on the probe that runs."""

    def __init__(self, *, verbose: bool) -> None:
        from rich.console import Console

        # nothing in a text is markup, a number to highlight or an emoji code
        self._console: Console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._status: Status = self._console.status("", spinner="dots" if self._is_utf8 else "line")
        encoding = self._console.encoding
        super().__init__(lambda text: None, width=self._console.width, verbose=verbose, encoding=encoding)

    def running(self, name: str, question: str) -> None:
        """Spin until that probe's row comes."""
        if name in self._shown:
            return
        from rich.text import Text

        room = max(self._console.width - INDENT - 1, 0)
        asked = Text(printable(question), "dim")
        asked.truncate(room, overflow="ellipsis" if self._is_utf8 else "crop")
        name_and_question = Text.assemble(f"{'':6}{name:<{NAME_WIDTH}}  ", asked, no_wrap=True)
        self._status.update(name_and_question)
        self._status.start()

    def finish(self, report: Report) -> None:
        """Take the spinner away; print what is missing, and the sum of it."""
        self._status.stop()
        super().finish(report)

    def _print(self, lines: Iterator[Line]) -> None:
        from rich.text import Text

        for line in lines:
            # wrapped already; a command that is too long is the terminal's to wrap, so that it can be pasted
            self._console.print(Text.assemble(*((piece.text, piece.style) for piece in line)))

    @property
    def _is_utf8(self) -> bool:
        return self._console.encoding.lower().startswith("utf")
