"""How a hint begins: with what to do."""

from __future__ import annotations

VERBS = """
    add allow ask check compare configure copy correct dial enable end exempt find free get give have install
    issue let look make mend mint mount name open point put raise rename renew replace report restart run see
    serve set start take try unset upgrade use wait write
"""


def says_what_to_do(hint: str) -> bool:
    """Whether it begins with an imperative, and each backtick in it has its other half."""
    return hint.partition(" ")[0].rstrip(",") in VERBS.split() and hint.count("`") % 2 == 0
