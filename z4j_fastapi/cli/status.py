"""`status`: which agents run on this machine, and which processes lack one, without a network."""

from __future__ import annotations

import json
import shutil
import sys
import time
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from z4j_fastapi.cli import status_when_interrupted
from z4j_fastapi.cli.doctor import is_colorful
from z4j_fastapi.cli.loops import pause
from z4j_fastapi.cli.options import LONGEST_S
from z4j_fastapi.cli.output import check_target, emit, invalid, note, usage_error, write_file
from z4j_fastapi.cli.streams import has_reader, stdout_encoding
from z4j_fastapi.inventory.survey import Survey, survey
from z4j_fastapi.signals import end_with_parent, interruptible
from z4j_probes import Settings

FORMATS = ("table", "json", "openmetrics")
# To the upper left corner; to the end of a line; to the end of the screen (ECMA-48 CUP, EL, ED).
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


@dataclass(frozen=True, slots=True)
class StatusOptions:
    """The command line of `status`."""

    format: str = "table"
    output: Path | None = None
    watch_s: float | None = None
    env_file: str | None = None


def run(options: StatusOptions) -> int:
    """Do what the options say; the exit status."""
    _check(options)
    end_with_parent()
    told: set[str] = set()
    while True:
        started_s = time.monotonic()
        try:
            with interruptible():  # a home directory may not answer
                settings = Settings.load(env_file=options.env_file)
                found = survey(settings)
        except KeyboardInterrupt:
            return status_when_interrupted()
        lost = [f"{one.path}: {one.reason}" for one in settings.unreadable if one.attribute == "env_file"]
        found = replace(found, unreadable=(*lost, *found.unreadable))
        for text in found.unreadable:
            if text not in told:
                told.add(text)
                note(f"can't read {text}")
        _show(found, options)
        status = 0 if found.ok else 1
        if options.watch_s is None or not has_reader():
            return status
        if not pause(max(0.0, started_s + options.watch_s - time.monotonic())):
            return status_when_interrupted()


def _check(options: StatusOptions) -> None:
    if options.format not in FORMATS:
        usage_error(invalid(options.format, "--format", FORMATS))
    watch_s = options.watch_s
    if watch_s is not None and not 0 < watch_s <= LONGEST_S:  # NaN is in no order with anything
        usage_error(
            f"invalid value for --watch (expected seconds: greater than 0, at most {LONGEST_S}, a week)"
        )
    if watch_s is not None and options.format == "openmetrics" and options.output is None:
        usage_error(
            "--watch with --format openmetrics needs --output FILE: documents can't follow each other"
        )
    if options.output is not None:
        check_target(options.output, "--output")


def _show(found: Survey, options: StatusOptions) -> None:
    if options.format == "table" and options.output is None:
        _show_table(found, options)
        return
    text = _rendered(found, options)
    if options.output is None:
        emit(text)
    else:
        write_file(options.output, text)


def _rendered(found: Survey, options: StatusOptions) -> str:
    if options.format == "openmetrics":
        from z4j_fastapi.inventory.metrics import render

        return render(found.agents)
    if options.format == "json":
        is_line = options.watch_s is not None and options.output is None
        return json.dumps(found.to_dict(), indent=None if is_line else 2) + "\n"
    return _table(found, width=80, encoding="utf-8")


def _table(found: Survey, *, width: int, encoding: str) -> str:
    from z4j_fastapi.cli.status_table import lines
    from z4j_fastapi.reports.table import plain

    return plain(lines(found, width=width, encoding=encoding))


def _show_table(found: Survey, options: StatusOptions) -> None:
    (width, height), encoding = shutil.get_terminal_size(), stdout_encoding()
    if not is_colorful():
        if options.watch_s is not None:
            emit(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}\n")
        emit(_table(found, width=width, encoding=encoding))
        return
    from io import StringIO

    from rich.console import Console
    from rich.text import Text

    from z4j_fastapi.cli.status_table import lines

    painted = Console(
        file=StringIO(), force_terminal=True, width=width, highlight=False, soft_wrap=True, markup=False
    )
    # what is higher than the terminal would scroll, and each picture stand below the one before
    room = None if options.watch_s is None else height - 1
    with painted.capture() as capture:
        for line in lines(found, width=width, encoding=encoding, room=room):
            painted.print(Text.assemble(*((text, style) for text, style in line)))
    text = capture.get()
    if options.watch_s is not None:  # one picture that changes
        text = f"{_HOME}{text.replace(chr(10), _REST_OF_LINE + chr(10))}{_REST_OF_SCREEN}"
    emit(text)
    sys.stdout.flush()
