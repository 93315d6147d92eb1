"""Env files, read in two ways: as people write them for dotenv and shells, and as systemd reads them.

Both have `NAME=value` lines, `#` and `;` comments, quotes, and a backslash at the end of a line that goes on.
Nothing is expanded: a `$` stands for itself. They part ways at `export`, whose line systemd passes over, at a
comment behind a value, which it keeps, and at backslashes and quoted pieces, which it takes as a shell would
(systemd.exec(5), EnvironmentFile=).
"""

from __future__ import annotations

import re

_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=[ \t]*(.*)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)

# systemd's grammar. A quote or a backslash that the file's end leaves open is closed by it.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_PASSED_OVER = re.compile(r"(?:[ \t\r\n]|[#;][^\r\n]*)*")
_BEFORE_EQUALS = re.compile(r"[^\r\n]?[^=\r\n]*")
_QUOTED = re.compile(r"""[ \t]*(?:'([^']*)'?|"((?:[^"\\]|\\.)*)\\?"?)""", re.DOTALL)
_BARE = re.compile(r"[ \t]*((?:[^\\\r\n]|\\.)*)\\?", re.DOTALL)
_ESCAPED_IN_DOUBLE = re.compile(r'\\(["\\`$]|\n)')
_ESCAPED_BARE = re.compile(r"\\([\r\n]|(.))")


def parse_envfile(text: str) -> dict[str, str]:
    """The variables as they are meant; a later line wins. Lines that assign nothing are passed over."""
    found: dict[str, str] = {}
    for line in _logical_lines(text.removeprefix("\ufeff")):
        if line.lstrip().startswith(("#", ";")):
            continue
        match = _ASSIGNMENT.fullmatch(line)
        if match:
            found[match[1]] = _unquote(match[2].strip())
    return found


def parse_environment_file(text: str) -> dict[str, str]:
    """The variables that systemd gives a unit; those that it ignores for their names are left out."""
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        position += len(_taken(_PASSED_OVER, text, position))
        name = _taken(_BEFORE_EQUALS, text, position)
        position += len(name)
        if text[position : position + 1] != "=":
            continue
        value, position = _systemd_value(text, position + 1)
        if _NAME.fullmatch(name.rstrip(" \t")):
            found[name.rstrip(" \t")] = value
    return found


def read_otherwise(text: str) -> list[str]:
    """The variables for which systemd would read another value here than is meant, or none."""
    meant, as_unit = parse_envfile(text), parse_environment_file(text)
    return sorted(name for name in meant.keys() | as_unit.keys() if meant.get(name) != as_unit.get(name))


def _systemd_value(text: str, position: int) -> tuple[str, int]:
    """A value and where it ends: quoted pieces, the blanks between them left out, then what is bare."""
    value = ""
    while quoted := _QUOTED.match(text, position):
        inner = quoted[2] or ""
        value += (quoted[1] or "") + _ESCAPED_IN_DOUBLE.sub(lambda c: c[1].strip("\n"), inner)
        position = quoted.end()
    bare = _taken(_BARE, text, position)
    kept = bare.strip(" \t")
    if (len(kept) - len(kept.rstrip("\\"))) % 2:  # the first of the blanks behind it is escaped
        kept = bare.lstrip(" \t")[: len(kept) + 1]
        kept = kept.removesuffix("\\")  # unless there is none, but the end of the file
    return value + _ESCAPED_BARE.sub(lambda c: c[2] or "", kept), position + len(bare)


def _taken(pattern: re.Pattern[str], text: str, position: int) -> str:
    match = pattern.match(text, position)
    return match[0] if match else ""


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
