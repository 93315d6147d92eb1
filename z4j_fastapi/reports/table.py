"""The table that people read: one row a probe, and below the rows what failed, why, and how to fix it.

Lines are laid out here as pieces with styles; `printers` shows them while the probes run. The verdict is a
symbol, and a word in the diagnosis: color only repeats it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from z4j_fastapi.reports.text import in_ascii, printable, shorten, step_lines, wrap
from z4j_fastapi.reports.wording import (
    SETTINGS,
    by_cause,
    closing_word,
    counts,
    diagnoses,
    explain,
    flat,
    headline,
    message,
    took,
)
from z4j_probes.result import ProbeResult, Report, Status, Step
from z4j_probes.size import amount

# Lines longer than this are hard to read, however wide the terminal is.
_WIDEST = 110
PLAIN_WIDTH = 80


class Piece(NamedTuple):
    """Some text in one style."""

    text: str
    style: str = ""


Line = list[Piece]

# Symbol and style. The 16 colors of the terminal's own theme, so that they suit light and dark ones.
_LOOK = {
    Status.PASS: ("✓", "green"),
    Status.WARN: ("!", "bold yellow"),
    Status.FAIL: ("✗", "bold red"),
    Status.SKIP: ("-", "dim"),
}
_ASCII_SYMBOLS = {"✓": "+", "✗": "x"}
# Narrower than this, what a row says has its own lines below the probe's name.
_NARROW = 60
_NARROW_INDENT = 4
NAME_WIDTH = 9
INDENT = 2 + 2 + NAME_WIDTH + 2
# Below a diagnosis: "  fix   " and "  more  ".
_LABEL_WIDTH = 8
# Where a code leaves its message less room than this, the message's next lines begin further to the left.
_LEAST_ROOM = 30


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
    """Lays reports out as lines for a given width, in characters that the encoding has."""

    def __init__(self, width: int, verbose: bool, encoding: str = "utf-8") -> None:
        self.ascii = not can_encode("✓✗…·→", encoding)
        self._width = min(width, _WIDEST)
        self._indent = INDENT if width >= _NARROW else _NARROW_INDENT
        self._verbose = verbose

    def head(self, report: Report) -> Iterator[Line]:
        """Which doctor looks, as which user, at whose settings; with `verbose` the settings."""
        title = f"z4j doctor {report.version}"
        facts = []
        if report.config.get("user"):
            facts.append(f"user {report.config['user']}".replace("(uid ", "("))
        if report.config.get("settings_from"):
            facts.append(f"settings from {report.config['settings_from']}")
        facts += [f"{name}={value}" for name, value in report.labels.items()]
        rest = "".join(f" · {printable(fact)}" for fact in facts)
        first, *more = wrap(self._short(f"{title}{rest}", self._width), self._width, hang=_NARROW_INDENT)
        lines = [[Piece(first[: len(title)], "bold"), Piece(first[len(title) :], "dim")]]
        yield from self._lines([*lines, *([Piece(line, "dim")] for line in more)])
        if self._verbose:
            yield from self._lines(self._settings(report))

    def row(self, result: ProbeResult) -> Iterator[Line]:
        """A probe's verdict; with `verbose` the evidence. What was not run is told by the foot."""
        if result.code != f"{result.name}.skipped":
            yield from self._lines(self._row(result))

    def foot(self, report: Report) -> Iterator[Line]:
        """What was not run; each diagnosis with its fix; and the sum of it."""
        yield from self._lines(self._not_run(report))
        for result in diagnoses(report):
            yield from self._lines(self._diagnosis(result))
        yield from self._lines(self._sum(report))

    def waiting(self, spinner: str, name: str, what: str, waited_s: float, budget_s: float) -> Line:
        """The row of the probe that runs: what it waits for and, after a second, for how long."""
        clock = f" {'...' if self.ascii else '…'} {int(waited_s)} of {budget_s:g} s" if waited_s >= 1 else ""
        start = f"  {spinner} {name:<{NAME_WIDTH}}  "
        room = max(self._width - len(start) - len(clock) - 1, 0)
        shown = self._short(what, room)[:room]  # the time is shown in any case
        line = [
            Piece(f"  {spinner} ", "cyan"),
            Piece(f"{name:<{NAME_WIDTH}}  "),
            Piece(f"{shown}{clock}", "dim"),
        ]
        return next(self._lines([line]))

    def _text(self, text: str) -> str:
        """The text as it can be shown, before it is laid out: in ASCII some of it is longer."""
        return in_ascii(text) if self.ascii else text

    def _short(self, text: str, room: int) -> str:
        return shorten(printable(text), room, is_ascii=self.ascii)

    def _lines(self, lines: Iterable[Line]) -> Iterator[Line]:
        for line in lines:
            yield [Piece(in_ascii(text), style) for text, style in line] if self.ascii else line

    def _settings(self, report: Report) -> Iterator[Line]:
        sources: Mapping[str, str] = report.config.get("sources", {})
        for label, key in SETTINGS[:5]:
            value = report.config.get(key)
            shown = printable(str(value)) if value else "missing"
            source = printable(sources.get(key, ""))
            line = [Piece(f"  {label.lower():<9}"), Piece(shown, "yellow" if shown == "missing" else "")]
            if source and 11 + len(shown) + len(source) + 4 > self._width:
                yield line
                line = [Piece(" " * 11)]
            yield [*line, Piece(f"  ({source})", "dim")] if source else line

    def _row(self, result: ProbeResult) -> Iterator[Line]:
        symbol, style = _LOOK[result.status]
        if self.ascii:
            symbol = _ASCII_SYMBOLS.get(symbol, symbol)
        troubled = result.status in (Status.FAIL, Status.WARN)
        start = [
            Piece(f"  {symbol} ", style),
            Piece(f"{result.name:<{NAME_WIDTH}}  ", "bold" if troubled else ""),
        ]
        if self._indent < INDENT:
            yield start
            start = [Piece(" " * self._indent)]
        room = self._width - self._indent
        for line in wrap(self._short(headline(result), room), room):
            yield [*start, Piece(line, "dim" if result.status is Status.SKIP else "")]
            start = [Piece(" " * self._indent)]
        if self._verbose:
            yield from self._evidence(result)

    def _not_run(self, report: Report) -> Iterator[Line]:
        """One line for all: a reason stands behind the names of what was left out on purpose."""
        by_reason: dict[str, list[str]] = {}
        for result in report.results:
            if result.code == f"{result.name}.skipped":
                reason = message(result)
                reason = "" if reason.endswith(" failed") else reason.removeprefix("excluded by ")
                by_reason.setdefault(reason, []).append(result.name)
        if not by_reason:
            return
        said = [
            f"{', '.join(names)}{f' ({reason})' if reason else ''}" for reason, names in by_reason.items()
        ]
        start = f"  {_LOOK[Status.SKIP][0]} {'not run':<{NAME_WIDTH}}  "
        for line in wrap(self._text("; ".join(said)), self._width - len(start)):
            yield [Piece(f"{start}{line}", "dim")]
            start = " " * len(start)

    def _diagnosis(self, result: ProbeResult) -> Iterator[Line]:
        kind, style = ("error", "bold red") if result.status is Status.FAIL else ("warning", "bold yellow")
        label = f"{kind}[{result.code}]: "
        hang = len(label) if self._width - len(label) >= _LEAST_ROOM else 2
        first, *more = wrap(self._text(f"{label}{message(result)}"), self._width, hang=hang)
        yield [Piece(first[: len(label)], style), Piece(first[len(label) :], "bold")]
        for line in more:
            yield [Piece(line, "bold")]
        label = f"{'  fix':<{_LABEL_WIDTH}}"
        for text, is_command in (
            line
            for step in result.steps
            for line in step_lines(Step(self._text(step.text), step.command), self._width - len(label))
        ):
            yield [Piece(label, "cyan"), Piece(f"    {text}", "bold") if is_command else Piece(text)]
            label = " " * _LABEL_WIDTH
        yield [Piece(f"{'  more':<{_LABEL_WIDTH}}{explain(result.code)}", "dim")]

    def _sum(self, report: Report) -> Iterator[Line]:
        style = "bold red" if not report.ok else "bold yellow" if report.summary["warn"] else "bold green"
        said = f"{counts(report)} in {took(report.duration_ms)}"
        word = closing_word(report)
        for line in wrap(f"{said}. {word}" if word else said, self._width):
            yield [Piece(line, style)]

    def _evidence(self, result: ProbeResult) -> Iterator[Line]:
        if result.status is not Status.SKIP:
            yield [Piece(f"{' ' * self._indent}took {result.duration_ms:.1f} ms", "dim")]
        told = {text for row in (result, *by_cause(result)) for text in (row.message, row.hint)}
        for path, value in flat(result.details):
            if value in told:
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


def can_encode(text: str, encoding: str) -> bool:
    """Whether the encoding has all its characters."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
