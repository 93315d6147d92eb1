"""Who may connect: projects, the agents created in them, and the tokens that prove it."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field

from z4j_probes.protocol import derive_project_secret, encode_secret


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a brain hands out once when an agent is made; the secrets stay out of its repr."""

    agent_name: str
    agent_id: str
    project: str
    """The project's slug."""
    project_id: str
    """The project's UUID, which is what hello_ack names."""
    token: str = field(repr=False)
    hmac_secret: str = field(repr=False)


class Accounts:
    """Tokens and the agents behind them. A project comes into being with its first agent."""

    def __init__(self) -> None:
        self._master = secrets.token_bytes(32)
        self._projects: dict[str, str] = {}
        self._by_token: dict[str, Credentials] = {}

    def mint(self, agent_name: str, project: str) -> Credentials:
        """Make an agent; each call makes a new one, whatever its name."""
        project_id = self._projects.setdefault(project, str(uuid.uuid4()))
        credentials = Credentials(
            agent_name=agent_name,
            agent_id=str(uuid.uuid4()),
            project=project,
            project_id=project_id,
            token=f"z4j_{secrets.token_urlsafe(32)}",
            hmac_secret=encode_secret(self.project_secret(project_id)),
        )
        self._by_token[credentials.token] = credentials
        return credentials

    def find(self, token: str) -> Credentials | None:
        """The agent that this token belongs to, unless it is unknown or revoked."""
        return self._by_token.get(token)

    def revoke(self, token: str) -> Credentials:
        """Forget a token; KeyError where there is none like it."""
        try:
            return self._by_token.pop(token)
        except KeyError:
            raise KeyError("no such token") from None

    def project_secret(self, project_id: str) -> bytes:
        """The secret that this brain shares with the agents of one project."""
        return derive_project_secret(self._master, project_id)
