"""What to do in a systemd unit: where a setting belongs, how a secret gets to it, which directory is its own.

A value belongs in the file that has it now: an EnvironmentFile= beats Environment=. A secret is never put in
Environment=, since every user can read that (`systemctl show`): it is a credential. What was changed counts
after a restart; `systemctl edit` has systemd read the files again by itself.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from z4j_probes.result import Step
from z4j_probes.settings import Settings
from z4j_probes.systemd_unit import ServiceUnit, is_of_user, unit_in

_CREDENTIALS = "/run/credentials/"
# How a connection fails by a property: what is filtered is dropped, and a network of one's own has no routes
# and no servers.
_FILTERS = ("IPAddressDeny", "IPIngressFilterPath", "IPEgressFilterPath", "RestrictNetworkInterfaces")
_NETWORKS = ("PrivateNetwork", "NetworkNamespacePath")
# Of tcp.unreachable: that no socket of the address's kind can be made.
NO_SOCKET = "no socket"
_LIMITS = {
    "tcp.timeout": (*_FILTERS, *_NETWORKS),
    "tcp.refused": _NETWORKS,
    "tcp.unreachable": _NETWORKS,
    "dns.timeout": (*_FILTERS, *_NETWORKS),
    NO_SOCKET: ("RestrictAddressFamilies",),
}


def unit_of(settings: Settings) -> ServiceUnit | None:
    """The unit of the process whose settings these are; None where it is not a systemd service."""
    if settings.acting_as is not None:
        return settings.acting_as.unit
    environ = settings.environ
    if not environ.get("INVOCATION_ID") or environ["INVOCATION_ID"] != os.environ.get("INVOCATION_ID"):
        return None
    try:
        cgroup = Path("/proc/self/cgroup").read_text("utf-8")
    except (OSError, ValueError):
        return None
    name = unit_in(cgroup)
    if name is None:
        return None
    directories = tuple(filter(None, environ.get("STATE_DIRECTORY", "").split(":")))
    return ServiceUnit(name, is_of_user(cgroup), state_directories=directories)


def set_all(unit: ServiceUnit, values: Mapping[str, str | None]) -> tuple[Step, ...]:
    """Set these variables, None for a secret, and restart it once."""
    steps = [
        step
        for name, value in values.items()
        for step in (set_secret(unit, name) if value is None else set_variable(unit, name, value))[:-1]
    ]
    return *steps, restart(unit)


def set_variable(unit: ServiceUnit, name: str, value: str) -> tuple[Step, ...]:
    """Set what is not secret: where it is set now, else in the unit."""
    file = unit.environment_files.get(name)
    if file is not None:
        change = Step(f"Write {name}={value} into {file}", f"sudoedit {shlex.quote(file)}")
    else:
        change = Step(f"Add Environment={name}={value} below [Service]", unit.command("edit"))
    return change, restart(unit)


def set_secret(unit: ServiceUnit, name: str) -> tuple[Step, ...]:
    """Give it a secret: where it is now, else as a credential."""
    file = unit.environment_files.get(name)
    if file is not None:
        write = Step(f"Write {name}=… without quotes or spaces into {file}", f"sudoedit {shlex.quote(file)}")
        return write, restart(unit)
    credential = name.lower().replace("_", "-")
    path = f"/etc/{unit.directory}/{credential}"
    if unit.is_user:
        path = f"%h/.config/{unit.directory}/{credential}"
        save = Step(f"Save it in a file with mode 0600, ~/{path.removeprefix('%h/')}")
    else:
        save = Step(f"Save it in {path}, which only root can read (paste, Enter)", save_command(path))
    return save, *load_credential(unit, f"{name}_FILE", path)


def load_credential(unit: ServiceUnit, variable: str, path: str) -> tuple[Step, ...]:
    """Have systemd hand a file over, which the service itself need not be able to read."""
    credential = variable.removesuffix("_FILE").lower().replace("_", "-")
    load = f"LoadCredential={credential}:{path}"
    file = unit.environment_files.get(variable)
    if file is None:
        load += f" and Environment={variable}=%d/{credential}"
    steps = [Step(f"Add {load} below [Service]", unit.command("edit"))]
    if file is not None:
        value = f"{_CREDENTIALS}{unit.name}/{credential}"
        steps.append(Step(f"Write {variable}={value} into {file}", f"sudoedit {shlex.quote(file)}"))
    return *steps, restart(unit)


def replace_file(unit: ServiceUnit, path: str) -> tuple[Step, ...]:
    """Write a secret anew where the service reads it; a credential, in the file that it is loaded from."""
    if not path.startswith(_CREDENTIALS):
        return Step("Paste it into its file", save_command(path)), restart(unit)
    name = os.path.basename(path)
    origin = unit.credentials.get(name)
    if origin is None:
        return Step(f"Replace the credential {name} in the unit", unit.command("edit")), restart(unit)
    return Step(f"Paste it into the file of the credential {name}", save_command(origin)), restart(unit)


def give_directory(unit: ServiceUnit, path: str | None) -> tuple[Step, ...]:
    """A directory of its own for the buffer, where `path` is of no use to it."""
    own = next((d for d in unit.state_directories if os.path.basename(d) == unit.directory), None)
    used = path is not None and any(path == d or path.startswith(f"{d}/") for d in unit.state_directories)
    if own is None and unit.state_directories and not used:
        own = unit.state_directories[0]
    if own is not None and not used:
        return set_variable(unit, "Z4J_HOME", f"{own}/z4j")
    if own is not None:  # systemd hands it to its user when it starts
        return (Step("Restart it, so that systemd gives the directory to its user", unit.command("restart")),)
    file = unit.environment_files.get("Z4J_HOME")
    name = unit.directory
    if file is None:
        add = f"Add StateDirectory={name} and Environment=Z4J_HOME=%S/{name}/z4j below [Service]"
        return Step(add, unit.command("edit")), restart(unit)
    return (
        Step(f"Add StateDirectory={name} below [Service]", unit.command("edit")),
        Step(f"Write Z4J_HOME=/var/lib/{name}/z4j into {file}", f"sudoedit {shlex.quote(file)}"),
        restart(unit),
    )


def lift_limits(settings: Settings, code: str) -> tuple[Step, ...]:
    """What to do first where a connection fails as it does by a limit that the unit has."""
    unit = unit_of(settings)
    names = _LIMITS.get(code, ())
    limits = [limit for limit in (unit.limits if unit else ()) if limit.partition("=")[0] in names]
    if unit is None or not limits:
        return ()
    text = f"Let the service reach that address: below [Service] it has {', '.join(limits)}"
    return Step(text, unit.command("edit")), restart(unit)


def restart(unit: ServiceUnit) -> Step:
    """What makes a change count."""
    return Step("Restart it", unit.command("restart"))


def save_command(path: str) -> str:
    """The command that reads a line without echo into a file of root's (bash, zsh)."""
    return (
        f"(read -rs line && printf '%s' \"$line\" | sudo install -D -m 0600 /dev/stdin {shlex.quote(path)})"
    )
