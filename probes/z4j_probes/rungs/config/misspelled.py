"""Variables that nothing reads but that were meant for one that is read."""

from __future__ import annotations

from collections.abc import Iterable

from z4j_probes.variables import VARIABLES

# Z4J_PROJECT and Z4J_TOKN are close enough; Z4J_SECRET, a brain's own setting, is not.
_CLOSE = 0.75
_A_BRAINS_OWN = ("Z4J_SECRET",)
# Words that only one variable has: Z4J_HMAC_KEY.
_TELLING = frozenset({"HMAC"})

READ = frozenset(v.name for v in VARIABLES) | frozenset(v.file_name for v in VARIABLES if v.secret)


def unread(environ: Iterable[str]) -> list[str]:
    """The names that look like ours and that nothing reads; a lower-case one is not read either."""
    return sorted(n for n in environ if n.upper().startswith(("Z4J", "Z4_")) and n not in READ)


def closest(name: str) -> str | None:
    """The variable that `name` was probably meant to be."""
    from difflib import get_close_matches  # for a mistake that few make, not for every start

    tails = {_tail(known): known for known in READ}
    found = get_close_matches(_tail(name), tails, n=1, cutoff=_CLOSE)
    return tails[found[0]] if found else None


def meant_for(variable: str, names: Iterable[str]) -> str | None:
    """Which of `names` was probably meant to be `variable`, which is missing.

    Looser than `closest`, since something is known to be wrong: Z4J_URL, Z4J_AGENT_TOKEN.
    """
    names = list(names)
    for name in names:
        if closest(name) in (variable, f"{variable}_FILE"):
            return name
    wanted = set(_tail(variable).split("_"))
    for name in names:
        words = set(_tail(name).split("_"))
        if name not in _A_BRAINS_OWN and (words <= wanted or words >= wanted or words & wanted & _TELLING):
            return name
    return None


def _tail(name: str) -> str:
    return name.upper().removeprefix("Z4").removeprefix("J").strip("_")
