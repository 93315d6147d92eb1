"""The command lines that need no parser: `doctor` with options as its help has them.

Loading typer, which loads pydantic, takes as long as the whole climb. What it would make of such a line is
known, by a row for each option; any other line, a mistaken one and `--help` included, is typer's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from z4j_probes.portable.system import by_system

FLAGS = {
    "--append": "append",
    "--json": "json",
    "--no-websocket": "no_websocket",
    "--offline": "offline",
    "--strict": "strict",
    "--verbose": "verbose",
    "-v": "verbose",
}


def _process(value: str) -> int:
    number = int(value)
    if number < 1:
        raise ValueError
    return number


def _path(value: str) -> Path:
    if os.path.exists(value) and not os.access(value, os.R_OK):
        raise ValueError
    return Path(value)


# The field of `Options`, and what makes its value; a ValueError is the parser's to explain.
VALUES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "--agent-name": ("agent_name", str),
    "--brain-url": ("brain_url", str),
    "--bundle": ("bundle", _path),
    "--ca-file": ("ca_file", str),
    "--deadline": ("deadline_s", float),
    "--env-file": ("env_file", str),
    "--format": ("format", str),
    "--hmac-secret-file": ("hmac_secret_file", str),
    "--output": ("output", _path),
    "-o": ("output", _path),
    "--pid": ("pid", _process),
    "--project-id": ("project_id", str),
    "--timeout": ("timeout_s", float),
    "--token-file": ("token_file", str),
    "--unit": ("unit", str),
    "--wait": ("wait_s", float),
    "--watch": ("watch_s", float),
    "--worker": ("worker", str),
}
# May be given again; each adds one.
REPEATABLE = {"--label": "labels", "--only": "only", "--skip": "skip"}


def options_of_doctor(arguments: Sequence[str]) -> dict[str, Any] | None:
    """What the line says, as fields of `doctor.Options`; None where it takes a parser to know."""
    if arguments[:1] != ["doctor"]:
        return None
    fields: dict[str, Any] = {}
    rest = iter(arguments[1:])
    for argument in rest:
        if argument in FLAGS:
            fields[FLAGS[argument]] = True
            continue
        option, _, value = argument.partition("=") if argument.startswith("--") else (argument, "", "")
        value = value or ("" if "=" in argument else next(rest, ""))
        if not _is_plain(value):
            return None
        if option in REPEATABLE:
            fields[REPEATABLE[option]] = (*fields.get(REPEATABLE[option], ()), value)
        elif option in VALUES:
            field, made = VALUES[option]
            try:
                fields[field] = made(value)
            except ValueError:
                return None
        else:
            return None
    if fields.pop("json", False):
        if fields.get("format", "json") not in ("json", "table"):
            return None
        fields["format"] = "json"
    return fields


def _is_plain(value: str) -> bool:
    """Whether a parser would take it as it is: no option in a value's place, nothing that it expands."""
    return bool(value) and value[0] != "-" and not set(value) & set(by_system("", "", "*?[~$%"))
