"""Reading a dotenv file or a systemd EnvironmentFile: the part that both mean the same by.

`NAME=value` lines, `#` and `;` comments, an optional `export`, single or double quotes around the whole
value, a backslash at the end of a line continues it (systemd.exec(5), EnvironmentFile=). Nothing is expanded:
a `$` stands for itself, as it does for systemd.
"""

from __future__ import annotations

import re

_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=[ \t]*(.*)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def parse_envfile(text: str) -> dict[str, str]:
    """The file's variables; a later line wins. Lines that are no assignment are passed over."""
    found: dict[str, str] = {}
    for line in _logical_lines(text.removeprefix("\ufeff")):
        if line.lstrip().startswith(("#", ";")):
            continue
        match = _ASSIGNMENT.fullmatch(line)
        if match:
            found[match[1]] = _unquote(match[2].strip())
    return found


def _logical_lines(text: str) -> list[str]:
    lines: list[str] = []
    pending = ""
    for line in text.splitlines():
        if line.endswith("\\") and not line.lstrip().startswith(("#", ";")):
            pending += line[:-1]
            continue
        lines.append(pending + line)
        pending = ""
    if pending:
        lines.append(pending)
    return lines


def _unquote(value: str) -> str:
    quote = value[:1]
    if quote in ("'", '"') and quote:
        end = _closing(value, quote)
        if end is not None:
            inner = value[1:end]
            return inner if quote == "'" else _ESCAPED.sub(r"\1", inner)
    # dotenv's trailing comment needs white space before it, so that a # inside a value stays
    return re.split(r"\s#", value, maxsplit=1)[0].rstrip()


def _closing(value: str, quote: str) -> int | None:
    position = 1
    while position < len(value):
        if value[position] == "\\" and quote == '"':
            position += 2
            continue
        if value[position] == quote:
            rest = value[position + 1 :].strip()
            return position if not rest or rest.startswith("#") else None
        position += 1
    return None
