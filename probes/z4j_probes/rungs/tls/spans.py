"""Lengths of time and dates, as a person says them."""

from __future__ import annotations

from datetime import datetime, timedelta


def span(delta: timedelta) -> str:
    """A length of time in its one most telling unit."""
    seconds = abs(delta).total_seconds()
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds:.0f} seconds"


def day(moment: datetime) -> str:
    """The date of a moment in UTC."""
    return moment.strftime("%Y-%m-%d")
