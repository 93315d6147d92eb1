"""How a hint begins: with what to do."""

from __future__ import annotations

import re

VERBS = """
    add allow ask break change check compare configure connect convert copy correct create enable end exempt
    find fix free get give have install issue let log look make mount move name open pass paste put raise
    leave lower remove rename renew replace report restart run save see set start stop try unset update
    upgrade use wait write
"""


def says_what_to_do(hint: str) -> bool:
    """Whether it begins with an imperative, behind its condition, and has both halves of each backtick."""
    hint = re.sub("^(If [^,]+|Then|In [^,]+),? ", "", hint)
    return hint.partition(" ")[0].rstrip(",").lower() in VERBS.split() and hint.count("`") % 2 == 0
