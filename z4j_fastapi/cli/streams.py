"""stdout and stderr as they were handed over: closed, full, without a reader, of any encoding."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TextIO

from z4j_fastapi.signals import has_come, interruptible, last_word
from z4j_probes.portable.readiness import ROOM, wait_writable

# The variables that name the characters' encoding; the first that is set does (POSIX.1-2017 §8.2).
_LOCALES = ("LC_ALL", "LC_CTYPE", "LANG")

# How long a report that Ctrl-C or SIGTERM came upon waits for its reader: a pager that scrolls needs less.
_LAST_WORD_S = 2.0

# So many find room where there is any: in ASCII, one takes up to ten bytes (\\UXXXXXXXX).
_CHARACTERS = ROOM // 10

_readerless: list[TextIO] = []


class _Forgiving(io.TextIOWrapper):
    """A stream for what is said beside the report: that it can't be said changes nothing of the rest."""

    def write(self, text: str, /) -> int:
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def prepare() -> None:
    """Have a stdout that takes every character, if there is one, and a stderr whatever was handed over."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    # where it was closed, this takes its number too: a file that got it would have messages written into it
    beside = open(os.devnull, "wb") if sys.stderr is None else sys.stderr.buffer  # noqa: SIM115 - for good
    encoding = getattr(sys.stderr, "encoding", "utf-8")
    sys.stderr = _Forgiving(beside, encoding=encoding, errors="backslashreplace", line_buffering=True)


def write_stdout(text: str) -> None:
    """Write at once. That the reader has left is no error; OSError for whatever else is in the way."""
    if sys.stdout is None:  # it was closed
        return
    try:
        # a reader that has stopped reading holds up nothing; a signal during the report does not cost it
        with last_word(_LAST_WORD_S) if has_come() else interruptible():
            _print(sys.stdout, text)
    except BrokenPipeError:
        _readerless.append(sys.stdout)
        _discard(sys.stdout)
    except (OSError, KeyboardInterrupt):
        _discard(sys.stdout)
        raise


def _print(stream: TextIO, text: str) -> None:
    """As print, but a signal that comes just before the reader stops reading is answered, too."""
    try:
        descriptor = stream.fileno()
    except io.UnsupportedOperation:  # a stream in memory, which takes all at once
        stream.write(text)
        return
    for start in range(0, len(text), _CHARACTERS):
        wait_writable(descriptor)
        stream.write(text[start : start + _CHARACTERS])
        stream.flush()


def stdout_encoding() -> str:
    """How stdout's characters are encoded, as its reader expects them.

    Python writes UTF-8 in the C locale too (PEP 540), where a terminal may show each byte as a character.
    """
    locale = next((value for name in _LOCALES if (value := os.environ.get(name))), "")
    if locale in ("C", "POSIX") and "PYTHONIOENCODING" not in os.environ:
        return "ascii"
    return (sys.stdout.encoding if sys.stdout is not None else None) or "utf-8"


def has_reader() -> bool:
    """False once it has turned out that no one reads stdout any more."""
    return not _readerless


def flush_stdout() -> None:
    """Write what is buffered while an error can still be handled: the interpreter would complain at exit."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard(sys.stdout)
    except OSError:
        _discard(sys.stdout)
        raise


def _discard(stream: TextIO) -> None:
    """Let what is still buffered go nowhere, instead of failing again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
