"""`report merge`: the reports of many services and hosts as one table, or one document."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from z4j_fastapi.cli.output import check_target, emit, invalid, note, usage_error, write_file
from z4j_fastapi.cli.streams import stdout_encoding
from z4j_fastapi.reports import (
    FORMATS,
    fleet,
    fleet_table,
    github,
    html,
    junit,
    markdown,
    nagios,
    openmetrics,
)
from z4j_fastapi.reports.fleet import Entry
from z4j_fastapi.signals import interruptible
from z4j_probes.read_file import read_small_file

# A thousand reports, with their evidence, as JSON Lines.
_LARGEST_BYTES = 64 * 1024 * 1024
# A pipe has its first byte when the program at its other end has something to say.
_BUDGET_S = 30.0


def run(files: Iterable[str], *, format_: str, output: Path | None) -> int:
    """Print it; the exit status: 1 where one of the reports is not ok."""
    if format_ not in FORMATS:
        usage_error(invalid(format_, "--format", FORMATS))
    if output is not None:
        check_target(output, "--output")
    with interruptible():  # a file may not answer
        found = list(fleet.without_repeats(entry for file in files for entry in _entries(file)))
    if not found:
        usage_error("there is no report in these files")
    for entry in found:
        if entry.report is None:
            note(f"{entry.file}: {entry.reason}")
    text = _renderer(format_)(found)
    if output is None:
        emit(text)
    else:
        write_file(output, text)
        note(f"{fleet_table.count(found)}. Wrote them to {output}.")
    return nagios.exit_status_of_all(found) if format_ == "nagios" else fleet.exit_status(found)


def _renderer(name: str) -> Callable[[list[Entry]], str]:
    def table(found: list[Entry]) -> str:
        width = shutil.get_terminal_size().columns
        return fleet_table.render(found, width=width, encoding=stdout_encoding())

    renderers: dict[str, Callable[[list[Entry]], str]] = {
        "table": table,
        "json": fleet.render,
        "junit": lambda found: junit.render_all(e.report for e in fleet.in_order(found) if e.report),
        "nagios": nagios.render_all,
        "markdown": markdown.render_all,
        "github": github.render_all,
        "html": html.render_all,
        "openmetrics": lambda found: openmetrics.render_all(e.report for e in found if e.report),
    }
    return renderers[name]


def _entries(file: str) -> Iterator[Entry]:
    """The reports of a file: a document, or JSON Lines. One that is not there is a usage error."""
    try:
        if file == "-":
            data = sys.stdin.buffer.read()
        else:
            data = read_small_file(file, limit_bytes=_LARGEST_BYTES, budget_s=_BUDGET_S)
        text = data.decode(json.detect_encoding(data))  # PowerShell's > writes UTF-16, or a mark before UTF-8
    except FileNotFoundError:
        usage_error(f"no such file: {file}")
    except TimeoutError:
        yield Entry(file, reason=f"it did not answer within {_BUDGET_S:.0f} s")
        return
    except (OSError, RuntimeError, ValueError) as exc:
        yield Entry(file, reason=(exc.strerror if isinstance(exc, OSError) else None) or str(exc))
        return
    yield from _parsed(text, file)


def _parsed(text: str, file: str) -> Iterator[Entry]:
    try:
        documents = [json.loads(text)]
    except (ValueError, RecursionError):
        documents = []
    if documents:
        yield from fleet.entries(documents[0], file)
        return
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not any(line.lstrip().startswith("{") and line.rstrip().endswith("}") for _, line in lines):
        yield Entry(file, reason="empty" if not lines else "not JSON")
        return
    for number, line in lines:
        try:
            yield from fleet.entries(json.loads(line), file)
        except (ValueError, RecursionError):
            yield Entry(f"{file}:{number}", reason="not JSON")
