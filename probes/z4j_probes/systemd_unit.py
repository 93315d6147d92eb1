"""The systemd service that a process was started by: hints speak of its unit."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class ServiceUnit(NamedTuple):
    """A service, and what its files say, as far as it is known.

    `environment_files` has the EnvironmentFile= that sets a variable, by the variable; `credentials` the file
    of a credential, by its name; `state_directories` are the paths of its StateDirectory=; `limits` the
    properties that keep it from the network, as they are set. `passed_over` has the EnvironmentFile= with a
    line for a variable that systemd does not read, by the variable.
    """

    name: str
    is_user: bool = False
    environment_files: Mapping[str, str] = MappingProxyType({})
    credentials: Mapping[str, str] = MappingProxyType({})
    state_directories: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    passed_over: Mapping[str, str] = MappingProxyType({})

    @property
    def directory(self) -> str:
        """A name for its directories, which is no other unit's: `web` for web.service."""
        return self.name.removesuffix(".service").replace("@", "-").rstrip("-")

    def command(self, verb: str) -> str:
        """The systemctl command for it: root's, or that of the user whose unit it is."""
        program = "systemctl --user" if self.is_user else "sudo systemctl"
        return f"{program} {verb} {shlex.quote(self.name)}"


def unit_in(cgroup: str) -> str | None:
    """The service that a process belongs to, by its /proc/PID/cgroup."""
    for line in cgroup.splitlines():
        name = line.rpartition("/")[2]
        if line.startswith(("0::", "1:name=systemd:")) and name.endswith(".service"):
            return name
    return None


def is_of_user(cgroup: str) -> bool:
    """Whether that service is run by a user's manager (`systemctl --user`)."""
    return any(
        "/user@" in line for line in cgroup.splitlines() if line.startswith(("0::", "1:name=systemd:"))
    )
