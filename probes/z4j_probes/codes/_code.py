"""One row of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from z4j_probes.result import Advice, Status, Step, as_steps, in_one_line

_set = object.__setattr__  # of what is frozen; without a loop, since a start makes 160 of them


class Heals(StrEnum):
    """What ends a fault for an agent that runs: all that decides whether and when it tries again."""

    BY_ITSELF = "by_itself"
    """A network, a server, or a file changes, and the agent need not be touched."""
    BY_WAITING = "by_waiting"
    """The server asks to be asked less often."""
    BY_A_PERSON = "by_a_person"
    """The brain refuses this agent until someone changes that; brains limit how often they may be asked."""
    BY_AN_UPGRADE = "by_an_upgrade"
    """Of this package or of the brain."""
    NOT_IN_THIS_PROCESS = "not_in_this_process"
    """Arguments and environment variables stay as they were at the start; what is in a file may change."""


@dataclass(frozen=True, slots=True, init=False)
class Code:
    """What one code means.

    `title` is what a row of the report says: a fragment of at most 60 characters, with the field's own term.
    `causes` are the usual ones, likeliest first; `steps` are what to do where the rung knows nothing more
    precise. `heals` is what ends the fault; the code of a plug-in that says nothing heals by itself.
    """

    code: str
    title: str
    status: Status
    causes: tuple[str, ...]
    steps: tuple[Step, ...]
    heals: Heals

    def __init__(
        self,
        code: str,
        title: str,
        status: Status = Status.FAIL,
        causes: tuple[str, ...] = (),
        remedy: Advice | None = None,
        *,
        steps: Iterable[Step] = (),
        heals: Heals = Heals.BY_ITSELF,
    ) -> None:
        """`remedy` is what to do, as a text or as steps; where it is given, it replaces `steps`."""
        _set(self, "code", code)
        _set(self, "title", title)
        _set(self, "status", status)
        _set(self, "causes", causes)
        _set(self, "steps", as_steps(steps if remedy is None else remedy))
        _set(self, "heals", heals)

    @property
    def remedy(self) -> str:
        """The steps as one text."""
        return in_one_line(self.steps)

    @property
    def probe(self) -> str:
        """The probe that gives this code: the part before the dot."""
        return self.code.partition(".")[0]

    @property
    def anchor(self) -> str:
        """The code's anchor on the documentation page of codes."""
        return self.code.replace(".", "-").replace("_", "-")
