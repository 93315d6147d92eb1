"""Text for terminals: nothing in it can move a cursor, and a command in it can be pasted.

In a hint, what stands between backticks and has a space in it is a command. It gets a line of its own and
is never wrapped, since a line break of ours would be pasted with it; a terminal that is too narrow wraps
it by itself, which is harmless.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

_QUOTED = re.compile(r"`([^`\n]+)`")
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


def parts(hint: str) -> Iterator[tuple[str, bool]]:
    """The sentences and the commands of a hint in turn, printable; True marks a command."""
    sentence, follows_command = "", False
    for piece, is_quoted in spans(hint):
        if not (is_quoted and " " in piece):
            sentence += f"`{piece}`" if is_quoted else piece
            continue
        yield from _sentence(sentence, follows_command)
        yield printable(piece), True
        sentence, follows_command = "", True
    yield from _sentence(sentence, follows_command)


def _sentence(text: str, follows_command: bool) -> Iterator[tuple[str, bool]]:
    # what joined the sentence to the command is not needed where a line break parts them
    text = text.strip().lstrip(",;.:) ") if follows_command else text.strip()
    if text:
        yield "\n".join(map(printable, text.splitlines())), False


def spans(sentence: str) -> Iterator[tuple[str, bool]]:
    """A sentence without its backticks, in pieces; True marks what stood between two of them."""
    for index, piece in enumerate(_QUOTED.split(sentence)):
        yield piece, index % 2 == 1


def advice(hint: str, width: int) -> Iterator[tuple[str, bool]]:
    """The lines of a hint, with each command on its own and unbroken; True marks it."""
    for text, is_command in parts(hint):
        if is_command:
            yield text, True
        else:
            yield from ((line, False) for line in wrap(text, width))


def first_step(hint: str) -> str:
    """The hint up to its first semicolon that does not stand in a command: the row has the rest of it."""
    masked = _QUOTED.sub(lambda quoted: "x" * len(quoted[0]), hint)
    end = masked.find("; ")
    return hint if end < 0 else hint[:end]


def headline(hint: str, width: int) -> Iterator[tuple[str, bool]]:
    """The first step as briefly as can be, as `advice` has it: one line, or a line and its command.

    Where the whole hint stands elsewhere, an alternative or a reason need not be said twice; the second half
    of the step itself, behind an "and", is.
    """
    for text, is_command in parts(first_step(hint)):
        if is_command:
            yield text, True
            return
        lines = wrap(text, width)
        end = text.rfind(", ", 0, width)
        if len(lines) > 1 and end >= 0 and ", and " not in text[end:]:
            lines = [text[:end] + (":" if text.endswith(":") else "")]
        yield from ((line, False) for line in lines)


def amount(size_bytes: float) -> str:
    """A number of bytes for people."""
    unit = "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size_bytes < 1024:
            break
        size_bytes, unit = size_bytes / 1024, larger
    return f"{size_bytes:.3g} {unit}" if size_bytes < 1000 else f"{size_bytes:.0f} {unit}"
