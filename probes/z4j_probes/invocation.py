"""How this program was started: what a hint says so that its command continues this run.

A hint's `python -m z4j_fastapi doctor` is shown in the form in which the reader started it, and with the
options that say whose settings are looked at. A process that is not the command line (a service with its
agent) is given the form that works in any environment.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from itertools import zip_longest

from z4j_probes.portable import shell
from z4j_probes.portable.system import is_linux

MODULE = "python -m z4j_fastapi"
_PACKAGE, _SCRIPT = "z4j_fastapi", "z4j-fastapi"
_COMMAND = rf"(?<!\S)(\S+) -m {_PACKAGE}(?!\S)"

# Whose settings, and which: without them the next command would look at something else.
_KEPT = (
    "--env-file", "--pid", "--unit", "--brain-url", "--project-id", "--agent-name", "--ca-file",
    "--token-file", "--hmac-secret-file",
)  # fmt: skip
# Formats that are kept with a build or a monitoring system, where no one reads them at a prompt.
_KEPT_FORMATS = ("junit", "nagios", "markdown", "github", "html", "openmetrics")
# Where output goes to a log: CI systems, pods, systemd's journal.
_LOGGED = ("CI", "KUBERNETES_SERVICE_HOST", "JOURNAL_STREAM")


def program() -> str:
    """The program as it was typed: `python -m z4j_fastapi`, `.venv/bin/z4j-fastapi`."""
    path = sys.argv[0] if sys.argv else ""
    if os.path.basename(path) == _SCRIPT:
        return _SCRIPT if _is_found(_SCRIPT, path) else shell.program(path)
    python = sys.orig_argv[0] if sys.orig_argv else ""
    if not _is_module(path) or not python:
        return MODULE
    name = os.path.basename(python)
    return f"{name if _is_found(name, python) else shell.program(python)} -m {_PACKAGE}"


def _is_found(name: str, path: str) -> bool:
    """Whether a shell that is given the name alone starts that program."""
    import shutil  # and the compression libraries behind it: for hints

    found = shutil.which(name)
    # Windows leaves the ending away
    return found is not None and path in (found, os.path.splitext(found)[0])


def as_started(command: str) -> str:
    """The command, if it is one of this program's, in the form in which this program was started.

    A `doctor` command keeps this run's options that say whose settings are looked at, unless it has its own.
    """
    found = re.search(_COMMAND, command)
    if found is None:
        return command
    before, after = command[: found.start()], command[found.end() :]
    # sudo finds another python: the hint has its path
    started = program() if found[1] == "python" else found[0]
    name, *rest = after.split(maxsplit=1)
    kept = _kept_options(sys.argv[1:], but=after) if name == "doctor" else []
    if not before and is_linux() and {"--pid", "--unit"} & set(kept) and "SUDO_UID" in os.environ:
        before = "sudo "
    words = [started, *map(shell.quote, [name, *kept]), *rest]
    return f"{before}{' '.join(words)}"


def can_type(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the reader of a hint may be at a prompt: not where it goes to a log, a build or a monitor."""
    path = sys.argv[0] if sys.argv else ""
    if os.path.basename(path) != _SCRIPT and not _is_module(path):
        return False
    if any((os.environ if environ is None else environ).get(name) for name in _LOGGED):
        return False
    return value_of("--format", sys.argv[1:]) not in _KEPT_FORMATS


def _is_module(path: str) -> bool:
    return os.path.basename(path) == "__main__.py" and os.path.basename(os.path.dirname(path)) == _PACKAGE


def _kept_options(arguments: Sequence[str], *, but: str) -> list[str]:
    kept = []
    words = but.split()
    names_a_service = "--unit" in words or "--pid" in words  # whose settings are its own
    for option in () if names_a_service else _KEPT:
        value = value_of(option, arguments)
        if value is not None and option not in words:
            kept += [option, value]
    return kept


def value_of(option: str, arguments: Sequence[str]) -> str | None:
    """The value that was given to an option last, as the parser takes it."""
    found = None
    for argument, following in zip_longest(arguments, arguments[1:]):
        if argument == option:
            found = following
        elif argument.startswith(f"{option}="):
            found = argument.partition("=")[2]
    return found
