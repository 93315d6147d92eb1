"""The table that people read: one row a probe, and under each failed row why and what to do.

The rows are laid out here, as lines of styled pieces; `printers` shows them while the probes run. The
status is a word and a symbol: the colour only repeats it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from z4j_fastapi.reports.text import amount, printable, step_lines, wrap
from z4j_fastapi.reports.wording import EXPLAIN, SETTINGS, closing_word, counts, culprit, flat
from z4j_probes.result import ProbeResult, Report, Status, Step

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
_ASCII_SYMBOLS = {"✓": "+", "✗": "x"}
# Before the probes run; the buffer's row names the directory, and the first line the user.
_SETTINGS = SETTINGS[:5]
# Narrower than this, what a row says has its own lines below the probe's name.
_NARROW = 60
_NARROW_INDENT = 4
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

    def __init__(self, width: int, verbose: bool, encoding: str = "utf-8") -> None:
        self._symbols = _ASCII_SYMBOLS if not _can_encode("✓✗", encoding) else {}
        self._width = min(width, _WIDEST)
        self._indent = INDENT if width >= _NARROW else _NARROW_INDENT
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
            line = [Piece(f"  {label.lower():<9}"), Piece(shown, "yellow" if missing else "bold")]
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
        code = f"({result.code})" if troubled else ""
        text_style = "dim" if result.status is Status.SKIP else ""
        start = [
            Piece(f"  {self._symbols.get(symbol, symbol)} {word}  ", style),
            Piece(f"{result.name:<{NAME_WIDTH}}  ", "bold" if troubled else text_style),
        ]
        if self._indent < INDENT:
            yield start
            start = [Piece(" " * self._indent)]
        for line in wrap(f"{result.message} {code}".rstrip(), self._width - self._indent):
            yield [*start, *_message(line, code, text_style)]
            start = [Piece(" " * self._indent)]
        if troubled:
            yield from self._steps(result.steps)
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
            step = first.steps[0] if first.steps else Step(first.message)
            yield from _advice(Piece(_FIRST, "bold"), step_lines(step, self._width - len(_FIRST)))
        elif report.ok:
            yield [Piece(closing_word(report))]

    def _steps(self, steps: Iterable[Step]) -> Iterator[Line]:
        for step in steps:
            lines = step_lines(step, self._width - self._indent - 2)
            for line in _advice(Piece("> ", "cyan"), lines):
                yield [Piece(" " * self._indent), *line]

    def _evidence(self, result: ProbeResult) -> Iterator[Line]:
        if result.status is not Status.SKIP:
            yield [Piece(f"{' ' * self._indent}took {result.duration_ms:.1f} ms", "dim")]
        for path, value in flat(result.details):
            if value in (result.message, result.hint):
                continue
            label = f"{printable(path)}: "
            if path.endswith("_bytes") and value.isdecimal():
                value = amount(int(value))
            lines = wrap(value, self._width - self._indent - 2)
            if len(label) + len(lines[0]) > self._width - self._indent or len(lines) > 1:
                lines = ["", *lines]
            yield [Piece(" " * self._indent), Piece((label + lines[0]).rstrip(), "dim")]
            for line in lines[1:]:
                yield [Piece(" " * (self._indent + 2)), Piece(line, "dim")]


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _message(line: str, code: str, style: str) -> Iterator[Piece]:
    # the code is for whoever looks it up: it does not compete with what it means
    if code and line.endswith(code):
        yield Piece(line.removesuffix(code), style)
        yield Piece(code, "dim")
    else:
        yield Piece(line, style)


def _advice(mark: Piece, lines: Iterable[tuple[str, bool]]) -> Iterator[Line]:
    """What to do behind a mark, and what to paste under it."""
    indent = " " * len(mark.text)
    for number, (text, is_command) in enumerate(lines):
        start = mark if number == 0 else Piece(indent)
        yield [start, Piece(f"  {text}" if is_command and number else text, "bold" if is_command else "")]
