"""The command line that needs no parser: `doctor` and flags alone, as health checks and cron jobs call it.

Loading typer, which loads pydantic, takes as long as the whole climb. What it would make of such a line is
known; any other line, a mistaken one and `--help` included, is typer's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

FLAGS: dict[str, dict[str, Any]] = {
    "--json": {"format": "json"},
    "--no-websocket": {"no_websocket": True},
    "--offline": {"offline": True},
    "--strict": {"strict": True},
    "--verbose": {"verbose": True},
    "-v": {"verbose": True},
}


def flags_of_doctor(arguments: Sequence[str]) -> dict[str, Any] | None:
    """What the flags say, as fields of `doctor.Options`; None where it takes a parser to know."""
    if arguments[:1] != ["doctor"] or not FLAGS.keys() >= set(arguments[1:]):
        return None
    return {field: value for flag in arguments[1:] for field, value in FLAGS[flag].items()}
