"""What Windows leaves in files: carriage returns, and a byte order mark in front of the first name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from z4j_probes.portable import shell
from z4j_probes.redact import Secret
from z4j_probes.result import Step
from z4j_probes.settings import Settings

# UTF-8's, as the environment gives it: decoded, or byte by byte where the locale is ASCII (PEP 383).
_MARKS = ("\ufeff", "\udcef\udcbb\udcbf")
_GLUED = rb"(-----END [A-Z0-9 ]+-----)(-----BEGIN [A-Z0-9 ]+-----)"


def ends_in_return(value: str | Secret | None) -> bool:
    """Whether a value has the \\r of a Windows line end at its end."""
    text = value.reveal() if isinstance(value, Secret) else value
    return bool(text) and str(text).endswith("\r")


def convert(settings: Settings, attributes: Iterable[str]) -> Step:
    """How to take the carriage returns out of the file that has them, as far as it is known."""
    sources = [settings.sources.get(attribute) for attribute in attributes]
    files = [path for source in sources if source for path in (source.secret_file, source.env_file) if path]
    if not files:
        command = shell.unix_line_ends(["FILE"])
        return Step("Convert the file that sets them to Unix line endings", command)
    return Step("Convert the file to Unix line endings", shell.unix_line_ends(dict.fromkeys(files)))


def marked(variable: str, environ: Mapping[str, str]) -> bool:
    """Whether the variable is there with a byte order mark in front of its name."""
    return any(f"{mark}{variable}" in environ for mark in _MARKS)


def glued_line(pem: bytes) -> int | None:
    """The number of the line where one PEM block ends and the next begins, without a line break between."""
    found = re.search(_GLUED, pem)
    return pem.count(b"\n", 0, found.start()) + 1 if found else None


def separate(path: str, line: int) -> Step:
    """How to put the line break there."""
    return Step(
        f"Break line {line} of {path} between the two certificates",
        shell.break_between_certificates(path),
    )
