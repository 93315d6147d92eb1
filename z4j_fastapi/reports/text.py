"""Text for terminals: nothing in it can move a cursor, and a command in it can be pasted."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from z4j_probes.result import Step

_NARROWEST = 20
# A path that is cut below this says nothing any more.
_SHORTEST = 16
# What is cut as one: a word, or several in quotes (the name of a CA).
_VALUE = r'"[^"]*"[^ ]*|[^ ]+'
_IN_ASCII = str.maketrans({"…": "...", "·": "-", "→": "->", "–": "-", "“": '"', "”": '"', "’": "'", "¦": ":"})


def printable(text: str) -> str:
    """The text with every control, format and surrogate character replaced: peers may send anything."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)


def wrap(text: str, width: int, *, hang: int = 0) -> list[str]:
    """Lines of at most `width` columns, except for words that are longer than that (URLs, paths).

    All lines but the first begin with `hang` spaces.
    """
    width = max(width, _NARROWEST)
    lines: list[str] = []
    for paragraph in text.splitlines():
        lines += textwrap.wrap(
            printable(paragraph),
            width,
            initial_indent=" " * hang if lines else "",
            subsequent_indent=" " * hang,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines or [""]


def shorten(text: str, width: int, *, is_ascii: bool = False) -> str:
    """The text with its longest values (paths, URLs, names) cut in their middle until it fits, if it can.

    With `is_ascii` in the characters of an old encoding, of which some take more columns.
    """
    mark = "..." if is_ascii else "…"
    words = re.findall(_VALUE, in_ascii(text) if is_ascii else text)
    while (excess := len(" ".join(words)) - width) > 0:
        place = max(range(len(words)), key=lambda i: len(words[i]))
        word = words[place]
        kept = max(len(word) - excess - len(mark), _SHORTEST)
        if kept + len(mark) >= len(word):
            break
        words[place] = f"{word[: (kept + 1) // 2]}{mark}{word[len(word) - kept // 2 :]}"
    return " ".join(words)


def in_ascii(text: str) -> str:
    """The text without the few characters of ours that an old encoding lacks."""
    return text.translate(_IN_ASCII)


def step_lines(step: Step, width: int) -> Iterator[tuple[str, bool]]:
    """A step's sentence, wrapped, and its command, unbroken; True marks the command.

    A terminal that is too narrow for a command wraps it by itself; a line break of ours would be pasted too.
    """
    if step.text:
        yield from ((line, False) for line in wrap(sentence(step), width))
    if step.command:
        yield printable(step.command), True


def sentence(step: Step) -> str:
    """What a step says: with a colon where its command follows, else with a period."""
    if step.command:
        return f"{step.text}:"
    return step.text if step.text.endswith((".", "!", "?", ":")) else f"{step.text}."
