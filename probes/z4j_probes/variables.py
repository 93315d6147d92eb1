"""The variables that carry the settings: one row each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Variable(NamedTuple):
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
    Variable("token", "Z4J_TOKEN", "the agent's token, which the dashboard shows once", secret=True),
    Variable("project_id", "Z4J_PROJECT_ID", "the project's slug or UUID", default="default"),
    Variable("agent_name", "Z4J_AGENT_NAME", "the name on the dashboard; {host} and {pid} are filled in"),
    Variable(
        "hmac_secret",
        "Z4J_HMAC_SECRET",
        "the secret that signs frames, which the dashboard shows once",
        secret=True,
    ),
    Variable("home", "Z4J_HOME", "the state directory (default ~/.z4j)"),
    Variable("ca_file", "Z4J_CA_FILE", "a PEM file of the only certificate authorities to trust"),
    Variable(
        "preflight",
        "Z4J_PREFLIGHT",
        "what a failed first connection attempt does: warn, strict, or off",
        "warn",
    ),
    Variable("disabled", "Z4J_DISABLED", "1 disables the agent"),
    Variable("log_level", "Z4J_LOG_LEVEL", "the level of the z4j logger"),
    Variable("labels", "Z4J_LABELS", "labels for reports, such as service=shop,team=payments"),
    Variable("commands", "Z4J_COMMANDS", "what the brain may ask: default, all, none, or a list", "default"),
)
REQUIRED = ("brain_url", "token", "hmac_secret")
"""The attributes that an agent can't do without."""


def has_required(environ: Mapping[str, str]) -> bool:
    """Whether each of them is in this environment: its value, or for a secret the name of a file with it."""
    needed = [variable for variable in VARIABLES if variable.attribute in REQUIRED]
    return all(environ.get(v.name) or (v.secret and environ.get(v.file_name)) for v in needed)


def is_true(value: str | None) -> bool:
    """Whether a switch is on: 1, true, yes or on, in any case."""
    return (value or "").strip().lower() in ("1", "true", "yes", "on")
