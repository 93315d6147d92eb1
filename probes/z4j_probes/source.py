"""Where a setting's value came from: typed, and its words in this one place."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

ENVIRONMENT = "the environment"


class Kind(StrEnum):
    """What gave the value."""

    ARGUMENT = "argument"
    ENVIRONMENT = "env"
    ENV_FILE = "file"
    ANSWER = "answer"
    """To a question of `init`."""
    DEFAULT = "default"
    HOST_NAME = "default (host name)"


class Source(NamedTuple):
    """The place of one value.

    `variable` is the environment variable that carried it, or named its file; `env_file` the env file that
    sets that variable; `secret_file` the file that holds the value itself. Each is None where it has
    no part.
    """

    kind: Kind
    variable: str | None = None
    env_file: str | None = None
    secret_file: str | None = None

    def __str__(self) -> str:
        """As reports have it: `env Z4J_TOKEN`, `file /etc/web.env Z4J_TOKEN`, `argument (/run/token)`."""
        file = f"({self.secret_file})" if self.secret_file is not None else None
        return " ".join(filter(None, (self.kind.value, self.env_file, self.variable, file)))

    @property
    def origin(self) -> str:
        """What a list of places calls it; empty for a default."""
        if self.kind is Kind.ENV_FILE:
            return self.env_file or ""
        names = {Kind.ARGUMENT: "arguments", Kind.ENVIRONMENT: ENVIRONMENT, Kind.ANSWER: "your answers"}
        return names.get(self.kind, "")

    def name_of(self, attribute: str) -> str:
        """What a sentence calls the place: Z4J_TOKEN, Z4J_TOKEN in /etc/web.env, the argument token, …"""
        if self.variable is None:
            return self.secret_file or f"the {attribute} {self.kind}"
        file = f" ({self.secret_file})" if self.secret_file is not None else ""
        return f"{self.variable}{file}" + (f" in {self.env_file}" if self.env_file is not None else "")


ARGUMENT = Source(Kind.ARGUMENT)
