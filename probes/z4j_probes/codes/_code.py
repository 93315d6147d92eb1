"""One row of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from z4j_probes.result import Advice, Status, Step, as_steps, in_one_line


@dataclass(frozen=True, slots=True, init=False)
class Code:
    """What one code means.

    `title` completes the sentence "the doctor says …"; `causes` are the usual ones, likeliest first;
    `steps` are what to do where the rung knows nothing more precise.
    """

    code: str
    title: str
    status: Status
    causes: tuple[str, ...]
    steps: tuple[Step, ...]

    def __init__(
        self,
        code: str,
        title: str,
        status: Status = Status.FAIL,
        causes: tuple[str, ...] = (),
        remedy: Advice | None = None,
        *,
        steps: Iterable[Step] = (),
    ) -> None:
        """`remedy` is what to do, as a text or as steps; where it is given, it replaces `steps`."""
        steps = as_steps(steps if remedy is None else remedy)
        values = {"code": code, "title": title, "status": status, "causes": causes, "steps": steps}
        for name, value in values.items():
            object.__setattr__(self, name, value)

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
