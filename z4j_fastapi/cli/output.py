"""Where reports go: stdout, whose reader may leave, or a file, which is never seen half written."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from z4j_fastapi.cli import EXIT_INTERNAL, EXIT_USAGE
from z4j_fastapi.cli.streams import write_stdout
from z4j_fastapi.reports.text import printable
from z4j_fastapi.signals import interruptible
from z4j_probes.replace_file import replace_file


def usage_error(message: str) -> NoReturn:
    """End with status 2 and one line on stderr."""
    note(f"error: {message}")
    raise SystemExit(EXIT_USAGE)


def invalid(value: str, option: str, known: Iterable[str]) -> str:
    """The message about a value that is not one of those that are known."""
    from z4j_probes.selection import did_you_mean

    known = list(known)
    return (
        f"invalid value {value!r} for {option}{did_you_mean(value, known)} (choose from {', '.join(known)})"
    )


def emit(text: str) -> None:
    """Write to stdout at once. That its reader has left (`| head -1`) is no error."""
    try:
        write_stdout(text)
    except OSError as exc:
        note(f"error: can't write the report to stdout: {exc.strerror}")
        raise SystemExit(EXIT_INTERNAL) from None


def note(text: str) -> None:
    """Tell a person something that is not the report, on stderr."""
    print(printable(text), file=sys.stderr, flush=True)


def check_target(path: Path, option: str) -> None:
    """A usage error where no file can be written there, before a climb is made for nothing."""
    try:
        path.resolve()
    except (OSError, RuntimeError) as exc:  # links that lead to each other (RuntimeError before Python 3.13)
        usage_error(f"{option} {path}: {exc}")
    if path.is_dir():
        usage_error(f"{option} {path} is a directory, expected a file")
    if not path.parent.is_dir():
        usage_error(f"{option} {path}: no directory {path.parent}")


def write_file(path: Path, content: str | bytes, *, mode: int | None = None) -> None:
    """Replace a file's content in one step; what is no regular file (a FIFO, /dev/stderr) is written to.

    Without a `mode` a new file is as readable as the umask lets it be, and an old one stays as it was.
    """
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    try:
        if path.exists() and not path.is_file():
            with interruptible():  # no one may be reading there
                path.write_bytes(data)
        else:
            target = path.resolve()
            replace_file(target, data, mode=_mode_of(target) if mode is None else mode)
    except OSError as exc:
        note(f"error: can't write {path}: {exc.strerror or exc}")
        raise SystemExit(EXIT_INTERNAL) from None


def append_file(path: Path, text: str) -> None:
    """Add to a file's end, as whole lines in one write: other programs may add to it at the same time."""
    data = text.encode(errors="backslashreplace")
    try:
        with interruptible(), open(path, "ab+", buffering=0) as file:
            if file.seekable() and file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # what is there ends in the middle of a line
                    data = b"\n" + data
            while data:
                data = data[file.write(data) :]
    except OSError as exc:
        note(f"error: can't write {path}: {exc.strerror or exc}")
        raise SystemExit(EXIT_INTERNAL) from None


def _mode_of(path: Path) -> int:
    """That of the file, or what the umask lets a new one have."""
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
