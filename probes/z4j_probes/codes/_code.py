"""One row of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass

from z4j_probes.result import Status


@dataclass(frozen=True, slots=True)
class Code:
    """What one code means.

    `title` completes the sentence "the doctor says …"; `causes` are the usual ones, likeliest first;
    `remedy` is what to do where the rung knows nothing more precise.
    """

    code: str
    title: str
    status: Status = Status.FAIL
    causes: tuple[str, ...] = ()
    remedy: str = ""

    @property
    def probe(self) -> str:
        """The probe that gives this code: the part before the dot."""
        return self.code.partition(".")[0]

    @property
    def anchor(self) -> str:
        """The code's anchor on the documentation page of codes."""
        return self.code.replace(".", "-").replace("_", "-")
