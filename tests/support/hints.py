"""How a hint begins: with what to do."""

from __future__ import annotations

VERBS = """
    add allow ask break change check compare configure connect convert copy correct create enable end exempt
    find fix free get have install issue let log look make mount move name open pass paste put raise remove
    rename renew replace report restart run save see set start stop try unset upgrade use wait write
"""


def says_what_to_do(hint: str) -> bool:
    """Whether it begins with an imperative, and each backtick in it has its other half."""
    return hint.partition(" ")[0].rstrip(",").lower() in VERBS.split() and hint.count("`") % 2 == 0
