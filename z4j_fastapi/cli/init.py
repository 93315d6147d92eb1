"""`init`: ask for the brain's URL, the token and the secret, check them, and write an env file with them."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from z4j_fastapi.cli import status_when_interrupted
from z4j_fastapi.cli.loops import climb_once
from z4j_fastapi.cli.output import check_target, emit, note, usage_error, write_file
from z4j_fastapi.cli.streams import stdout_encoding
from z4j_fastapi.reports.printers import PlainPrinter
from z4j_fastapi.signals import interruptible
from z4j_probes import Ladder, Settings, default_registry
from z4j_probes.doctor import MakeHello
from z4j_probes.invocation import program
from z4j_probes.portable import shell
from z4j_probes.portable.system import by_system
from z4j_probes.source import Kind
from z4j_probes.variables import VARIABLES

# Only its owner may read it: it contains the token.
_PRIVATE = 0o600
# What systemd, Docker, Kubernetes and dotenv read in the same way: no quotes, no blanks, no expansion.
_PLAIN = re.compile(r"[^\s'\"`$#\\]+")
_PROMPTS = {"brain_url": "Brain URL (https://…): ", "token": "Token: ", "hmac_secret": "HMAC secret: "}
_NAMES = {variable.attribute: variable.name for variable in VARIABLES}


def run(
    *, output: Path, force: bool, check: bool, project_id: str | None = None, agent_name: str | None = None
) -> int:
    """Ask, check, and write; the exit status."""
    check_target(output, "--output")
    if os.path.lexists(output) and not force:
        usage_error(f"{output} exists (use --force to replace it)")
    if not output.exists() and not os.access(output.resolve().parent, os.W_OK):
        usage_error(f"can't write {output}: permission denied")
    try:
        with interruptible():
            given = _ask()
    except (KeyboardInterrupt, EOFError):
        print(file=sys.stderr)  # behind the prompt
        note("Nothing was written.")
        return status_when_interrupted()
    given |= {"project_id": project_id or "", "agent_name": agent_name or ""}
    values = {_NAMES[attribute]: value for attribute, value in given.items() if value}
    for name, value in values.items():
        if not _PLAIN.fullmatch(value):
            usage_error(
                f"{name} contains a space, a quote, or another character that env files treat differently"
            )
    if check:
        status = _check(values)
        if status:
            note(f"Nothing was written to {output}. To write the file anyway, add --no-check.")
            return status
    more = _used_too(values)
    lines = (f"{name}={value}\n" for name, value in (values | more).items())
    write_file(output, "".join(lines), mode=_PRIVATE)
    if more:
        note(f"Also written, from this shell's environment: {', '.join(more)}.")
    emit(_ways_to_read(output))
    return 0


def _used_too(values: dict[str, str]) -> dict[str, str]:
    """What else the check uses of this environment: the service needs it as well, a CA file first of all."""
    found = {v.name: os.environ.get(v.name, "") for v in VARIABLES if not v.secret and v.name not in values}
    return {name: value for name, value in found.items() if _PLAIN.fullmatch(value)}


def _ask() -> dict[str, str]:
    """The three values: from a person, or a line each from a pipe."""
    if not sys.stdin or not sys.stdin.isatty():
        lines = sys.stdin.read().splitlines() if sys.stdin else []
        if len(lines) < len(_PROMPTS):
            usage_error("stdin has too few lines (expected three: URL, token, and secret)")
        return {name: line.strip() for name, line in zip(_PROMPTS, lines, strict=False)}
    note("Copy the values from the brain's dashboard. Token and secret are not shown as you paste them.")
    given = {}
    for name, prompt in _PROMPTS.items():
        value = ""
        while not value:
            value = _ask_one(prompt, hidden=name != "brain_url").strip()
        given[name] = value
    return given


def _ask_one(prompt: str, *, hidden: bool) -> str:
    if hidden:
        return getpass.getpass(prompt)  # which gives the terminal its echo back, after Ctrl-C too
    print(prompt, end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


def _check(values: dict[str, str]) -> int:
    """What the doctor finds with these values in this environment; its exit status."""
    others = {name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in values}

    def make_ladder(*, make_hello: MakeHello, **_: Any) -> Ladder:
        settings = Settings.load(environ=others | values)
        answered = {
            attribute: source._replace(kind=Kind.ANSWER) if source.variable in values else source
            for attribute, source in settings.sources.items()
        }
        return Ladder(default_registry(), replace(settings, sources=answered), make_hello=make_hello)

    width = shutil.get_terminal_size().columns
    printer = PlainPrinter(emit, width=width, verbose=False, encoding=stdout_encoding())
    report = climb_once(make_ladder, printer)
    printer.finish(report)
    return report.exit_code


def _ways_to_read(output: Path) -> str:
    path = shell.quote(str(output))
    systemd = by_system(f"  systemd     in [Service]: EnvironmentFile={output.resolve()}\n", "", "")
    return f"""\
Wrote {output}, which only you can read. How a service reads it:
  uvicorn     uvicorn main:app --env-file {path}
{systemd}  Docker      docker run --env-file {path} IMAGE
  Kubernetes  kubectl create secret generic z4j --from-env-file={path}
              and in the container: envFrom: [{{secretRef: {{name: z4j}}}}]
Check it at any time:
  {program()} doctor --env-file {path}
"""
