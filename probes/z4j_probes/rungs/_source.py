"""Where a setting came from, in words, and what to do there: a variable, a file, a systemd unit."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from z4j_probes.rungs._commands import type_file, type_variable
from z4j_probes.settings import VARIABLES, Settings, Variable
from z4j_probes.systemd_unit import unit_of

# Where an assignment needs a value, and nobody knows it but the reader.
_EXAMPLE_URL = "https://brain.example"
_VARIABLES = {variable.attribute: variable for variable in VARIABLES}


def variable_of(attribute: str) -> Variable:
    """The table's row for a setting."""
    return _VARIABLES[attribute]


def spoken(settings: Settings, attribute: str) -> str:
    """What to call the place that a value came from: Z4J_TOKEN, Z4J_TOKEN in /etc/web.env, …"""
    source = settings.sources.get(attribute, "argument")
    if source.startswith("argument ("):
        return source.removeprefix("argument (").removesuffix(")")
    if source == "argument" or source.startswith("default"):
        return f"the {attribute} {source}"
    kind, _, rest = source.partition(" ")
    if kind == "env":
        return rest
    path, _, name = rest.rpartition(" ")
    return f"{name} in {path}"


def paste_hint(settings: Settings, attribute: str) -> str:
    """How to put a secret back where it came from, without the fault of the last time."""
    name = variable_of(attribute).name
    source = settings.sources.get(attribute, "argument")
    if "(" in source:
        path = source.partition("(")[2].removesuffix(")")
        return f"write it with: `{type_file(path)}`"
    if source.startswith("file "):
        return (
            f"write {name}=… without quotes or spaces into {source.removeprefix('file ').rpartition(' ')[0]}"
        )
    if source == "argument":
        return f"pass it bare ({attribute}=…), or drop the argument and set {name}"
    unit = unit_of(settings)
    if unit:
        return f"set {name} in the unit: `sudo systemctl edit {unit}` (Environment= or EnvironmentFile=)"
    return f"set it with: `{type_variable(name)}`"


def set_hint(settings: Settings, attribute: str) -> str:
    """How to set what is missing: where the other settings come from, or else in a shell."""
    variable = variable_of(attribute)
    what = f"set {variable.name}, {variable.purpose}"
    if variable.secret:
        what += f" (or {variable.file_name}, a file with it in it)"
    files = [source for source in settings.sources.values() if source.startswith("file ")]
    unit = unit_of(settings)
    if files:
        return f"{what}: write {variable.name}=… into {files[0].removeprefix('file ').rpartition(' ')[0]}"
    if unit:
        return f"{what}, in the unit: `sudo systemctl edit {unit}` (Environment= or EnvironmentFile=)"
    if variable.secret:
        return f"{what}: `{type_variable(variable.name)}`"
    return f"{what}: `export {variable.name}={_EXAMPLE_URL}`"


def unreadable_hint(path: str, variable: str) -> str:
    """What to do about a file that could not be read, by what can be seen of it."""
    uid, quoted = os.geteuid(), shlex.quote(path)
    try:
        found = Path(path).stat()
    except PermissionError:
        return f"let uid {uid} enter the directories above it; which one keeps it out: `namei -l {quoted}`"
    except (OSError, ValueError):
        if variable.startswith("--"):
            return f"correct {variable}: {path} is not there; what is: `ls -la {_nearest(path)}`"
        if not os.path.isabs(path):
            return f"{variable} is a relative path, and this runs in {_directory()}: make it absolute"
        return f"mount or write the file, or correct {variable}; what is there: `ls -la {_nearest(path)}`"
    if stat.S_ISDIR(found.st_mode):
        return f"mount the file: {path} is a directory, as Docker makes where a mount's source is missing"
    if not os.access(path, os.R_OK):
        mode = stat.S_IMODE(found.st_mode)
        return (
            f"let uid {uid} read it: `sudo chown {uid} {quoted} && sudo chmod 0400 {quoted}` "
            f"(it belongs to uid {found.st_uid} with mode {mode:04o})"
        )
    return f"look at what is in it: `file {quoted}`"


def _directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # a release that was cleaned up under a running service
        return "a directory that has been removed"


def _nearest(path: str) -> str:
    """The lowest directory above a file that is there."""
    return shlex.quote(str(next(part for part in Path(path).parents if part.is_dir())))
