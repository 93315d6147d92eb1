"""Hints that several rungs give: how to see what a probe saw, by the way that it went, and how to set a
setting where its value comes from.

Commands can be pasted as they stand: with the CA file and the proxy that were used, quoted for a shell, and
without a secret (credentials for a proxy are named USER, and asked for).
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from z4j_probes.endpoint import Endpoint
from z4j_probes.invocation import MODULE, can_type, value_of
from z4j_probes.portable import shell, user
from z4j_probes.portable.system import by_system
from z4j_probes.proxy import Proxy
from z4j_probes.result import Step
from z4j_probes.rungs import unit_hints
from z4j_probes.rungs.unit_hints import unit_of
from z4j_probes.settings import Settings
from z4j_probes.source import ARGUMENT, Kind
from z4j_probes.variables import VARIABLES, Variable

# For an assignment whose value only the reader knows.
_EXAMPLE_URL = "https://brain.example"
# Where no one can type: a pod, a CI job, a service's log.
_ELSEWHERE = "where the service gets its environment"
_UNATTENDED = f"{_ELSEWHERE} (in Kubernetes: a Secret, with envFrom)"
# Behind the longest of the commands that read a secret.
_COMMENT_COLUMN = 50
_VARIABLES = {variable.attribute: variable for variable in VARIABLES}


def ask_brain(endpoint: Endpoint, proxy: Proxy | None = None, ca_file: str | None = None) -> str:
    """The command that gets a brain's health page, and shows which server answers."""
    trusting = f" --cacert {shell.quote(ca_file)}" if ca_file and endpoint.secure else ""
    through = f" {_through(proxy)}" if proxy else ""
    return f"{shell.curl()} -i {shell.quote(endpoint.health_url)} -m 5{trusting}{through}"


def ask_proxy(where: str, proxy: Proxy) -> str:
    """The command that has the proxy CONNECT to that host and port."""
    return f"{shell.curl()} -v {_through(proxy)} {shell.quote(f'https://{where}')}"


def show_handshake(endpoint: Endpoint, proxy: Proxy | None = None, more: str = "") -> str | None:
    """The TLS handshake with the brain as a command.

    None where no program of the system does it (Windows), and through a proxy whose own connection is TLS.
    """
    if proxy is not None and proxy.secure:  # s_client has no option for that
        return None
    options = "" if endpoint.address else f" -servername {endpoint.host}"
    if proxy is not None:
        options += f" -proxy {shell.quote(proxy.authority)}"
        if proxy.authorization is not None:
            options += " -proxy_user USER -proxy_pass env:PROXY_PASSWORD"
    return shell.open_tls(endpoint.host_and_port, options + more) or None


def set_url(settings: Settings, url: str, text: str = "Set the brain's URL") -> tuple[Step, ...]:
    """How to correct the brain's URL, where it comes from."""
    return set_value(settings, "brain_url", url, text)


def set_value(
    settings: Settings, attribute: str, value: str, text: str, *, typed: str | None = None
) -> tuple[Step, ...]:
    """How to set what is not secret: where its value comes from, else where the others do, else in a shell.

    An argument and an env file win over what a shell exports. `text` is for the shell's command; `typed` is
    the value as that command has it, where the shell is to complete it.
    """
    name, source = variable_of(attribute).name, settings.sources.get(attribute)
    if source is not None and source.kind is Kind.ARGUMENT:
        option = f"--{attribute.replace('_', '-')}"
        if value_of(option, sys.argv) is None:  # an argument in code
            return (Step(f"Pass {attribute}={value!r}, or remove it and set {name}"),)
        return (Step(f"Pass {option} {shell.quote(value)}"),)
    if source is not None and source.kind is Kind.ANSWER:
        return (Step(f"Run this command again with {value}"),)
    found = (source,) if source is not None and source.variable else settings.sources.values()
    env_file = next((one.env_file for one in found if one.env_file is not None), None)
    if env_file is not None:
        return (Step(f"Write {name}={value} into {env_file}"),)
    unit = unit_of(settings)
    if unit is not None:
        return unit_hints.set_variable(unit, name, value)
    if not can_type():
        return (Step(f"Set {name}={value} {_ELSEWHERE}"),)
    return (Step(text, shell.set_variable(name, typed or value, is_quoted=typed is not None)),)


def variable_of(attribute: str) -> Variable:
    """The table's row for a setting."""
    return _VARIABLES[attribute]


def source_name(settings: Settings, attribute: str) -> str:
    """What to call the place that a value came from: Z4J_TOKEN, Z4J_TOKEN in /etc/web.env, …"""
    return settings.sources.get(attribute, ARGUMENT).name_of(attribute)


def replace_secret(settings: Settings, attribute: str) -> tuple[Step, ...]:
    """How to write a secret, copied anew, to where it came from."""
    name, source = variable_of(attribute).name, settings.sources.get(attribute, ARGUMENT)
    unit = unit_of(settings)
    if source.secret_file is not None and unit is not None:
        return unit_hints.replace_file(unit, source.secret_file)
    if source.secret_file is not None:
        path = shell.quote(source.secret_file)
        if can_type():
            return (Step("Paste it into its file", shell.type_file(source.secret_file)),)
        return (Step(f"Write it into {path}, without quotes or spaces"),)
    if source.kind is Kind.ANSWER:
        return (Step("Run this command again, and paste it without quotes or spaces"),)
    if source.env_file is not None:
        return (Step(f"Write {name}=… without quotes or spaces into {source.env_file}"),)
    if source.kind is Kind.ARGUMENT:
        return (Step(f"Pass it without quotes or spaces ({attribute}=…), or remove it and set {name}"),)
    if unit is not None:
        return unit_hints.set_secret(unit, name)
    if can_type():
        return (Step(f"Paste it into {name}", shell.type_variable(name)),)
    return (Step(f"Set {name} {_UNATTENDED}"),)


def set_missing(settings: Settings, *attributes: str) -> tuple[Step, ...]:
    """How to set what is missing: where the other settings come from, or else in a shell."""
    variables = [variable_of(attribute) for attribute in attributes]
    names = listed([variable.name for variable in variables])
    env_file = next((s.env_file for s in settings.sources.values() if s.env_file is not None), None)
    from_dashboard = f"the dashboard{_shown_once(variables)}"
    if env_file is not None:
        return (Step(f"Add {names} to {env_file}, from {from_dashboard}"),)
    if any(source.kind is Kind.ANSWER for source in settings.sources.values()):
        return (Step(f"Run this command again with a value for {names}, from {from_dashboard}"),)
    unit = unit_of(settings)
    if unit is not None:
        return unit_hints.set_all(unit, {v.name: None if v.secret else _EXAMPLE_URL for v in variables})
    if not can_type():
        files = listed([variable.file_name for variable in variables if variable.secret])
        or_files = f", or name mounted files in {files}" if files else ""
        return (Step(f"Set {names} {_UNATTENDED}{or_files}"),)
    text = (
        f"Copy {'it' if len(variables) == 1 else 'them'} from the brain's dashboard{_shown_once(variables)}"
    )
    typed = [
        f"{shell.type_variable(v.name):<{_COMMENT_COLUMN}}  # paste, Enter"
        if v.secret
        else shell.set_variable(v.name, _EXAMPLE_URL)
        for v in variables
    ]
    return (
        *(Step("" if number else text, command) for number, command in enumerate(typed)),
        Step(
            "Already in a file? Add --env-file FILE"
            if (given := value_of("--env-file", sys.argv)) is None
            else f"Or write them into {given}, as lines of NAME=value: it sets none of them"
        ),
    )


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them: "A", "A and B", "A, B, and C"."""
    if len(names) < 3:
        return " and ".join(names)
    return f"{', '.join(names[:-1])}, and {names[-1]}"


def _shown_once(variables: Sequence[Variable]) -> str:
    secrets = [variable.attribute.removeprefix("hmac_") for variable in variables if variable.secret]
    if len(secrets) == 1:
        return f" (the {secrets[0]} is shown once)"
    return f" ({listed(secrets)} are shown once)" if secrets else ""


def unreadable(settings: Settings, path: str, variable: str) -> tuple[Step, ...]:
    """What to do about a file that could not be read, by what can be seen of it."""
    unit = unit_of(settings)
    by_systemd = unit is not None and os.path.isabs(path) and variable.startswith("Z4J_")
    try:
        found = Path(path).stat()
    except PermissionError:
        if unit is not None and by_systemd:
            return unit_hints.load_credential(unit, variable, path)
        return (
            Step(
                f"Allow {user.short()} to enter the directories above it. List their modes",
                shell.modes_above(path),
            ),
        )
    except (OSError, ValueError):
        if variable.startswith("--"):
            seen = shell.list_directory(_nearest(path))
            return (Step(f"Correct {variable}: {path} does not exist. List its directory", seen),)
        if not os.path.isabs(path):
            return (
                Step(
                    f"Make the path in {variable} absolute: it is relative, and this runs in {_directory()}"
                ),
            )
        seen = shell.list_directory(_nearest(path))
        return (Step(f"Mount or create the file, or correct {variable}. List its directory", seen),)
    if stat.S_ISDIR(found.st_mode):
        return (Step(f"Mount the file: {path} is a directory, as Docker makes for a missing mount source"),)
    if unit is not None and by_systemd and not os.access(path, os.R_OK):
        return unit_hints.load_credential(unit, variable, path)
    if not os.access(path, os.R_OK):
        # the owner stays: root's own env file is what systemd reads before it drops its privileges
        gid, mode = user.gid(), stat.S_IMODE(found.st_mode)
        allow = shell.allow_group(path, gid, mode | 0o440)
        if gid is None:
            return (Step(f"Allow {user.short()} to read it", allow),)
        owned = f"it belongs to uid {found.st_uid} with mode {mode:04o}"
        by_unit = by_system(f"sudo {MODULE} doctor --unit UNIT", "", "")
        if variable == "--env-file" and by_unit:
            return (
                Step("Run the doctor as root for the unit that reads it", by_unit),
                Step(f"If no unit reads it, allow group {gid} to read it ({owned})", allow),
            )
        return (Step(f"Allow group {gid} to read it ({owned})", allow),)
    return (Step("Identify the file", shell.identify(path)),)


def _directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # a release that was cleaned up under a running service
        return "a directory that has been removed"


def _nearest(path: str) -> str:
    """The lowest directory above a file that is there."""
    return str(next(part for part in Path(path).parents if part.is_dir()))


def _through(proxy: Proxy) -> str:
    credentials = " -U USER" if proxy.authorization is not None else ""
    address = f"{'https' if proxy.secure else 'http'}://{proxy.authority}"
    return f"-x {shell.quote(address)}{credentials}"
