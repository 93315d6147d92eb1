"""NextRuns: when a cron expression is due next, by the library that taskiq's own scheduler asks."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pycron  # type: ignore[import-untyped,unused-ignore]

LOOK_AHEAD = timedelta(days=1)
"""What is due later is shown without its next run."""
_AT_A_TIME = 60
_Offset = str | timedelta | None


class NextRuns:
    """Each is looked for minute by minute, and remembered until it is over."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, _Offset], tuple[datetime | None, datetime]] = {}

    async def of(self, cron: str, offset: _Offset) -> datetime | None:
        """The next minute within a day; None where there is none, or the expression is not valid."""
        now = datetime.now(UTC)
        found, is_good_until = self._known.get((cron, offset), (None, now))
        if is_good_until <= now:
            found = await _next(cron, offset, now)
            self._known[cron, offset] = found, found or now + LOOK_AHEAD / 24
        return found


async def _next(cron: str, offset: _Offset, now: datetime) -> datetime | None:
    zone: ZoneInfo | None = None
    try:
        zone = ZoneInfo(offset) if isinstance(offset, str) else None
        minute = now.replace(second=0, microsecond=0)
        for number in range(int(LOOK_AHEAD / timedelta(minutes=1))):
            minute += timedelta(minutes=1)
            shifted = minute + offset if isinstance(offset, timedelta) else minute
            if pycron.is_now(cron, shifted.astimezone(zone) if zone else shifted):
                return minute
            if number % _AT_A_TIME == 0:
                await asyncio.sleep(0)  # this is the host's loop
    except (ValueError, KeyError, OSError):  # also where there is no such zone
        return None
    return None
