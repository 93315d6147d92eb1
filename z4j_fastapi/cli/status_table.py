"""The table of `status`: a row for each agent process, under its service, and below it what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import groupby

from z4j_fastapi.inventory.processes import Unwired
from z4j_fastapi.inventory.rows import AgentRow
from z4j_fastapi.inventory.survey import NOT_WIRED, Survey
from z4j_fastapi.reports.table import Line, Piece, can_encode
from z4j_fastapi.reports.text import in_ascii, printable, shorten, step_lines, wrap
from z4j_fastapi.reports.wording import explain
from z4j_probes import Status, __version__

_WIDEST = 110
_LOOK = {Status.PASS: ("✓", "green"), Status.WARN: ("!", "bold yellow"), Status.FAIL: ("✗", "bold red")}
_ASCII_SYMBOLS = {"✓": "+", "✗": "x"}
_LABEL_WIDTH = 8
# The title, how much is not shown, and the sum.
_FEWEST = 3
_BELOW = " " * 6
# By which a number is abbreviated: a buffer holds four million events.
_SHORT = 100_000

Cell = Callable[[AgentRow, datetime], str]
# Head, what is in it, whether it is aligned to the right. Where a terminal is narrow, the last ones go first.
COLUMNS: tuple[tuple[str, Cell, bool], ...] = (
    ("PID", lambda row, now: str(row.pid), True),
    ("ROLE", lambda row, now: row.role, False),
    ("STATE", lambda row, now: row.state, False),
    ("SINCE", lambda row, now: _age(row.since, now), True),
    ("BUFFERED", lambda row, now: _amount(row.buffered), True),
    ("DROPPED", lambda row, now: _amount(row.dropped), True),
    ("LAST ACK", lambda row, now: _age(row.last_acknowledged_at, now), True),
    ("REJECTED", lambda row, now: _amount(row.rejected), True),
    ("ASIDE", lambda row, now: _amount(row.set_aside), True),
)


def lines(survey: Survey, *, width: int, encoding: str, room: int | None = None) -> Iterator[Line]:
    """The table, in characters that the encoding has, and in at most `room` lines where that is given."""
    is_ascii = not can_encode("✓✗…·→", encoding)
    found = list(_lines(survey, min(width, _WIDEST), is_ascii=is_ascii))
    if room is not None and len(found) > max(room, _FEWEST):
        kept = max(room, _FEWEST) - 2
        hidden = len(found) - kept - 1
        found[kept:-1] = [[Piece(f"  … {hidden} more lines, without --watch", "dim")]]
    for line in found:
        if is_ascii:
            yield [Piece(in_ascii(_ASCII_SYMBOLS.get(text, text)), style) for text, style in line]
        else:
            yield line


def _lines(survey: Survey, width: int, *, is_ascii: bool) -> Iterator[Line]:
    title = f"z4j status {__version__}"
    facts = shorten(printable(f"{title} · host {survey.host} · user {survey.user}"), width, is_ascii=is_ascii)
    yield [Piece(title, "bold"), Piece(facts.removeprefix(title), "dim")]
    if survey.agents:
        yield from _agents(survey, width, is_ascii=is_ascii)
    for one in survey.unwired:
        yield from _unwired(one, width)
    yield from _sum(survey, width)


def _agents(survey: Survey, width: int, *, is_ascii: bool) -> Iterator[Line]:
    columns, gap = _fitting(survey, width)
    table = [[printable(cell(row, survey.at)) for _, cell, _ in columns] for row in survey.agents]
    widths = [
        max(len(head), *map(len, cells))
        for (head, _, _), cells in zip(columns, zip(*table, strict=True), strict=True)
    ]

    def laid(cells: list[str]) -> str:
        aligned = (
            cell.rjust(size) if is_right else cell.ljust(size)
            for cell, size, (_, _, is_right) in zip(cells, widths, columns, strict=True)
        )
        return gap.join(aligned).rstrip()

    yield [Piece(f"    {laid([head for head, _, _ in columns])}", "dim")]
    shown = iter(table)
    for _, group in groupby(survey.agents, key=_service):
        rows = list(group)
        name = shorten(printable(rows[0].service) or "-", width // 2, is_ascii=is_ascii)
        facts = shorten(_facts(rows), width - 2 - len(name) - 3, is_ascii=is_ascii)
        yield [Piece(f"  {name}", "bold"), Piece(f" · {facts}", "dim")]
        for row in rows:
            symbol, style = _LOOK[row.verdict]
            yield [Piece("  "), Piece(symbol, style), Piece(f" {laid(next(shown))}")]
            for text in _troubles(row, survey.at):
                for line in wrap(text, width - len(_BELOW)):
                    yield [Piece(f"{_BELOW}{line}", "" if row.verdict is Status.FAIL else "dim")]


def _fitting(survey: Survey, width: int) -> tuple[tuple[tuple[str, Cell, bool], ...], str]:
    """As many columns as there is room for, and the gap between them."""
    for number in range(len(COLUMNS), 3, -1):
        columns = COLUMNS[:number]
        widths = [
            max(len(head), *(len(cell(row, survey.at)) for row in survey.agents)) for head, cell, _ in columns
        ]
        for gap in ("  ", " "):
            if 4 + sum(widths) + len(gap) * (number - 1) <= width:
                return columns, gap
    return COLUMNS[:3], " "


def _service(row: AgentRow) -> tuple[str, ...]:
    return row.service, row.user, row.brain_url, row.project_id, row.agent_name


def _facts(rows: list[AgentRow]) -> str:
    """What all rows of a service have in common: agent, user, and the brain with its version."""
    row = rows[0]
    versions = sorted({row.brain_version for row in rows if row.brain_version})
    brain = row.brain_url + (f" ({', '.join(versions)})" if versions else "")
    agent = "" if row.agent_name == row.service else f"agent {row.agent_name}"
    project = "" if row.project_id == "default" else f"project {row.project_id}"
    return printable(" · ".join(filter(None, (agent, project, f"user {row.user}", brain))))


def _troubles(row: AgentRow, now: datetime) -> Iterator[str]:
    if row.code or row.reason:
        said = f"{row.code}: {row.reason}" if row.code and row.reason else row.code or row.reason
        again = row.next_attempt_at
        wait = f"; next attempt in {_span(again - now)}" if again and again > now else ""
        yield f"{said}{wait}"
    if row.buffer_fault and row.buffer_fault != row.code:
        yield f"{row.buffer_fault}: events are kept only in memory"


def _unwired(one: Unwired, width: int) -> Iterator[Line]:
    label = f"error[{NOT_WIRED}]: "
    whose = f", unit {one.unit}" if one.unit else ""
    said = f"process {one.pid} ({one.program}{whose}) has settings, but no agent"
    first, *more = wrap(printable(f"{label}{said}"), width, hang=len(label))
    yield [Piece(first[: len(label)], "bold red"), Piece(first[len(label) :], "bold")]
    for line in more:
        yield [Piece(line, "bold")]
    label = f"{'  fix':<{_LABEL_WIDTH}}"
    for step in one.steps:
        for text, is_command in step_lines(step, width - _LABEL_WIDTH):
            yield [Piece(label, "cyan"), Piece(f"    {text}", "bold") if is_command else Piece(text)]
            label = " " * _LABEL_WIDTH
    yield [Piece(f"{'  more':<{_LABEL_WIDTH}}{explain(NOT_WIRED)}", "dim")]


def _sum(survey: Survey, width: int) -> Iterator[Line]:
    verdicts = {row.verdict for row in survey.agents}
    style = "bold red" if not survey.ok else "bold yellow" if Status.WARN in verdicts else "bold green"
    if not survey.agents:
        said = "No agent runs here"
    else:
        states = Counter(row.state for row in survey.agents)
        listed = ", ".join(f"{count} {state}" for state, count in states.most_common())
        said = f"{_number(len(survey.agents), 'agent')}: {listed}"
    if survey.unwired:
        said += f". {_number(len(survey.unwired), 'process', 'processes')} without an agent"
    for line in wrap(printable(f"{said}."), width):
        yield [Piece(line, style)]


def _number(count: int, one: str, many: str = "") -> str:
    return f"1 {one}" if count == 1 else f"{count} {many or f'{one}s'}"


def _amount(count: int) -> str:
    if count < _SHORT:
        return f"{count:,}"
    return f"{count / 1000:.0f} k" if count < 10 * _SHORT else f"{count / 1_000_000:.3g} M"


def _age(moment: datetime | None, now: datetime) -> str:
    return "-" if moment is None else _span(now - moment)


def _span(span: timedelta) -> str:
    seconds = max(0.0, span.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"
