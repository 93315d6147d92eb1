"""What is wrong with a token as it was pasted: said without showing a character of it."""

from __future__ import annotations

import re

from z4j_probes.given import is_utf8

_QUOTES = "\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb"
# Patterns as texts, which cost milliseconds to compile: few tokens need them.
_PLACEHOLDER = (
    r"<.*>|\[.*\]|\$\{?\w*\}?|\{\{.*\}\}|%\w+%|x+|\.+|\*+|…"
    r"|(your|my|the|insert|paste|put)?[-_ ]?(agent)?[-_ ]?token([-_ ]?here)?"
    r"|change[-_ ]?me|replace[-_ ]?me|todo|placeholder|redacted|secret|none|null"
)
_BRACKETS = ("<", "[", "$", "{", "%")
_SCHEMES = ("https://", "http://", "wss://", "ws://")


def faults_of(token: str) -> list[str]:
    """Each fault as a phrase that completes "the token …"; empty where it can go into a header."""
    core = token.strip()
    if _is_placeholder(core):
        return ["is a placeholder, not a token"]
    if core.lower().startswith(_SCHEMES):
        return ["is a URL, not a token"]
    found = _at_the_ends(token)
    if core[:1] in _QUOTES and core[-1:] in _QUOTES:
        found.append("is wrapped in quotes")
    elif core[0] in _QUOTES:
        found.append("begins with a quote")
    elif core[-1] in _QUOTES:
        found.append("ends with a quote")
    core = core.strip(_QUOTES).strip()
    if "bearer" in core.lower() and re.match(r"(authorization\s*:\s*)?bearer(\s|$)", core, re.IGNORECASE):
        found.append('begins with "Bearer ", which the agent adds itself')
        core = re.sub(r"^(authorization\s*:\s*)?bearer\s*", "", core, flags=re.IGNORECASE)
    elif "Z4J_TOKEN" in core and re.match(r"(export\s+)?Z4J_TOKEN\s*=", core):
        found.append("begins with the name of its variable")
        core = core.partition("=")[2]
    return found + _inside(core)


def _is_placeholder(core: str) -> bool:
    # only in brackets does a placeholder have digits, and nearly every token has some
    if any(map(str.isdigit, core)) and not core.startswith(_BRACKETS):
        return False
    return re.fullmatch(_PLACEHOLDER, core, re.IGNORECASE) is not None


def _at_the_ends(token: str) -> list[str]:
    found = []
    for verb, end in (
        ("begins", token[: len(token) - len(token.lstrip())]),
        ("ends", token[len(token.rstrip()) :]),
    ):
        if end:
            what = "a newline" if "\n" in end or "\r" in end else "whitespace"
            found.append(f"{verb} with {what}")
    return found


def _inside(core: str) -> list[str]:
    found = []
    if "\n" in core or "\r" in core:
        found.append("has a newline in the middle")
    elif any(c.isspace() for c in core):
        found.append("has whitespace in the middle")
    if any(c in _QUOTES for c in core):
        found.append("has a quote in the middle")
    others = [c for c in core if not c.isspace() and c not in _QUOTES]
    if not is_utf8(core):
        return [*found, "has bytes that are not UTF-8"]
    if any(not c.isascii() for c in others):
        hidden = any(not c.isascii() and not c.isprintable() for c in others)
        found.append(f"has {'an invisible' if hidden else 'a'} character that is not ASCII")
    if any(c.isascii() and not c.isprintable() for c in others):
        found.append("has a control character")
    return found
