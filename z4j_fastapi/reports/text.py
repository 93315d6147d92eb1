"""Text for terminals: nothing in it can move a cursor, and a command in it can be pasted."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from z4j_probes.result import Step

_NARROWEST = 20


def printable(text: str) -> str:
    """The text with every control, format and surrogate character replaced: peers may send anything."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns, except for words that are longer than that (URLs, paths)."""
    width = max(width, _NARROWEST)
    lines: list[str] = []
    for paragraph in text.splitlines():
        lines += textwrap.wrap(printable(paragraph), width, break_long_words=False, break_on_hyphens=False)
    return lines or [""]


def step_lines(step: Step, width: int) -> Iterator[tuple[str, bool]]:
    """A step's sentence, wrapped, and its command, unbroken; True marks the command.

    A terminal that is too narrow for a command wraps it by itself; a line break of ours would be pasted too.
    """
    if step.text:
        yield from ((line, False) for line in wrap(sentence(step), width))
    if step.command:
        yield printable(step.command), True


def sentence(step: Step) -> str:
    """What a step says, with a colon where its command follows."""
    return f"{step.text}:" if step.command else step.text


def amount(size_bytes: float) -> str:
    """A number of bytes for people."""
    unit = "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size_bytes < 1024:
            break
        size_bytes, unit = size_bytes / 1024, larger
    return f"{size_bytes:.3g} {unit}" if size_bytes < 1000 else f"{size_bytes:.0f} {unit}"
