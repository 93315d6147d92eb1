"""What a brain may ask of this agent: the owner's choice, and the reason where something is refused."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from z4j_fastapi.commands.refusal import Refused
from z4j_probes.protocol.actions import Action, allowed_actions, capabilities
from z4j_probes.protocol.commands import Command

if TYPE_CHECKING:  # where there is one, it is loaded
    from z4j_fastapi.commands.engine import Engine

# Actions of other engines that a brain may send to any agent. Each answer says why it is refused.
_IMPOSSIBLE = {
    "rate_limit": "this engine has no rate limits",
    "pool_resize": "the size of this engine's pool is set when the worker starts",
    "pool_grow": "the size of this engine's pool is set when the worker starts",
    "pool_shrink": "the size of this engine's pool is set when the worker starts",
    "add_consumer": "the queues of this engine's worker are set when it starts",
    "cancel_consumer": "the queues of this engine's worker are set when it starts",
}


def objection(command: Command, engine: Engine | None, choice: Collection[str]) -> Refused | None:
    """Why this command can't be acted on here; None where it can be tried."""
    if engine is None:
        return Refused("command.no_worker_here", "this process has no worker that could act on a command")
    if command.action in _IMPOSSIBLE:
        remedy = "" if command.action == "rate_limit" else None
        return Refused("command.unsupported", _IMPOSSIBLE[command.action], remedy)
    if command.request is None:
        return unknown_action(command.action)
    if command.engine not in (None, engine.name):
        return Refused("command.no_worker_here", f"this process has a worker of {engine.name} only")
    if command.action not in engine.actions:
        return Refused("command.unsupported", engine.why_not(Action(command.action)), "")
    if command.action not in choice:
        return not_allowed(command.action)
    return None


def not_allowed(action: str) -> Refused:
    """The owner's choice does not name it; no value is proposed, since one would allow more than this."""
    remedy = f"To allow it, add {action} to Z4J_COMMANDS (or commands=), and restart the worker"
    return Refused("command.not_allowed", f"the owner of this agent does not allow {action}", remedy)


def unknown_action(action: str) -> Refused:
    """A newer brain's, or a mistake."""
    remedy = "Upgrade the agent if a newer version has it"
    return Refused("command.unsupported", f"this agent does not know the command {action}", remedy)


def allowed(choice: str) -> frozenset[Action]:
    """What the owner allows. A choice that is not valid allows nothing: the `config` check says so."""
    try:
        return allowed_actions(choice)
    except ValueError:
        return frozenset()


def offered(engine: Engine, choice: str) -> tuple[str, ...] | None:
    """The engine's capabilities in a hello; None where the engine is not announced at all."""
    chosen = allowed(choice)
    return capabilities(engine.actions & chosen) if chosen else None
