"""The settings as data: their values, and where each of them came from.

Nothing here judges them: the `config` probe says what is wrong, so that the doctor and the agent say it in
the same words.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from z4j_probes.given import Unusable
from z4j_probes.proxy import proxy_secrets
from z4j_probes.redact import REDACTED, Redactor, Secret, is_secret_as_url
from z4j_probes.settings_load import Loader, Unreadable, host_name, kept
from z4j_probes.source import ENVIRONMENT, Source
from z4j_probes.variables import VARIABLES, is_true

if TYPE_CHECKING:
    from z4j_probes.acting_as import ActingAs


@dataclass(frozen=True, slots=True)
class Settings:
    """The values as they were given, unjudged; None where there is none.

    `sources` says where each came from. `unusable` are arguments of a type that has no text. `misplaced` are
    secrets that stood where a file's name belongs.
    `remarks` say what may surprise though it is not wrong. `environ` is the environment that everything else
    (proxies, trust store, TMPDIR) is read from: a process's own, or that of the service that is diagnosed.
    `acting_as` is set where this process acts as that service.
    """

    brain_url: str | None = field(default=None, repr=False)  # someone may have put a password into it
    token: Secret | None = None
    project_id: str = "default"
    agent_name: str = ""
    hmac_secret: Secret | None = None
    home: str | None = None
    ca_file: str | None = None
    preflight: str = "warn"
    disabled: str | None = None
    log_level: str | None = None
    labels: str | None = None
    commands: str = "default"
    allow_plaintext: bool = False
    sources: Mapping[str, Source] = field(default_factory=dict)
    unreadable: tuple[Unreadable, ...] = ()
    unusable: tuple[Unusable, ...] = ()
    misplaced: tuple[Secret, ...] = ()
    remarks: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    acting_as: ActingAs | None = None
    _redactors: list[Redactor] = field(default_factory=list, init=False, repr=False, compare=False)

    @classmethod
    def load(
        cls,
        *,
        environ: Mapping[str, str] | None = None,
        env_file: str | os.PathLike[str] | None = None,
        allow_plaintext: bool = False,
        read_files: bool = True,
        **explicit: Any,
    ) -> Settings:
        """Collect the settings.

        `environ` replaces the process's environment; what `env_file` says goes above it, since it was
        named on purpose. `explicit` takes the attributes above, and `token_file` and `hmac_secret_file`, in
        any type that has an obvious text (see `given`); None means "not given". Never raises for what a
        person configured: what could not be read is in `unreadable`, what has no text in `unusable`. Without
        `read_files` the secrets that are in files are not read: `reread` does that.
        """
        known = {v.attribute for v in VARIABLES} | {"token_file", "hmac_secret_file"}
        if not explicit.keys() <= known:
            raise TypeError(f"unknown setting: {', '.join(sorted(explicit.keys() - known))}")
        variables = dict(os.environ if environ is None else environ)
        loader = Loader(variables, env_file, explicit, read_files=read_files)
        return cls(allow_plaintext=allow_plaintext, **loader.load())

    @property
    def files(self) -> dict[str, str]:
        """The paths of the secrets that come from files, by attribute."""
        found = {name: source.secret_file for name, source in self.sources.items()}
        return {name: path for name, path in found.items() if path is not None}

    @property
    def all_files(self) -> dict[str, str]:
        """The same, with the CA file, which the TLS handshake reads."""
        return self.files | ({"ca_file": self.ca_file} if self.ca_file else {})

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
        loader = Loader(dict(self.environ), None, {f"{name}_file": path for name, path in paths.items()})
        found = {v: loader.find(v) for v in VARIABLES if v.attribute in paths}
        held: dict[str, Any] = {v.attribute: kept(text, v) for v, text in found.items() if text}
        others = (lost for lost in self.unreadable if lost.attribute not in self.files)
        lost = (lost for lost in loader.unreadable if getattr(self, lost.attribute) is None)
        return replace(self, **held, unreadable=(*others, *lost))

    @property
    def filled_agent_name(self) -> str:
        """The agent's name with `{host}` and `{pid}` filled in."""
        return self.agent_name.replace("{host}", host_name()).replace("{pid}", str(os.getpid()))

    @property
    def is_disabled(self) -> bool:
        """Whether Z4J_DISABLED says so: 1, true, yes or on."""
        return is_true(self.disabled)

    @property
    def has_secret_for_url(self) -> bool:
        """Whether the brain's URL looks like a secret, as where the two were swapped."""
        return is_secret_as_url(self.brain_url or "")

    def secrets(self) -> list[str]:
        """Every text that must not be shown."""
        found = [s.reveal() for s in (self.token, self.hmac_secret, *self.misplaced) if s]
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
        """A sieve for texts that may have met these settings; made once."""
        if not self._redactors:
            self._redactors.append(Redactor(self.secrets()))
        return self._redactors[0]

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
        shown["settings_from"] = self._origin()
        shown["sources"] = {name: str(source) for name, source in self.sources.items()}
        if self.remarks:
            shown["remarks"] = list(self.remarks)
        return shown

    def _origin(self) -> str:
        """Where the values that are not defaults came from, in a phrase."""
        found = [source.origin for source in self.sources.values() if source.origin]
        whose = f" of {self.acting_as.unit.name}" if self.acting_as and self.acting_as.unit else ""
        named = [f"{origin}{whose}" if origin == ENVIRONMENT else origin for origin in dict.fromkeys(found)]
        return " and ".join(named) or f"{ENVIRONMENT}{whose}"


def _without_secrets(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = None
    if parts is None or "@" in f"{parts.path}{parts.query}{parts.fragment}":
        return re.split(r"[?#]", url.rpartition("@")[2])[0]
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))
