"""What systemd knows of a unit, as systemctl(1) prints it.

`show` prints one property a line. Values with several words are separated by blanks and quoted like C strings
where they have to be; releases before 246 print [unprintable] instead, and newer ones do where they have no
words for a property (LoadCredential=), which is then read from the unit's files.
"""

from __future__ import annotations

import glob
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field

from z4j_fastapi.as_service.errors import CannotActAs, NotAService

PROPERTIES = (
    "Id",
    "LoadState",
    "MainPID",
    "User",
    "Group",
    "SupplementaryGroups",
    "DynamicUser",
    "Environment",
    "EnvironmentFiles",
    "UnsetEnvironment",
    "StateDirectory",
    "PrivateTmp",
    "WorkingDirectory",
)
_BUDGET_S = 10.0
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|([0-7]{3})|(.))", re.DOTALL)
_NAMED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "s": " ", "t": "\t", "v": "\v"}


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit's properties, and the files with its environment: a path, and whether it may be missing."""

    name: str
    properties: Mapping[str, str]
    environment_files: tuple[tuple[str, bool], ...] = field(default=(), repr=False)

    def get(self, name: str) -> str:
        """A property, empty where it has no value."""
        return self.properties.get(name, "")

    def words(self, name: str) -> list[str]:
        """A property that is a list."""
        return words(self.get(name))


def show(name: str) -> Unit:
    """Ask systemd. NotAService where it knows no such unit, CannotActAs where it can't be asked."""
    done = _systemctl("show", "--no-pager", f"--property={','.join(PROPERTIES)}", "--", name)
    if done.returncode != 0:
        raise CannotActAs(f"--unit {name}: systemctl says: {done.stderr.strip() or done.returncode}")
    unit = parse_unit(name, done.stdout)
    if unit.get("LoadState") == "not-found":
        raise NotAService(f"--unit {name}: systemd has no unit of that name")
    if "[unprintable]" in unit.words("Environment"):
        raise CannotActAs(
            f"--unit {name}: this systemd does not print an Environment= with blanks in a value: "
            "start the unit and use --pid, or move that line to an EnvironmentFile="
        )
    return unit


def parse_unit(name: str, shown: str) -> Unit:
    """The unit that `systemctl show` printed."""
    properties: dict[str, str] = {}
    files: list[tuple[str, bool]] = []
    for line in shown.splitlines():
        key, _, value = line.partition("=")
        if key == "EnvironmentFiles":  # one line a file, with how a missing one is taken in brackets
            path, _, manner = value.rpartition(" (ignore_errors=")
            files.append((path, manner == "yes)"))
        else:
            properties[key] = value
    return Unit(name, properties, tuple(files))


def words(text: str) -> list[str]:
    """The words of a value, without their quotes."""
    return [_unescape(word[1:-1]) if word.startswith('"') else word for word in _WORD.findall(text)]


def manager_environment() -> dict[str, str]:
    """What every service is given (DefaultEnvironment=, `systemctl set-environment`): often a proxy."""
    done = _systemctl("show-environment")
    found: dict[str, str] = {}
    for line in done.stdout.splitlines() if done.returncode == 0 else ():
        name, _, value = line.partition("=")
        quoted = value.startswith("$'") and value.endswith("'")
        found[name] = _unescape(value[2:-1]) if quoted else value
    return found


def credential_files(name: str) -> dict[str, str]:
    """The files that LoadCredential= names, by the credential's name."""
    done = _systemctl("cat", "--no-pager", "--", name)
    return parse_credentials(done.stdout) if done.returncode == 0 else {}


def parse_credentials(files: str) -> dict[str, str]:
    """The same of a unit's files; what is no absolute path (a socket's name, a specifier) is left out."""
    found: dict[str, str] = {}
    for line in files.replace("\\\n", " ").splitlines():
        key, _, value = line.strip().partition("=")
        if key.strip() != "LoadCredential":
            continue
        credential, _, path = value.strip().partition(":")
        if not credential:  # an empty assignment takes back those before it
            found.clear()
        elif path.startswith("/") and "%" not in path:
            found[credential] = path
    return found


def matching(path: str) -> list[str]:
    """The files of an EnvironmentFile= that may have wildcards, in systemd's order."""
    return sorted(glob.glob(path)) if glob.has_magic(path) else [path]


def _unescape(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        if match[1] or match[2]:
            return chr(int(match[1], 16) if match[1] else int(match[2], 8))
        return _NAMED.get(match[3], match[3])

    return _ESCAPE.sub(one, text)


def _systemctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - a fixed program, and a name stands after `--`
            ["systemctl", *arguments],  # noqa: S607 - wherever this distribution has it
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_BUDGET_S,
            check=False,
        )
    except FileNotFoundError:
        raise CannotActAs(
            "--unit needs systemd: there is no systemctl on this machine (--pid takes any process)"
        ) from None
    except subprocess.TimeoutExpired:
        raise CannotActAs(
            f"--unit: systemctl {arguments[0]} did not answer within {_BUDGET_S:.0f} s"
        ) from None
