"""Settings: explicit arguments, then the environment, then defaults, and where each value came from.

Loading never fails and judges nothing: the `config` probe says what is wrong with them, so that the doctor
and the agent say it in the same words.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from z4j_probes.acting_as import ActingAs
from z4j_probes.env_file import parse_envfile, read_otherwise
from z4j_probes.mislaid import is_secret_as_file_name, is_secret_as_url
from z4j_probes.proxy import proxy_secrets
from z4j_probes.read_file import BUDGET_S, read_small_file
from z4j_probes.redact import REDACTED, Redactor, Secret


@dataclass(frozen=True, slots=True)
class Variable:
    """One setting: its attribute, the variable that carries it, what it is for, and its default."""

    attribute: str
    name: str
    purpose: str
    default: str | None = None
    secret: bool = False

    @property
    def file_name(self) -> str:
        """The variable that names a file with the value, for secrets that a container mounts."""
        return f"{self.name}_FILE"


VARIABLES = (
    Variable("brain_url", "Z4J_BRAIN_URL", "the brain's address"),
    Variable("token", "Z4J_TOKEN", "the agent's token, as the dashboard showed it once", secret=True),
    Variable("project_id", "Z4J_PROJECT_ID", "the project's slug or UUID", default="default"),
    Variable("agent_name", "Z4J_AGENT_NAME", "the name on the dashboard; {host} and {pid} are filled in"),
    Variable(
        "hmac_secret", "Z4J_HMAC_SECRET", "the secret that signs frames, shown with the token", secret=True
    ),
    Variable("home", "Z4J_HOME", "the state directory (default ~/.z4j)"),
    Variable("ca_file", "Z4J_CA_FILE", "a PEM file of the certificate authorities to trust, and no others"),
    Variable("preflight", "Z4J_PREFLIGHT", "what a failed first climb does: warn, strict or off", "warn"),
    Variable("disabled", "Z4J_DISABLED", "1 keeps the agent from doing anything"),
    Variable("log_level", "Z4J_LOG_LEVEL", "the level of the z4j logger"),
)

# What --env-file may set besides Z4J_*: the service would have these from the same file.
_COMPANIONS = frozenset(
    {"SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "TMPDIR", "HOME"}
)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that should have held settings and could not be read.

    `hint` says what to do where another look at the path would not tell, or would hang.
    """

    attribute: str
    variable: str
    path: str
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """The values as they were given, unjudged; None where there is none.

    `sources` names where each came from. `mislaid` are secrets that stood where a file's name belongs.
    `files` are the paths of the secrets that come from files, by attribute.
    `remarks` say what may surprise though it is not wrong. `environ` is the environment that everything else
    (proxies, trust store, TMPDIR) is read from: a process's own, or that of the service that is diagnosed.
    `acting_as` is set where this process acts as that service.
    """

    brain_url: str | None = field(default=None, repr=False)  # somebody may have put a password into it
    token: Secret | None = None
    project_id: str = "default"
    agent_name: str = ""
    hmac_secret: Secret | None = None
    home: str | None = None
    ca_file: str | None = None
    preflight: str = "warn"
    disabled: str | None = None
    log_level: str | None = None
    allow_plaintext: bool = False
    sources: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    unreadable: tuple[Unreadable, ...] = ()
    mislaid: tuple[Secret, ...] = ()
    remarks: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    acting_as: ActingAs | None = None

    @classmethod
    def load(
        cls,
        *,
        environ: Mapping[str, str] | None = None,
        env_file: str | os.PathLike[str] | None = None,
        allow_plaintext: bool = False,
        **explicit: str | None,
    ) -> Settings:
        """Collect the settings.

        `environ` replaces the process's environment; what `env_file` says goes above it, since it was
        named on purpose. `explicit` takes the attributes above, and `token_file` and `hmac_secret_file`;
        None means "not given". Never raises for what a person configured: what could not be read is in
        `unreadable`.
        """
        known = {v.attribute for v in VARIABLES} | {"token_file", "hmac_secret_file"}
        if not explicit.keys() <= known:
            raise TypeError(f"unknown setting: {', '.join(sorted(explicit.keys() - known))}")
        variables = dict(os.environ if environ is None else environ)
        return _Loader(variables, env_file, explicit).load(allow_plaintext)

    def reread(self) -> Settings:
        """The same, with each secret that comes from a file as the file has it now.

        A secret whose file is away, empty, or not a regular file stays as it was read before: a pipe can be
        read only once. May block as long as `load`, and longer where a mount is gone: call it in a thread.
        """
        paths = {
            name: path
            for name, path in self.files.items()
            if getattr(self, name) is None or Path(path).expanduser().is_file()
        }
        loader = _Loader(dict(self.environ), None, {f"{name}_file": path for name, path in paths.items()})
        found = {v.attribute: loader.find(v) for v in VARIABLES if v.attribute in paths}
        held: dict[str, Any] = {name: Secret(text) for name, text in found.items() if text}
        others = (lost for lost in self.unreadable if lost.attribute not in self.files)
        lost = (lost for lost in loader.unreadable if getattr(self, lost.attribute) is None)
        return replace(self, **held, unreadable=(*others, *lost))

    @property
    def filled_agent_name(self) -> str:
        """The agent's name with `{host}` and `{pid}` filled in."""
        return self.agent_name.replace("{host}", _host_name()).replace("{pid}", str(os.getpid()))

    @property
    def is_disabled(self) -> bool:
        """Whether Z4J_DISABLED says so: 1, true, yes or on."""
        return (self.disabled or "").strip().lower() in ("1", "true", "yes", "on")

    @property
    def has_secret_for_url(self) -> bool:
        """Whether the brain's URL looks like a secret, as where the two were swapped."""
        return is_secret_as_url(self.brain_url or "")

    def secrets(self) -> list[str]:
        """Every text that must not be shown."""
        found = [s.reveal() for s in (self.token, self.hmac_secret, *self.mislaid) if s]
        if self.has_secret_for_url:
            found.append(self.brain_url or "")
        userinfo, at, _ = (self.brain_url or "").rpartition("@")
        if at:
            userinfo = userinfo.rpartition("://")[2]
            # a user name beside a password is none, and may be a common word
            found += [userinfo, userinfo.partition(":")[2]]
        # a brain URL has no query, but the token of another program's habit may stand there
        found += [part for part in re.split(r"[?#]", self.brain_url or "")[1:] if part]
        return found + proxy_secrets(self.environ)

    def redactor(self) -> Redactor:
        """A sieve for texts that may have met these settings."""
        return Redactor(self.secrets())

    def describe(self) -> dict[str, Any]:
        """The settings for a report: secrets only as "set" or "missing", with the source of each value."""
        shown: dict[str, Any] = {}
        for variable in VARIABLES:
            value = getattr(self, variable.attribute)
            if variable.secret:
                shown[variable.attribute] = "set" if value and value.reveal().strip() else "missing"
            elif variable.attribute == "brain_url":
                hidden = REDACTED if self.has_secret_for_url else None
                shown["brain_url"] = hidden or (_without_secrets(value) if value else None)
            else:
                shown[variable.attribute] = value
        shown["agent_name"] = self.filled_agent_name
        shown["sources"] = dict(self.sources)
        if self.remarks:
            shown["remarks"] = list(self.remarks)
        return shown


class _Loader:
    def __init__(
        self,
        environ: dict[str, str],
        env_file: str | os.PathLike[str] | None,
        explicit: Mapping[str, str | None],
    ) -> None:
        self.environ = environ
        self.origin = dict.fromkeys(environ, "env")
        self.explicit = {k: v for k, v in explicit.items() if v is not None}
        self.sources: dict[str, str] = {}
        self.files: dict[str, str] = {}
        self.unreadable: list[Unreadable] = []
        self.mislaid: list[Secret] = []
        self.absent: set[str] = set()
        self.remarks: list[str] = []
        if env_file is not None:
            self._overlay(os.fspath(env_file))

    def load(self, allow_plaintext: bool) -> Settings:
        values: dict[str, Any] = {}
        for variable in VARIABLES:
            value = self.find(variable)
            if value is not None:
                values[variable.attribute] = Secret(value) if variable.secret else value
        if "agent_name" not in values:
            values["agent_name"] = _host_name()
            self.sources["agent_name"] = "default (host name)"
        return Settings(
            **values,
            allow_plaintext=allow_plaintext,
            sources=MappingProxyType(self.sources),
            files=MappingProxyType(self.files),
            unreadable=tuple(self.unreadable),
            mislaid=tuple(self.mislaid),
            remarks=tuple(self.remarks),
            environ=MappingProxyType(self.environ),
        )

    def find(self, variable: Variable) -> str | None:
        attribute = variable.attribute
        if attribute in self.explicit:
            self.sources[attribute] = "argument"
            return self.explicit[attribute]
        if f"{attribute}_file" in self.explicit:
            return self._from_file(variable, self.explicit[f"{attribute}_file"], "argument")
        if self.environ.get(variable.name):
            self.sources[attribute] = f"{self.origin[variable.name]} {variable.name}"
            return self.environ[variable.name]
        if variable.secret and self.environ.get(variable.file_name):
            source = f"{self.origin[variable.file_name]} {variable.file_name}"
            return self._from_file(variable, self.environ[variable.file_name], source)
        if variable.default is not None:
            self.sources[attribute] = "default"
        return variable.default

    def _from_file(self, variable: Variable, path: str, source: str) -> str | None:
        self.sources[variable.attribute] = f"{source} ({path})"
        self.files[variable.attribute] = path
        text = self._read(variable.attribute, variable.file_name, path)
        if text is None and path in self.absent and is_secret_as_file_name(path):
            self.mislaid.append(Secret(path))
            self.sources[variable.attribute] = source
            del self.files[variable.attribute]  # it names no file, now or later
            self.unreadable[-1] = _mislaid(variable)
        # editors and `echo` end a file with a newline that is not part of the secret
        return text.rstrip("\r\n") or None if text is not None else None

    def _overlay(self, path: str) -> None:
        text = self._read("env_file", "--env-file", path) or ""
        ours = [name for name in read_otherwise(text) if name.startswith("Z4J_")]
        if ours:
            self.remarks.append(
                f"systemd (EnvironmentFile={path}) would read {', '.join(ours)} otherwise: it ignores lines "
                "with `export`, keeps a # behind a value, and has its own rules for quotes and backslashes"
            )
        for name, value in parse_envfile(text).items():
            if name.startswith("Z4J_") or name.upper() in _COMPANIONS:
                self.environ[name] = value
                self.origin[name] = f"file {path}"

    def _read(self, attribute: str, variable: str, path: str) -> str | None:
        hint = ""
        try:
            return read_small_file(path).decode()
        except TimeoutError:
            from shlex import quote

            reason = f"it did not answer in {BUDGET_S:.0f} s"
            hint = (
                "name a file that can be read at once: this one is a terminal, a FIFO that nobody writes to, "
                "or on a network mount that is gone: "
                f"`findmnt -T {quote(path)}`"
            )
        except UnicodeDecodeError:
            reason = "not UTF-8 text"
        except FileNotFoundError as exc:
            self.absent.add(path)
            reason = str(exc.strerror)
        except (OSError, RuntimeError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        self.unreadable.append(Unreadable(attribute, variable, path, reason, hint))
        return None


def _mislaid(variable: Variable) -> Unreadable:
    what = "token" if variable.attribute == "token" else "secret"
    return Unreadable(
        variable.attribute,
        variable.file_name,
        REDACTED,
        f"that looks like the {what} itself, not a file's name",
        f"set {variable.name} to it, or name the file that holds it, with its directory (if it was an "
        f"argument, all users of the machine could read it: replace the {what})",
    )


def _host_name() -> str:
    return socket.gethostname() or "localhost"


def _without_secrets(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = None
    if parts is None or "@" in f"{parts.path}{parts.query}{parts.fragment}":
        return re.split(r"[?#]", url.rpartition("@")[2])[0]
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))
