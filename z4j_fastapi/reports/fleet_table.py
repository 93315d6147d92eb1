"""Many reports as a table for people: a block for each code, failures first, in it a row for each report."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from z4j_fastapi.reports.fleet import Entry, in_order
from z4j_fastapi.reports.table import can_encode
from z4j_fastapi.reports.text import in_ascii, printable, shorten, wrap
from z4j_fastapi.reports.wording import label_text

_SYMBOLS = {"fail": "✗", "warn": "!", "pass": "✓"}
_ASCII_SYMBOLS = {"fail": "x", "warn": "!", "pass": "+"}
_INDENT = 4
_NARROWEST = 20


def render(found: list[Entry], *, width: int, encoding: str = "utf-8") -> str:
    """The table."""
    lines = []
    is_plain = not can_encode("✓✗…", encoding)
    symbols = _ASCII_SYMBOLS if is_plain else _SYMBOLS
    named = [entry for entry in found if entry.report is not None and entry.status != "pass"]
    hosts = min(max((len(printable(entry.host)) for entry in named), default=0), width // 3)
    labels = min(max((len(label_text(entry.report)) for entry in named), default=0), width // 3)
    for (status, code), group in groupby(in_order(found), lambda e: (e.status, e.code)):
        members = list(group)
        lines.append(f"{symbols[status]} {code} ({len(members)})")
        if status == "pass":
            lines += _indented("", ", ".join(_name(entry) for entry in members), width, is_ascii=is_plain)
            continue
        for entry in members:
            start = printable(entry.host) + "  "
            if entry.report is not None:
                start = f"{start:<{hosts + 2}}{printable(label_text(entry.report)):<{labels}}  "
            lines += _indented(start, entry.message, width, is_ascii=is_plain)
    lines.append(count(found))
    text = "\n".join(lines) + "\n"
    return in_ascii(text) if is_plain else text


def _indented(start: str, text: str, width: int, *, is_ascii: bool) -> Iterator[str]:
    """The text behind its start, in lines of that width if they can be."""
    start = " " * _INDENT + start
    if len(start) + _NARROWEST > width:
        yield start.rstrip()
        start = " " * (2 * _INDENT)
    room = max(width - len(start), _NARROWEST)
    for line in wrap(shorten(printable(text), room, is_ascii=is_ascii), room):
        yield f"{start}{line}".rstrip()
        start = " " * len(start)


def _name(entry: Entry) -> str:
    labels = label_text(entry.report)
    return printable(f"{entry.host} ({labels})" if labels else entry.host)


def count(found: list[Entry]) -> str:
    """The sum of it, in a sentence."""
    hosts = len({entry.host for entry in found if entry.report is not None})
    counted = [
        (sum(e.status == "fail" for e in found), "failed"),
        (sum(e.status == "warn" for e in found), "with warnings"),
        (sum(e.status == "pass" for e in found), "passed"),
    ]
    said = ", ".join(f"{number} {word}" for number, word in counted if number)
    return f"{_number(len(found), 'report')} of {_number(hosts, 'host')}: {said}"


def _number(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
