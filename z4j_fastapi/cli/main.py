"""The entry point: runs the command that was typed, and ends the process with its status."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from itertools import pairwise
from typing import Any, NoReturn

from z4j_fastapi.cli import (
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    Verdict,
    status_when_interrupted,
    streams,
)
from z4j_fastapi.cli.fast_path import options_of_doctor
from z4j_fastapi.cli.late import load_late
from z4j_fastapi.signals import block_signals
from z4j_probes.portable.system import by_system

_AS_MODULE = "python -m z4j_fastapi"


def main() -> NoReturn:
    """Run the command that `sys.argv` names, and end the process with its status."""
    block_signals()  # what comes while modules are imported waits until there is something that can answer it
    streams.prepare()
    try:
        _refuse_secrets(sys.argv[1:])
        _refuse_completion(sys.argv[1:])
        code = _run(sys.argv[1:])
    except Verdict as verdict:
        code = verdict.status
    except SystemExit as exc:
        code = _without_verdict(exc.code if isinstance(exc.code, int) else int(exc.code is not None))
    except KeyboardInterrupt:
        code = _without_verdict(status_when_interrupted(), "interrupted")
    except Exception as exc:
        code = _without_verdict(_internal_error(exc))
    gc.freeze()  # the interpreter would look through everything that was ever imported, twice, to end
    try:
        streams.flush_stdout()
    except OSError:
        code = EXIT_INTERNAL
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    fields = options_of_doctor(arguments)
    if fields is None or fields.keys() & {"wait_s", "watch_s"}:
        gc.enable()  # one climb leaves nothing to collect, and half of its time are imports
    if fields is not None:
        load_late("importlib.metadata")  # websockets imports it, and uses it where it is no release
        from z4j_fastapi.cli.doctor import run
        from z4j_fastapi.cli.options import Options

        return run(Options(**fields))
    import typer

    from z4j_fastapi.cli.app import app

    # the parser's family of errors: click's, or that of the click that typer brings with it
    usage_error: type[Exception] = typer.BadParameter.__bases__[0]
    try:
        status = app(prog_name=_program_name(), standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except usage_error as exc:
        if type(exc).__name__ == "NoArgsIsHelpError":
            print(getattr(exc, "ctx").get_help(), file=sys.stderr)  # noqa: B009
        else:
            print(f"error: {_complaint(exc)}", file=sys.stderr)
        raise SystemExit(EXIT_USAGE) from None
    if status == EXIT_INTERRUPTED:  # what newer typers make of any KeyboardInterrupt, SIGTERM's too
        raise KeyboardInterrupt
    return status or 0


def _complaint(exc: Any) -> str:
    """What the parser has against an argument, in the words of our own complaints."""
    import typer

    from z4j_fastapi.reports.text import printable
    from z4j_probes.invocation import value_of

    told = printable(exc.format_message().rstrip("."))
    if isinstance(exc, typer.BadParameter) and exc.param is not None:
        option = exc.param.opts[-1]
        value = value_of(option, sys.argv[1:])
        if value is not None:
            return f"invalid value {value!r} for {option} ({_expected(told)})"
    return told[:1].lower() + told[1:]


def _expected(complaint: str) -> str:
    """From the complaints of the parser, and of its own typer's."""
    if "integer" in complaint:
        return "expected a whole number"
    if "number" in complaint or "float" in complaint:
        return "expected a number"
    return f"expected a number {complaint.rpartition('should be ')[2]}"


def _refuse_secrets(arguments: list[str]) -> None:
    """A secret that is passed as an argument is shown to all users of the machine: say where it belongs."""
    for argument in arguments:
        option = argument.partition("=")[0]
        if option in ("--token", "--hmac-secret"):
            seen = by_system("`ps`", "`ps`", "Task Manager")
            variable = "Z4J_TOKEN" if option == "--token" else "Z4J_HMAC_SECRET"
            print(
                f"error: no option {option}: every user of this machine can read command lines ({seen}). "
                f"Set {variable}, or use {option}-file FILE. If the value was real, replace it.",
                file=sys.stderr,
            )
            raise SystemExit(EXIT_USAGE)


def _refuse_completion(arguments: list[str]) -> None:
    """Shells complete the names of programs: `python -m …` is none, and nothing would come of it."""
    option = arguments[0] if arguments else ""
    if option in ("--install-completion", "--show-completion") and _program_name() == _AS_MODULE:
        print(f"error: shells complete only installed programs: use `z4j-fastapi {option}`", file=sys.stderr)
        raise SystemExit(EXIT_USAGE)


def _without_verdict(code: int, reason: str | None = None) -> int:
    """The status of a run without a report. Monitoring would take 2 for CRITICAL: it hears UNKNOWN."""
    arguments = sys.argv[1:]
    is_plugin = "--format=nagios" in arguments or ("--format", "nagios") in pairwise(arguments)
    if not is_plugin or code == 0:
        return code
    from z4j_fastapi.reports.nagios import UNKNOWN, verdict

    if reason is None:
        reason = "invalid command line" if code == EXIT_USAGE else "the doctor itself failed"
    with contextlib.suppress(OSError):  # there is no one to tell
        streams.write_stdout(verdict(UNKNOWN, f"{reason} (stderr says more)") + "\n")
    return UNKNOWN


def _program_name() -> str:
    name = os.path.basename(sys.argv[0])
    return _AS_MODULE if name == "__main__.py" else name


def _internal_error(exc: Exception) -> int:
    from traceback import extract_tb

    from z4j_probes import Settings

    where = extract_tb(exc.__traceback__)[-1]
    try:
        streams.flush_stdout()
    except OSError as full:  # this is what it was about: help, say, on a full disk
        print(f"error: can't write to stdout: {full.strerror}", file=sys.stderr)
        return EXIT_INTERNAL
    said = Settings.load().redactor().excerpt(f"{type(exc).__name__}: {exc}")
    print(
        f"error: bug in z4j-fastapi, please report it: {said} ({where.filename}:{where.lineno})",
        file=sys.stderr,
    )
    return EXIT_INTERNAL
