"""The table that people read: one row a probe, and under each failed row why and what to do.

The rows are laid out here, as lines of styled pieces; `printers` shows them while the probes run. The
status is a word and a symbol: the colour only repeats it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from z4j_fastapi.reports.text import advice, first_step, printable, wrap
from z4j_fastapi.reports.wording import EXPLAIN, closing_word, counts, culprit, flat
from z4j_probes.result import ProbeResult, Report, Status

# Lines longer than this are hard to read, however wide the terminal is.
_WIDEST = 110
PLAIN_WIDTH = 80


class Piece(NamedTuple):
    """Some text in one style."""

    text: str
    style: str = ""


Line = list[Piece]

# Symbol, word and style. The 16 colours of the terminal's own theme, so that they suit light and dark ones.
_LOOK = {
    Status.PASS: ("✓", "pass", "green"),
    Status.WARN: ("!", "WARN", "yellow"),
    Status.FAIL: ("✗", "FAIL", "bold red"),
    Status.SKIP: ("-", "skip", "dim"),
}
_SETTINGS = (
    ("brain", "brain_url"),
    ("project", "project_id"),
    ("agent", "agent_name"),
    ("token", "token"),
    ("secret", "hmac_secret"),
)
NAME_WIDTH = 9
INDENT = 2 + 2 + 6 + NAME_WIDTH + 2
_FIRST = "Do first: "


def render(report: Report, *, verbose: bool = False, width: int = PLAIN_WIDTH) -> str:
    """The whole table as plain text."""
    table = Table(width, verbose)
    lines = [*table.head(report)]
    for result in report.results:
        lines += table.row(result)
    lines += table.foot(report)
    return plain(lines)


def plain(lines: Iterable[Line]) -> str:
    """Lines without their styles."""
    return "".join("".join(piece.text for piece in line).rstrip() + "\n" for line in lines)


class Table:
    """Lays reports out as lines for a given width."""

    def __init__(self, width: int, verbose: bool) -> None:
        self._width = min(width, _WIDEST)
        self._verbose = verbose

    def head(self, report: Report) -> Iterator[Line]:
        """Who asks, which brain, and where each setting came from."""
        user = report.config.get("user")
        who = f", as {printable(str(user))}" if user else ""
        yield [Piece(f"z4j doctor {report.version}", "bold"), Piece(who)]
        yield []
        sources: Mapping[str, str] = report.config.get("sources", {})
        for label, key in _SETTINGS:
            value = report.config.get(key)
            shown = printable(str(value)) if value else "missing"
            source = printable(sources.get(key, ""))
            missing = shown == "missing"
            line = [Piece(f"  {label:<9}"), Piece(shown, "yellow" if missing else "bold")]
            if not source:
                yield line
            elif 11 + len(shown) + len(source) + 4 <= self._width:
                yield [*line, Piece(f"  ({source})", "dim")]
            else:
                yield line
                yield [Piece(f"{'':<11}({source})", "dim")]
        yield []

    def row(self, result: ProbeResult) -> Iterator[Line]:
        """A probe's verdict; what to do about it; with `verbose` the evidence."""
        symbol, word, style = _LOOK[result.status]
        troubled = result.status in (Status.FAIL, Status.WARN)
        message = f"{result.message} ({result.code})" if troubled else result.message
        first, *more = wrap(message, self._width - INDENT)
        text_style = "dim" if result.status is Status.SKIP else ""
        yield [
            Piece(f"  {symbol} {word}  ", style),
            Piece(f"{result.name:<{NAME_WIDTH}}  ", "bold" if troubled else text_style),
            Piece(first, text_style),
        ]
        for line in more:
            yield [Piece(" " * INDENT), Piece(line, text_style)]
        if result.hint and troubled:
            yield from self._hint(result.hint)
        if self._verbose:
            yield from self._evidence(result)

    def foot(self, report: Report) -> Iterator[Line]:
        """The sum of it, and as the last line what to do first."""
        yield []
        seconds = f"in {report.duration_ms / 1000:.2f} s"
        style = "bold green" if report.ok else "bold red"
        yield [Piece(counts(report), style), Piece(f" {seconds}", "dim")]
        if report.interrupted:
            yield [Piece("Interrupted: what is above is all that is known.", "bold red")]
        first = culprit(report)
        if first is not None:
            yield [Piece("Why: ", "bold"), Piece(f"{EXPLAIN} {first.code}")]
            start, *more = advice(first_step(first.hint) or first.message, self._width - len(_FIRST))
            yield [Piece(_FIRST, "bold"), Piece(start.strip())]
            for line in more:
                yield [Piece(" " * len(_FIRST)), Piece(line)]
        elif report.ok:
            yield [Piece(closing_word(report))]

    def _hint(self, hint: str) -> Iterator[Line]:
        first, *more = advice(hint, self._width - INDENT - 2)
        yield [Piece(" " * INDENT), Piece("> ", "cyan"), Piece(first.strip())]
        for line in more:
            yield [Piece(" " * (INDENT + 2)), Piece(line)]

    def _evidence(self, result: ProbeResult) -> Iterator[Line]:
        if result.status is not Status.SKIP:
            yield [Piece(f"{' ' * INDENT}took {result.duration_ms:.1f} ms", "dim")]
        for path, value in flat(result.details):
            label = f"{printable(path)}: "
            lines = wrap(value, self._width - INDENT - 2)
            if len(label) + len(lines[0]) > self._width - INDENT or len(lines) > 1:
                lines = ["", *lines]
            yield [Piece(" " * INDENT), Piece((label + lines[0]).rstrip(), "dim")]
            for line in lines[1:]:
                yield [Piece(" " * (INDENT + 2)), Piece(line, "dim")]
