"""Loading the settings: an argument above the env file, the env file above the environment, then the default.

Loading never fails for what a person configured, and judges nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from z4j_probes.given import Unusable, as_text
from z4j_probes.portable import errors, machine
from z4j_probes.read_file import BUDGET_S, read_small_file
from z4j_probes.redact import REDACTED, Secret, is_secret_as_file_name
from z4j_probes.result import Step
from z4j_probes.source import ARGUMENT, Kind, Source
from z4j_probes.variables import VARIABLES, Variable

# What --env-file may set besides Z4J_*: the service would have these from the same file.
_COMPANIONS = frozenset(
    {"SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "TMPDIR", "HOME"}
)


class Unreadable(NamedTuple):
    """A file that should have held settings and could not be read.

    `steps` say what to do where another look at the path would not tell, or would hang.
    """

    attribute: str
    variable: str
    path: str
    reason: str
    steps: tuple[Step, ...] = ()


class Loader:
    """One loading of settings. What the env file says goes above `environ`: it was named on purpose."""

    def __init__(
        self,
        environ: dict[str, str],
        env_file: str | os.PathLike[str] | None,
        explicit: Mapping[str, Any],
        *,
        read_files: bool = True,
    ) -> None:
        self.environ = environ
        self.read_files = read_files
        self.env_files: dict[str, str] = {}
        self.explicit: dict[str, str | Secret] = {}
        self.unusable: list[Unusable] = []
        for name, value in explicit.items():
            text = as_text(name, value)
            if isinstance(text, Unusable):
                self.unusable.append(text)
            elif text is not None:
                self.explicit[name] = text
        self.sources: dict[str, Source] = {}
        self.unreadable: list[Unreadable] = []
        self.misplaced: list[Secret] = []
        self.absent: set[str] = set()
        self.remarks: list[str] = []
        if env_file is not None:
            self._overlay(os.fspath(env_file))

    def load(self) -> dict[str, Any]:
        """The fields of `Settings` that come from outside of the program."""
        values: dict[str, Any] = {}
        for variable in VARIABLES:
            value = self.find(variable)
            if value is not None:
                values[variable.attribute] = kept(value, variable)
        if "agent_name" not in values:
            values["agent_name"] = host_name()
            self.sources["agent_name"] = Source(Kind.HOST_NAME)
        return {
            **values,
            "sources": MappingProxyType(self.sources),
            "unreadable": tuple(self.unreadable),
            "unusable": tuple(self.unusable),
            "misplaced": tuple(self.misplaced),
            "remarks": tuple(self.remarks),
            "environ": MappingProxyType(self.environ),
        }

    def find(self, variable: Variable) -> str | Secret | None:
        """The value of one setting; None where it has none, or its file can't be read."""
        attribute = variable.attribute
        if attribute in {unusable.attribute for unusable in self.unusable}:
            self.sources[attribute] = ARGUMENT
            return variable.default
        if attribute in self.explicit:
            self.sources[attribute] = ARGUMENT
            return self.explicit[attribute]
        if f"{attribute}_file" in self.explicit:
            path = self.explicit[f"{attribute}_file"]
            return self._from_file(variable, path if isinstance(path, str) else path.reveal(), ARGUMENT)
        if self.environ.get(variable.name):
            self.sources[attribute] = self._source(variable.name)
            return self.environ[variable.name]
        if variable.secret and self.environ.get(variable.file_name):
            source = self._source(variable.file_name)
            return self._from_file(variable, self.environ[variable.file_name], source)
        if variable.default is not None:
            self.sources[attribute] = Source(Kind.DEFAULT)
        return variable.default

    def _source(self, name: str) -> Source:
        env_file = self.env_files.get(name)
        return Source(Kind.ENVIRONMENT if env_file is None else Kind.ENV_FILE, name, env_file)

    def _from_file(self, variable: Variable, path: str, source: Source) -> str | None:
        self.sources[variable.attribute] = source._replace(secret_file=path)
        # what looks like the secret itself is looked up at once: until then no report may show it
        if not self.read_files and not is_secret_as_file_name(path):
            return None
        text = self._read(variable.attribute, variable.file_name, path)
        if text is None and path in self.absent and is_secret_as_file_name(path):
            self.misplaced.append(Secret(path))
            self.sources[variable.attribute] = source
            self.unreadable[-1] = _misplaced(variable)
        # editors and `echo` end a file with a newline that is not part of the secret
        return text.rstrip("\r\n") or None if text is not None else None

    def _overlay(self, path: str) -> None:
        from z4j_probes.env_file import parse_envfile, read_otherwise  # a doctor's, and no agent's

        text = self._read("env_file", "--env-file", path) or ""
        assigned = parse_envfile(text)
        if text.strip() and not any(name.startswith("Z4J_") for name in assigned):
            self.remarks.append(f"{path} sets no Z4J_* variable: only lines of NAME=value are read")
        ours = [name for name in read_otherwise(text) if name.startswith("Z4J_")]
        if ours:
            self.remarks.append(
                f"systemd (EnvironmentFile={path}) reads {', '.join(ours)} differently: it ignores lines "
                "with `export`, keeps a # after a value, and has its own rules for quotes and backslashes"
            )
        for name, value in assigned.items():
            if name.startswith("Z4J_") or name.upper() in _COMPANIONS:
                self.environ[name] = value
                self.env_files[name] = path

    def _read(self, attribute: str, variable: str, path: str) -> str | None:
        steps: tuple[Step, ...] = ()
        content = b""
        try:
            content = read_small_file(path)
            if b"\0" not in content:
                return content.decode()
            reason, steps = _of_two_bytes(path, content)
        except TimeoutError:
            from z4j_probes.portable import shell  # for hints

            reason = f"it did not answer within {BUDGET_S:.0f} s"
            steps = (
                Step(
                    "Check whether it is on a network mount that does not answer",
                    shell.mount_of(path),
                ),
                Step("Use a regular file, not a terminal, and not a FIFO without a writer"),
            )
        except UnicodeDecodeError:
            reason = "not UTF-8 text"
        except FileNotFoundError as exc:
            self.absent.add(path)
            reason = str(exc.strerror)
        except (OSError, RuntimeError, ValueError) as exc:
            reason = errors.reason(exc) if isinstance(exc, OSError) else str(exc)
        self.unreadable.append(Unreadable(attribute, variable, path, reason, steps))
        return None


def _of_two_bytes(path: str, content: bytes) -> tuple[str, tuple[Step, ...]]:
    """What a text with NULs in it is: mostly UTF-16, as PowerShell writes it, with its mark or without."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif content.isascii() and content[1::2].count(0) > len(content) // 4:
        encoding = "utf-16le"
    else:
        return "not a text file (it has NUL bytes)", ()
    from z4j_probes.portable import shell

    return "UTF-16 text, as PowerShell's > writes it", (
        Step("Convert it to UTF-8", shell.as_utf8(path, encoding)),
    )


def kept(value: str | Secret, variable: Variable) -> str | Secret:
    """As the settings hold it: only what is a secret by its nature stays wrapped."""
    if variable.secret:
        return Secret(value) if isinstance(value, str) else value
    return value if isinstance(value, str) else value.reveal()


def _misplaced(variable: Variable) -> Unreadable:
    what = "token" if variable.attribute == "token" else "secret"
    return Unreadable(
        variable.attribute,
        variable.file_name,
        REDACTED,
        f"it looks like the {what} itself, not like a file name",
        (
            Step(f"Set {variable.name} to it, or name the file that contains it, with its directory"),
            Step(
                f"Replace the {what} if it was an argument: every user of this machine could read it",
            ),
        ),
    )


def host_name() -> str:
    """This machine's name, which an agent is called by where it has no other."""
    return machine.host_name() or "localhost"
